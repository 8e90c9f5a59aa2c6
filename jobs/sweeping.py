"""The sweep: what somebody must look at every second, so that nothing that a machine dropped stays lying."""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models.functions import Now

from jobs import (
    chores,
    digests,
    errands,
    idempotency,
    leftovers,
    limits,
    noted_heads,
    overdue,
    retention,
    sending,
    workers,
)
from jobs.aging import raise_waiting
from jobs.attempt_log import left_log
from jobs.claims import Lease, is_claimable
from jobs.deadletters import forget_old
from jobs.deployments import sweep_deployments
from jobs.failures import fail
from jobs.history_chain import seal_pending
from jobs.models import Attempt, StageRun
from jobs.queue import BrokerAway, send_tickets, tickets_waiting
from jobs.sandbox import StageFailed
from jobs.states import QUEUES, Queue
from jobs.storage import sweep_parts

logger = logging.getLogger(__name__)

MOST_TICKETS = 500
ABANDONED_AFTER = timedelta(days=1)


def sweep() -> int:
    """One look at the queue, every second. Returns how much it found to do.

    Takes back lapsed leases, raises what waits long, forgets old dead letters, wakes workers for due work that has no
    ticket, seals the history.
    """
    found = take_back_lapsed() + errands.take_back_lapsed() + raise_waiting() + forget_old()
    seal_pending()
    try:
        return found + errands.wake_workers() + sum(send_missing_tickets(queue) for queue in QUEUES)
    except BrokerAway:
        return found


def take_back_lapsed() -> int:
    """Queues again what workers hold that went silent. Returns how many runs."""
    lapsed = 0
    for run in StageRun.objects.filter(state=StageRun.RUNNING, lease_expires_at__lt=Now()).defer("result", "metrics"):
        attempt = Attempt.objects.filter(token=run.token).last() if run.token else None
        if run.token is None or attempt is None:
            continue  # it ended in this moment
        lease = Lease(run_id=run.pk, token=run.token, attempt_id=attempt.pk)
        fail(
            lease,
            StageFailed(
                f"the worker {run.lease_owner} went silent", error_class="worker", log=left_log(run.pk, run.token)
            ),
        )
        lapsed += 1
    return lapsed


def send_missing_tickets(queue: Queue) -> int:
    """Wakes workers where work could be claimed and fewer tickets wait than runs. Returns how many tickets it sent.

    Work that is paused or held back by a limit needs no worker; more than ``MOST_TICKETS`` in stock help nobody.
    """
    if not is_claimable([queue]):
        return 0
    waiting = StageRun.objects.filter(state=StageRun.QUEUED, queue=queue, available_at__lte=Now())
    missing = max(0, waiting.order_by()[:MOST_TICKETS].count() - tickets_waiting(queue))
    send_tickets(queue, missing)
    return missing


def sweep_strays() -> int:
    """Once a minute: removes what is of no more use, tells of what waits too long, writes the digests, and
    (once an hour) notes the heads of the history.

    Of no more use is what killed processes left (work directories, uploads on their way in, half-made files, pieces,
    releases without a record, their own records as machines), files that were sent and not used, old idempotency
    keys and errands, files that no policy keeps, contents that are nobody's any more, and what other apps registered as
    their chores.
    """
    chores.do_each(overdue.tell_overdue, digests.write_due, noted_heads.note_hourly)
    return chores.do_all() + chores.do_each(
        *(sweep_workdirs, idempotency.forget_old, errands.forget_old),
        *(limits.forget_full, sweep_arriving, workers.end_replaced),
        *(sweep_parts, sweep_deployments, sending.sweep, retention.apply_policies, leftovers.sweep),
    )


def sweep_workdirs() -> int:
    """Removes the work directories of killed workers: those whose token holds no lease. Returns how many."""
    root = Path(settings.WORK_DIR)
    here = {path.name.rpartition("-")[2]: path for path in root.glob("run-*")} if root.is_dir() else {}
    live = {
        token.hex for token in StageRun.objects.filter(state=StageRun.RUNNING).values_list("token", flat=True) if token
    }
    gone = [path for token, path in here.items() if token not in live]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def sweep_arriving() -> int:
    """Removes what killed processes left of uploads on their way in and of sheets that they read. Returns how many.

    What nobody has touched for ``ABANDONED_AFTER`` is nobody's: no request and no errand works on one so long.
    """
    before = time.time() - ABANDONED_AFTER.total_seconds()
    gone = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime > before:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
            gone += 1
    return gone
