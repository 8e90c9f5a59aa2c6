"""Claims: which queued work a worker gets, and the lease that it gets with it.

The order: rank (the priority, risen by age), then in turn the teams, then in turn the batches of a team, then first
come, first served. Every step is one seek in the index ``run_to_claim``, so that a claim costs as much with a million
queued rows as with a thousand; it costs more only by the teams and batches that are passed over.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Now

from jobs.errors import Conflict
from jobs.lifecycle import move
from jobs.models import PRIORITY_NAMES, Attempt, Pause, StageRun, Team, Turn
from jobs.states import QUEUES, Stage

CLAIM_TRIES = 20
BY_INDEX = ("team_id", "batch_id", "available_at", "id")
HEAVY = ("result", "metrics", "error")


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to work on a run. Whoever holds the token may beat and finish; nobody else."""

    run_id: int
    token: uuid.UUID
    attempt_id: int


@dataclass(frozen=True, kw_only=True)
class Head:
    """The first run of a batch in a queue and rank. ``due`` by the database's clock."""

    run_id: int
    queue: str
    team_id: int
    batch_id: int
    due: bool


@dataclass(kw_only=True)
class Closed:
    """What is not claimed from now: paused, or running as many jobs as it may; and runs that others took."""

    stages: set[Stage] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    teams: set[int] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)
    runs: set[int] = field(default_factory=set)


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


# Who is next ----------------------------------------------------------------------------------------------------------
def what_is_closed(stages: Collection[Stage] = tuple(Stage)) -> Closed:
    """``stages`` are those that the machine may claim."""
    closed = Closed(stages=set(Stage) - set(stages))
    for key in Pause.objects.values_list("key", flat=True):
        kind, _, name = key.partition(":")
        match kind:
            case "queue":
                closed.queues.add(name)
            case "team":
                closed.teams.add(int(name))
            case "batch":
                closed.batches.add(int(name))
    running = StageRun.objects.filter(state=StageRun.RUNNING).order_by()
    loads = running.values_list("team_id", "team__running_limit", "batch_id").annotate(jobs=Count("pk"))
    by_team: dict[int, int] = {}
    for team_id, own_limit, batch_id, jobs in loads:
        by_team[team_id] = by_team.get(team_id, 0) + jobs
        if _reached(by_team[team_id], team_limit(own_limit)):
            closed.teams.add(team_id)
        if _reached(jobs, settings.BATCH_RUNNING_LIMIT):
            closed.batches.add(batch_id)
    return closed


def team_limit(own: int | None) -> int:
    """How many jobs of a team run at once; 0: no limit. ``own`` is the team's own number."""
    return int(settings.TEAM_RUNNING_LIMIT if own is None else own)


def has_limits(team: Team) -> bool:
    return bool(team_limit(team.running_limit) or settings.BATCH_RUNNING_LIMIT)


def _reached(jobs: int, limit: int) -> bool:
    return 0 < limit <= jobs


def next_head(queues: Collection[str], closed: Closed) -> Head | None:
    """The run that is next by rank, team's turn, batch's turn and time; None when none is due and open."""
    open_queues = [str(queue) for queue in queues if queue not in closed.queues]
    turns = dict(Turn.objects.filter(key__in=open_queues).values_list("key", "last"))
    for rank in sorted(PRIORITY_NAMES):
        for queue in open_queues:
            head = _head_of(queue, rank, turns.get(queue, 0), closed)
            if head is not None:
                return head
    return None


def _head_of(queue: str, rank: int, served: int, closed: Closed) -> Head | None:
    waiting = in_line(queue, rank)
    if closed.stages:
        waiting = waiting.exclude(stage__in=closed.stages)
    for first in _in_turn(waiting, "team_id", served):
        if first.team_id in closed.teams:
            continue
        of_team = waiting.filter(team_id=first.team_id)
        turn = Turn.objects.filter(key=f"{queue}:{first.team_id}").values_list("last", flat=True).first()
        for head in _in_turn(of_team.exclude(pk__in=closed.runs), "batch_id", turn or 0):
            if head.due and head.batch_id not in closed.batches:
                return head
    return None


