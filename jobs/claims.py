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
from django.db.models import BooleanField, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Now

from jobs.compiled import Given, Insert, Objects, Rows, Update, given
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
_PAUSES = Rows(lambda: Pause.objects.values_list("key"))
_LOADS = Rows(
    lambda: (
        StageRun.objects.filter(state=StageRun.RUNNING)
        .order_by()
        .values_list("team_id", "team__running_limit", "batch_id")
        .annotate(jobs=Count("pk"))
    )
)
_TURN = Rows(lambda: Turn.objects.filter(key=given(Turn, "key")).values_list("last"))


def what_is_closed(stages: Collection[Stage] = tuple(Stage)) -> Closed:
    """``stages`` are those that the machine may claim."""
    closed = Closed(stages=set(Stage) - set(stages))
    for (key,) in _PAUSES.all():
        kind, _, name = key.partition(":")
        match kind:
            case "queue":
                closed.queues.add(name)
            case "team":
                closed.teams.add(int(name))
            case "batch":
                closed.batches.add(int(name))
    by_team: dict[int, int] = {}
    for team_id, own_limit, batch_id, jobs in _LOADS.all():
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
    lowest: dict[str, int] = {}
    for queue in queues:
        row = None if queue in closed.queues else _LOWEST_RANK.first(queue=queue)
        if row is not None:
            lowest[str(queue)] = row[0]
    for rank in sorted(PRIORITY_NAMES):
        for queue in (queue for queue, first in lowest.items() if first <= rank):
            head = _head_of(queue, rank, closed)
            if head is not None:
                return head
    return None


def _head_of(queue: str, rank: int, closed: Closed) -> Head | None:
    for first in _in_turn("team_id", _last_served(queue), queue=queue, rank=rank, stages=closed.stages):
        if first.team_id in closed.teams:
            continue
        served = _last_served(f"{queue}:{first.team_id}")
        line = {"queue": queue, "rank": rank, "team": first.team_id, "stages": closed.stages, "runs": closed.runs}
        for head in _in_turn("batch_id", served, **line):
            if head.due and head.batch_id not in closed.batches:
                return head
    return None


def _last_served(key: str) -> int:
    last = _TURN.first(key=key)
    return 0 if last is None else int(last[0])


def _in_turn(column: str, served: int, **line: Any) -> Iterator[Head]:
    """The first run of each value of a column: of the values after ``served``, then of the others. Seek by seek."""
    last = served
    while head := _seek(column, after=last, **line):
        yield head
        last = getattr(head, column)
    last = 0
    while head := _seek(column, after=last, up_to=served, **line):
        yield head
        last = getattr(head, column)


def _seek(column: str, *, stages: Collection[Stage] = (), runs: Collection[int] = (), **values: Any) -> Head | None:
    if stages or runs:
        # Now and then: a machine that is kept from a stage, a run that somebody else took in this moment.
        waiting = head_of_line(column, **values, without={"stage__in": stages, "pk__in": runs})
        found = waiting.first()
    else:
        found = _SEEKS[column, "up_to" in values].first(**values)
    if found is None:
        return None
    run_id, queue, team_id, batch_id, is_due = found
    return Head(run_id=run_id, queue=queue, team_id=team_id, batch_id=batch_id, due=is_due)


def in_line(queue: str) -> QuerySet[StageRun]:
    """The queued runs of a queue in the order of the index ``run_to_claim``."""
    return StageRun.objects.filter(state=StageRun.QUEUED, queue=queue).order_by("rank", *BY_INDEX)


def head_of_line(
    column: str,
    *,
    queue: str,
    rank: int,
    after: int,
    up_to: int | None = None,
    team: int | None = None,
    without: dict[str, Any] | None = None,
) -> Any:
    """The first run of the next value of a column (team_id, or batch_id within ``team``): a seek in ``run_to_claim``.

    As a query of one row: id, queue, team, batch, and whether it is due by the database's clock.
    """
    waiting = in_line(queue).filter(rank=rank, **{f"{column}__gt": after}).order_by(*BY_INDEX)
    if up_to is not None:
        waiting = waiting.filter(**{f"{column}__lte": up_to})
    if team is not None:
        waiting = waiting.filter(team_id=team)
    for names, values in (without or {}).items():
        waiting = waiting.exclude(**{names: values})
    due = ExpressionWrapper(Q(available_at__lte=Now()), output_field=BooleanField())
    return waiting.annotate(due=due).values_list("id", "queue", "team_id", "batch_id", "due")[:1]


def _compiled_seek(column: str, *, is_bound: bool) -> Rows:
    def query() -> Any:
        model_column = column.removesuffix("_id")
        limits = {"after": given(StageRun, model_column, name="after")}
        if is_bound:
            limits["up_to"] = given(StageRun, model_column, name="up_to")
        if column == "batch_id":
            limits["team"] = given(StageRun, "team")
        return head_of_line(column, queue=given(StageRun, "queue"), rank=given(StageRun, "rank"), **limits)

    return Rows(query)


_SEEKS = {
    (column, is_bound): _compiled_seek(column, is_bound=is_bound)
    for column in ("team_id", "batch_id")
    for is_bound in (False, True)
}
_LOWEST_RANK = Rows(lambda: in_line(given(StageRun, "queue")).values_list("rank")[:1])


# Taking it ------------------------------------------------------------------------------------------------------------
# Where the database can, rows that another worker is taking at this moment are passed over, not waited for.
_FREE = Objects(
    lambda: (
        StageRun.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("job", "team")
        .filter(pk=given(StageRun, "id"), state=StageRun.QUEUED)
        .defer(*HEAVY)
    )
)
_TAKEN = Update(
    lambda: StageRun.objects.filter(pk=given(StageRun, "id"), state=StageRun.QUEUED, available_at__lte=Now()),
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
_SERVED = Update(lambda: Turn.objects.filter(key=given(Turn, "key")), lambda: {"last": given(Turn, "last")})
_NEW_ATTEMPT = Insert(Attempt)


def _take(head: Head, owner: str) -> Lease | None:
    """The attempt is counted before the work, so that work which kills its worker comes to an end.

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
        move(run.job, "claim", data={"worker": owner})
        attempt = Attempt(run=run, number=run.attempts + 1, token=token, worker=owner)
        _NEW_ATTEMPT(attempt)
        _remember_turn(head)
    return Lease(run_id=run.pk, token=token, attempt_id=attempt.pk)


def lease_time() -> timedelta:
    """How long a lease lasts from a beat."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def lease_end() -> Any:
    """When a lease that begins now ends, by the database's clock."""
    return Now() + lease_time()


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
    for key, last in ((head.queue, head.team_id), (f"{head.queue}:{head.team_id}", head.batch_id)):
        if not _SERVED(key=key, last=last):
            Turn.objects.bulk_create(
                [Turn(key=key, last=last)], update_conflicts=True, unique_fields=["key"], update_fields=["last"]
            )
