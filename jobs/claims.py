"""Claims: which queued work a worker gets, and the lease that it gets with it."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs.errors import Conflict
from jobs.lifecycle import move
from jobs.models import Attempt, StageRun
from jobs.states import QUEUES, Queue

CLAIM_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on a run. Whoever holds the token may beat and finish; nobody else."""

    run_id: int
    token: uuid.UUID
    attempt_id: int


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(owner: str, *, queues: Collection[Queue] = QUEUES) -> Lease | None:
    """Takes the most urgent due run of these queues, the oldest of a priority first. None when nothing is due."""
    for _ in range(CLAIM_TRIES):
        run = (
            StageRun.objects.filter(state=StageRun.QUEUED, queue__in=queues, available_at__lte=timezone.now())
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