def in_line(queue: str, rank: int) -> QuerySet[StageRun]:
    """The queued runs of a queue and rank in the order of the index ``run_to_claim``."""
    return StageRun.objects.filter(state=StageRun.QUEUED, queue=queue, rank=rank).order_by(*BY_INDEX)


def _in_turn(waiting: QuerySet[StageRun], column: str, served: int) -> Iterator[Head]:
    """The first run of each value of a column: of the values after ``served``, then of the others. Seek by seek."""
    last = served
    while head := _first(waiting.filter(**{f"{column}__gt": last})):
        yield head
        last = getattr(head, column)
    last = 0
    while head := _first(waiting.filter(**{f"{column}__gt": last, f"{column}__lte": served})):
        yield head
        last = getattr(head, column)


def _first(waiting: QuerySet[StageRun]) -> Head | None:
    due = ExpressionWrapper(Q(available_at__lte=Now()), output_field=BooleanField())
    found = waiting.annotate(due=due).values_list("id", "queue", "team_id", "batch_id", "due").first()
    if found is None:
        return None
    run_id, queue, team_id, batch_id, is_due = found
    return Head(run_id=run_id, queue=queue, team_id=team_id, batch_id=batch_id, due=is_due)


# Taking it ------------------------------------------------------------------------------------------------------------
def _take(head: Head, owner: str) -> Lease | None:
    """The attempt is counted before the work, so that work which kills its worker comes to an end.

    None when somebody else has it. Raises Full, Conflict.
    """
    token = uuid.uuid4()
    with transaction.atomic():
        # Where the database can, rows that another worker is taking at this moment are passed over, not waited for.
        rows = StageRun.objects.select_for_update(skip_locked=True, of=("self",)).select_related("job", "team")
        run = rows.filter(pk=head.run_id, state=StageRun.QUEUED).defer(*HEAVY).first()
        if run is None:
            return None
        _check_room(run)
        taken = StageRun.objects.filter(pk=run.pk, state=StageRun.QUEUED, available_at__lte=Now()).update(
            **leased_by(owner, token), attempts=F("attempts") + 1
        )
        if not taken:
            return None
        move(run.job, "claim", data={"worker": owner})
        attempt = Attempt.objects.create(run=run, number=run.attempts + 1, token=token, worker=owner)
        _remember_turn(head)
    return Lease(run_id=run.pk, token=token, attempt_id=attempt.pk)


def leased_by(owner: str, token: uuid.UUID) -> dict[str, Any]:
    """The columns of a run that was just claimed."""
    return {
        "state": StageRun.RUNNING,
        "token": token,
        "lease_owner": owner,
        "lease_expires_at": lease_end(),
        "started_at": Now(),
        "ended_at": None,
        "step": "starting",
        "percent": 0,
    }


def lease_end() -> Any:
    """When a lease that begins now ends, by the database's clock."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _check_room(run: StageRun) -> None:
    """Raises Full. The team's row is locked first, so that of two claims for its last place one sees the other."""
    if not has_limits(run.team):
        return
    limit = team_limit(run.team.running_limit)
    Team.objects.select_for_update(no_key=True).get(pk=run.team_id)
    running = StageRun.objects.filter(state=StageRun.RUNNING, team_id=run.team_id)
    if limit and _reached(running.count(), limit):
        raise Full(team_id=run.team_id)
    if _reached(running.filter(batch_id=run.batch_id).count(), settings.BATCH_RUNNING_LIMIT):
        raise Full(batch_id=run.batch_id)


def _remember_turn(head: Head) -> None:
    Turn.objects.bulk_create(
        [
            Turn(key=head.queue, last=head.team_id),
            Turn(key=f"{head.queue}:{head.team_id}", last=head.batch_id),
        ],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["last"],
    )
