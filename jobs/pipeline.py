"""Claim, prepare, keep, sweep: what a worker does with one ticket.

No transaction is open while a stage works. Its result is kept only by the holder of the run's token.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs import outcomes, sources
from jobs.errors import Conflict, LeaseLost
from jobs.lifecycle import move
from jobs.models import Attempt, StageRun
from jobs.queue import send_ticket, tickets_waiting
from jobs.retries import POLICIES
from jobs.sandbox import Limits, StageFailed, run_stage
from jobs.stages import delivery, ingestion, matching, preview
from jobs.stages.base import Prepare
from jobs.states import Stage
from rendering.errors import FormatError

logger = logging.getLogger(__name__)

PREPARE: dict[Stage, Prepare] = {
    Stage.INGESTION: ingestion.prepare,
    Stage.MATCHING: matching.prepare,
    Stage.PREVIEW: preview.prepare,
    Stage.DELIVERY: delivery.prepare,
}
CLAIM_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on a run. Whoever holds the token may beat and finish; nobody else."""

    run_id: int
    token: uuid.UUID
    attempt_id: int


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def work_once() -> bool:
    """Claims the most urgent queued work and does it. False when there was none."""
    lease = claim(worker_name())
    if lease is None:
        return False
    perform(lease)
    return True


def claim(owner: str) -> Lease | None:
    """Takes the most urgent due run: by priority, first in first out inside one. None when nothing is due."""
    for _ in range(CLAIM_TRIES):
        run = (
            StageRun.objects.filter(state=StageRun.QUEUED, available_at__lte=timezone.now())
            .order_by("priority", "queued_at", "id")
            .select_related("job")
            .first()
        )
        if run is None:
            return None
        lease = _take(run, owner)
        if lease is not None:
            return lease
    return None


def _take(run: StageRun, owner: str) -> Lease | None:
    """The attempt is counted before the work, so that work which kills its worker comes to an end."""
    token = uuid.uuid4()
    now = timezone.now()
    try:
        with transaction.atomic():
            taken = StageRun.objects.filter(pk=run.pk, state=StageRun.QUEUED).update(
                state=StageRun.RUNNING,
                token=token,
                lease_owner=owner,
                lease_expires_at=now + timedelta(seconds=settings.LEASE_SECONDS),
                attempts=F("attempts") + 1,
                started_at=now,
                ended_at=None,
                step="starting",
                percent=0,
            )
            if not taken:
                return None
            move(run.job, "claim", data={"worker": owner})
            attempt = Attempt.objects.create(run=run, number=run.attempts + 1, token=token, worker=owner)
    except Conflict:
        return None  # cancelled or held between the look and the take
    return Lease(run_id=run.pk, token=token, attempt_id=attempt.pk)


class Heart:
    """Extends the lease four times a lease and tells the progress; raises LeaseLost when the token is gone."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._interval = min(settings.LEASE_SECONDS / 4, 1.0)
        self._next = 0.0

    def beat(self, step: str, percent: float) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._interval
        kept = StageRun.objects.filter(pk=self._lease.run_id, token=self._lease.token).update(
            lease_expires_at=timezone.now() + timedelta(seconds=settings.LEASE_SECONDS),
            step=step[:120],
            percent=percent,
        )
        if not kept:
            raise LeaseLost


def perform(lease: Lease) -> None:
    """Does the work of a lease, from fetching its inputs to keeping its outcome."""
    run = StageRun.objects.select_related("job__team", "job__batch", "job__psd", "job__project").get(pk=lease.run_id)
    workdir = Path(settings.WORK_DIR) / f"run-{run.pk}-{lease.token.hex}"
    workdir.mkdir(parents=True)
    try:
        inputs = sources.collect(run.job, Stage(run.stage), workdir)
        limits = Limits(
            seconds=settings.STAGE_TIMEOUT_SECONDS,
            memory_bytes=settings.STAGE_MEMORY_BYTES,
            file_bytes=settings.STAGE_FILE_BYTES,
        )
        outcome = run_stage(PREPARE[Stage(run.stage)], inputs, limits=limits, beat=Heart(lease).beat)
        with outcomes.stored(run, outcome) as stored:
            _finish(lease, stored)
    except LeaseLost:
        logger.info("run %s: the lease is gone, what was made is discarded", run.pk)
        _close_attempt(lease, outcome="discarded")
    except FormatError as error:
        fail(lease, StageFailed(str(error), error_class="file"))
    except StageFailed as error:
        fail(lease, error)
    except OSError as error:
        fail(lease, StageFailed(f"{type(error).__name__}: {error}", error_class="transient"))
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def _finish(lease: Lease, stored: outcomes.Stored) -> None:
    """Result, files, warnings, the move and the next work: one transaction, conditional on the token."""
    with transaction.atomic():
        done = StageRun.objects.filter(pk=lease.run_id, token=lease.token, state=StageRun.RUNNING).update(
            state=StageRun.DONE,
            token=None,
            lease_owner="",
            lease_expires_at=None,
            ended_at=timezone.now(),
            step="done",
            percent=100,
            result=stored.outcome.result,
            metrics=stored.outcome.metrics,
            error="",
            error_class="",
        )
        if not done:
            raise LeaseLost
        run = StageRun.objects.select_related("job").get(pk=lease.run_id)
        StageRun.objects.filter(job=run.job, stage=run.stage, state=StageRun.DONE).exclude(pk=run.pk).update(
            state=StageRun.DROPPED
        )
        stored.keep()
        _close_attempt(lease, outcome="done")
        move(run.job, _verb_after(Stage(run.stage), stored.outcome.faults))


def _verb_after(stage: Stage, faults: bool) -> str:
    if stage == Stage.INGESTION:
        return "ingest"
    if stage == Stage.DELIVERY:
        return "find_faults" if faults else "deploy"
    return "prepare"


def fail(lease: Lease, error: StageFailed) -> None:
    """Queues the run again with a delay, or gives it up, as the policy of the error's class says."""
    try:
        with transaction.atomic():
            _settle_failure(lease, error)
    except LeaseLost:
        logger.info("run %s: failed after its lease was gone: %s", lease.run_id, error)


def _settle_failure(lease: Lease, error: StageFailed) -> None:
    policy = POLICIES[error.error_class]
    run = StageRun.objects.select_related("job").get(pk=lease.run_id)
    again = run.attempts < policy.attempts
    now = timezone.now()
    settled = StageRun.objects.filter(pk=run.pk, token=lease.token, state=StageRun.RUNNING).update(
        state=StageRun.QUEUED if again else StageRun.FAILED,
        token=None,
        lease_owner="",
        lease_expires_at=None,
        available_at=now + timedelta(seconds=policy.delay_seconds(run.attempts)) if again else now,
        ended_at=None if again else now,
        crashes=F("crashes") + (1 if error.error_class == "crash" else 0),
        error=str(error),
        error_class=error.error_class,
        step="waiting for the next attempt" if again else "failed",
    )
    if not settled:
        raise LeaseLost
    _close_attempt(lease, outcome="failed", error=error)
    data = {"error_class": error.error_class, "attempt": run.attempts}
    if again:
        move(run.job, "give_back", reason=str(error)[:2000], data=data)
    else:
        move(run.job, "fail", reason=str(error)[:2000], data=data)


def _close_attempt(lease: Lease, *, outcome: str, error: StageFailed | None = None) -> None:
    Attempt.objects.filter(pk=lease.attempt_id).update(
        ended_at=timezone.now(),
        outcome=outcome,
        error_class=error.error_class if error else "",
        error=str(error) if error else "",
        log=error.log[-20_000:] if error else "",
    )


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
