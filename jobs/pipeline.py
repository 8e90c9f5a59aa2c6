"""Prepare, keep or fail: what a worker does with one ticket.

No transaction is open while a stage works. Its result is kept only by the holder of the run's token.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from jobs import outcomes, sources
from jobs.attempt_log import AttemptLog, kept_log, work_dir
from jobs.claims import Lease, claim, is_claimable, lease_end, worker_name
from jobs.compiled import Objects, Update, given
from jobs.errors import LeaseLost, RateLimited
from jobs.failures import close_attempt, fail
from jobs.lifecycle import move_worked
from jobs.log_context import bound
from jobs.models import Attempt, StageRun
from jobs.queue import send_ticket
from jobs.sandbox import StageFailed, run_stage
from jobs.stages import PREPARE
from jobs.stages.base import Limits
from jobs.states import QUEUES, Queue, Stage
from jobs.turns import has_limits
from rendering.errors import FormatError

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)
"""What a database that restarts, is out of reach or gives up on a lock raises."""
LOOK_AGAIN_SECONDS = 0.25


def work_once(queues: Collection[Queue] = QUEUES) -> bool:
    """Claims the most urgent work of these queues and does it. False when there was none."""
    lease = claim(worker_name(), queues=queues)
    if lease is None:
        return False
    perform(lease)
    return True


class Heart:
    """Extends the lease four times a lease and tells the progress; raises LeaseLost when the token is gone.

    A database that is away for less than the lease costs nothing: nobody else can have been given the work.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._interval = min(settings.LEASE_SECONDS / 4, 1.0)
        # The claim was the first beat, a moment ago.
        self._next = time.monotonic() + self._interval
        self._holds_until = time.monotonic() + settings.LEASE_SECONDS

    def beat(self, step: str, percent: float) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._interval
        began = time.monotonic()
        try:
            kept = StageRun.objects.filter(pk=self._lease.run_id, token=self._lease.token).update(
                lease_expires_at=lease_end(),
                step=step[:120],
                percent=percent,
            )
        except AWAY:
            connection.close()
            if time.monotonic() > self._holds_until:
                raise
            logger.warning("the database does not answer; the lease still holds")
            return
        if not kept:
            raise LeaseLost
        self._holds_until = began + settings.LEASE_SECONDS

    def await_database(self) -> None:
        """Returns when the database answers or the lease has lapsed: what took minutes to make is worth a wait."""
        while time.monotonic() < self._holds_until:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return
            except AWAY:
                connection.close()
                time.sleep(LOOK_AGAIN_SECONDS)


_RUN = Objects(
    lambda: (
        StageRun.objects.select_related("job__team", "job__batch", "job__psd", "job__project")
        .filter(pk=given(StageRun, "id"))
        .order_by()
    )
)


def perform(lease: Lease) -> Stage | None:
    """Does the work of a lease, from fetching its inputs to keeping its outcome and its log.

    Returns the stage when it failed.
    """
    run = _RUN.get(id=lease.run_id)
    workdir = work_dir(run.pk, lease.token)
    try:
        workdir.mkdir(parents=True)
        with (
            bound(request=run.request_id, job=run.job.job_id, run=run.pk, attempt=lease.attempt_id),
            kept_log(lease.attempt_id, workdir) as log,
        ):
            has_failed = _work(run, lease, workdir, log)
    except OSError as error:
        # There was no room even for the work directory or its log.
        has_failed = fail(lease, StageFailed(f"{type(error).__name__}: {error}", error_class="transient"))
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
        wake_next(run)
    return Stage(run.stage) if has_failed else None


def _work(run: StageRun, lease: Lease, workdir: Path, log: AttemptLog) -> bool:
    """Whether the attempt failed."""
    logger.info("%s begins on %s", Stage(run.stage).label, run.lease_owner)
    began = time.monotonic()
    try:
        heart = Heart(lease)
        beat = heart.beat
        inputs = sources.collect(run.job, Stage(run.stage), workdir, beat=beat)
        limits = Limits(
            seconds=settings.STAGE_TIMEOUT_SECONDS,
            memory_bytes=settings.STAGE_MEMORY_BYTES,
            file_bytes=settings.STAGE_FILE_BYTES,
        )
        outcome = run_stage(PREPARE[Stage(run.stage)], inputs, limits=limits, beat=beat)
        if outcome.files:
            # The store asks about each of them.
            heart.await_database()
        with outcomes.stored(run, outcome, beat=beat) as stored:
            logger.info("done in %.1f s", time.monotonic() - began)
            said = log.read()
            _finish_awaiting(lease, stored, said, heart)
        log.is_kept(said)
    except LeaseLost:
        logger.info("run %s: the lease is gone, what was made is discarded", run.pk)
        close_attempt(lease, outcome="discarded")
    except FormatError as error:
        return fail(lease, StageFailed(str(error), error_class="file"))
    except StageFailed as error:
        return fail(lease, error)
    except RateLimited as error:
        asked = error.retry_after_seconds
        return fail(lease, StageFailed(str(error), error_class="rate", retry_after_seconds=asked))
    except OSError as error:
        return fail(lease, StageFailed(f"{type(error).__name__}: {error}", error_class="transient"))
    except AWAY as error:
        # The database went away or gave up on a lock; when it stays away, the lease brings the work back.
        connection.close()
        return fail(lease, StageFailed(f"{type(error).__name__}: {error}", error_class="transient"))
    return False


def wake_next(run: StageRun) -> None:
    """Asks for a worker where a limit may have held work back until this run ended."""
    if has_limits(run.job.team.running_limit) and is_claimable([run.queue]):
        send_ticket(run.queue)


_DONE = Update(
    lambda: StageRun.objects.filter(pk=given(StageRun, "id"), token=given(StageRun, "token"), state=StageRun.RUNNING),
    lambda: {
        "state": StageRun.DONE,
        "token": None,
        "lease_owner": "",
        "lease_expires_at": None,
        "ended_at": Now(),
        "step": "done",
        "percent": 100,
        "result": given(StageRun, "result"),
        "metrics": given(StageRun, "metrics"),
        "error": "",
        "error_class": "",
    },
)


def _finish_awaiting(lease: Lease, stored: outcomes.Stored, log: str, heart: Heart) -> None:
    """Keeps what was made, once more when the database went away meanwhile."""
    try:
        _finish(lease, stored, log)
    except AWAY:
        connection.close()
        heart.await_database()
        # The connection may have broken after the commit and before its answer.
        if not Attempt.objects.filter(pk=lease.attempt_id, outcome="done").exists():
            _finish(lease, stored, log)


def _finish(lease: Lease, stored: outcomes.Stored, log: str) -> None:
    """Result, files, warnings, log, the move and the next work: one transaction, conditional on the token."""
    run, outcome = stored.run, stored.outcome
    with transaction.atomic():
        if not _DONE(id=lease.run_id, token=lease.token, result=outcome.result, metrics=outcome.metrics):
            raise LeaseLost
        stored.keep()
        close_attempt(lease, outcome="done", log=log)
        move_worked(run.job, _verb_after(Stage(run.stage), outcome.faults), after=run.available_at)


def _verb_after(stage: Stage, faults: bool) -> str:
    if stage == Stage.INGESTION:
        return "ingest"
    if stage == Stage.DELIVERY:
        return "find_faults" if faults else "deploy"
    return "prepare"
