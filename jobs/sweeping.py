"""The sweep: what somebody must look at every second, so that nothing that a machine dropped stays lying."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from jobs.claims import Lease
from jobs.models import Attempt, StageRun
from jobs.pipeline import fail
from jobs.queue import send_ticket, tickets_waiting
from jobs.sandbox import StageFailed


def sweep() -> int:
    """Takes back lapsed leases and wakes workers for due work without a ticket. Returns how much it found."""
    lapsed = 0
    for run in StageRun.objects.filter(state=StageRun.RUNNING, lease_expires_at__lt=timezone.now()):
        attempt = Attempt.objects.filter(token=run.token).last() if run.token else None
        if run.token is None or attempt is None:
            continue  # it ended in this moment
        lease = Lease(run_id=run.pk, token=run.token, attempt_id=attempt.pk)
        fail(lease, StageFailed(f"the worker {run.lease_owner} went silent", error_class="crash"))
        lapsed += 1
    due = StageRun.objects.filter(state=StageRun.QUEUED, available_at__lte=timezone.now()).count()
    missing = max(0, due - tickets_waiting())
    for _ in range(min(missing, 100)):
        send_ticket()
    return lapsed + missing


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
