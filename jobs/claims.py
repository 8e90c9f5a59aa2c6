"""Claims: the lease that a worker gets with the queued work that is next (``jobs.turns``)."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import DurationField, F
from django.db.models.functions import Now

from jobs.compiled import Given, Insert, Objects, Update, given
from jobs.durability import SoonOnDisk
from jobs.errors import Conflict
from jobs.lifecycle import move_claimed
from jobs.models import Attempt, StageRun, Team
from jobs.states import QUEUES, Stage
from jobs.turns import Head, has_limits, next_head, reached, remember, team_limit, what_is_closed

CLAIM_TRIES = 20
HEAVY = ("result", "metrics", "error")


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on a run. Whoever holds the token may beat and finish; nobody else."""

    run_id: int
    token: uuid.UUID
    attempt_id: int


class Full(Exception):
    """The team or batch runs as many jobs as it may."""

    def __init__(self, *, team_id: int | None = None, batch_id: int | None = None) -> None:
        super().__init__(f"team {team_id}" if batch_id is None else f"batch {batch_id}")
        self.team_id = team_id
        self.batch_id = batch_id


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(owner: str, *, queues: Collection[str] = QUEUES, stages: Collection[Stage] = tuple(Stage)) -> Lease | None:
    """Takes the next due run of these queues and stages. None when nothing is due that may run."""
    closed = what_is_closed(stages)
    for _ in range(CLAIM_TRIES):
        head = next_head(queues, closed)
        if head is None:
            return None
        try:
            lease = _take(head, owner)
        except Full as full:
            closed.teams |= {full.team_id} if full.team_id is not None else set()
            closed.batches |= {full.batch_id} if full.batch_id is not None else set()
            continue
        except Conflict:
            lease = None  # cancelled or held between the look and the take
        if lease is not None:
            return lease
        closed.runs.add(head.run_id)
    return None


def is_claimable(queues: Collection[str] = QUEUES, stages: Collection[Stage] = tuple(Stage)) -> bool:
    """Whether a claim would find something now."""
    return next_head(queues, what_is_closed(stages)) is not None


# Taking it ------------------------------------------------------------------------------------------------------------
# Where the database can, the run and its job are locked; what somebody is changing at this moment is passed over, not
# waited for.
_FREE = Objects(
    lambda: (
        StageRun.objects.select_for_update(skip_locked=True, no_key=True, of=("self", "job"))
        .select_related("job", "team")
        .filter(pk=given(StageRun, "id"), state=StageRun.QUEUED)
        .defer(*HEAVY)
    )
)
_TAKEN = Update(
    lambda: StageRun.objects.filter(
        SoonOnDisk(), pk=given(StageRun, "id"), state=StageRun.QUEUED, available_at__lte=Now()
    ),
    lambda: {
        "state": StageRun.RUNNING,
        "token": given(StageRun, "token"),
        "lease_owner": given(StageRun, "lease_owner"),
        "lease_expires_at": Now() + Given("lease", DurationField()),
        "started_at": Now(),
        "ended_at": None,
        "step": "starting",
        "percent": 0,
        "attempts": F("attempts") + 1,
    },
)
_NEW_ATTEMPT = Insert(Attempt)


def _take(head: Head, owner: str) -> Lease | None:
    """The attempt is counted before the work, so that work which kills its worker comes to an end.

    A claim that a crash of the database undoes is like one that never was: its token is good for nothing.
    None when somebody else has it. Raises Full, Conflict.
    """
    token = uuid.uuid4()
    with transaction.atomic():
        run = _FREE.first(id=head.run_id)
        if run is None:
            return None
        _check_room(run)
        if not _TAKEN(id=run.pk, lease_owner=owner, token=token, lease=lease_time()):
            return None
        move_claimed(run.job, owner)
        attempt = Attempt(run=run, number=run.attempts + 1, token=token, worker=owner)
        _NEW_ATTEMPT(attempt)
        remember(head)
    return Lease(run_id=run.pk, token=token, attempt_id=attempt.pk)


def lease_time() -> timedelta:
    """How long a lease lasts from a beat."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def lease_end() -> Any:
    """When a lease that begins now ends, by the database's clock."""
    return Now() + lease_time()


def _check_room(run: StageRun) -> None:
    """Raises Full. The team's row is locked first, so that of two claims for its last place one sees the other."""
    if not has_limits(run.team.running_limit):
        return
    limit = team_limit(run.team.running_limit)
    Team.objects.select_for_update(no_key=True).get(pk=run.team_id)
    running = StageRun.objects.filter(state=StageRun.RUNNING, team_id=run.team_id)
    if limit and reached(running.count(), limit):
        raise Full(team_id=run.team_id)
    if reached(running.filter(batch_id=run.batch_id).count(), settings.BATCH_RUNNING_LIMIT):
        raise Full(batch_id=run.batch_id)
