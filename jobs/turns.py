"""Turns: which queued work is next.

The order: rank (the priority, risen by age), then in turn the teams, then in turn the batches of a team, then first
come, first served. Work that rose by age gives every second of its turns to the ranks below: else a large batch that
waited long would keep all fresh work waiting until it is done.

Every step is one seek in the index ``run_to_claim``, so that a claim costs as much with a million queued rows as with a
thousand; it costs more only by the teams and batches that are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db.models import (
    BooleanField,
    CharField,
    Count,
    ExpressionWrapper,
    IntegerField,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, Now

from jobs.compiled import Rows, Update, given
from jobs.models import PRIORITY_NAMES, Pause, StageRun, Turn
from jobs.states import Stage

RANKS = sorted(PRIORITY_NAMES)
BY_INDEX = ("team_id", "batch_id", "available_at", "id")
HEAD = ("id", "queue", "rank", "priority", "team_id", "batch_id", "due")


@dataclass(frozen=True, kw_only=True)
class Head:
    """The first run of a batch in a queue and rank. ``due`` by the database's clock.

    ``last_team`` and ``last_batch`` were served before it in its rank, as the look found; 0: nobody. ``aged`` has the
    bit of each rank from which risen work was claimed, and nothing from a rank below since.
    """

    run_id: int
    queue: str
    rank: int
    priority: int
    team_id: int
    batch_id: int
    due: bool
    last_team: int = 0
    last_batch: int = 0
    aged: int = 0

    @property
    def is_risen(self) -> bool:
        return self.rank < self.priority


@dataclass(kw_only=True)
class Closed:
    """What is not claimed from now: paused, or running as many jobs as it may; and runs that others took."""

    stages: set[Stage] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    teams: set[int] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)
    runs: set[int] = field(default_factory=set)


def _pauses_and_loads() -> Any:
    """Rows of a pause's key, or of a team, its limit, its batch and how many of that run."""
    number, word = IntegerField(null=True), CharField()
    nothing = {name: Value(None, output_field=number) for name in ("a", "b", "c")}
    pauses = Pause.objects.order_by().annotate(**nothing, jobs=Value(0)).values_list("key", "a", "b", "c", "jobs")
    running = (
        StageRun.objects.filter(state=StageRun.RUNNING).order_by().values("team_id", "team__running_limit", "batch_id")
    )
    loads = running.annotate(key=Value("", output_field=word), jobs=Count("pk"))
    return pauses.union(loads.values_list("key", "team_id", "team__running_limit", "batch_id", "jobs"), all=True)


_CLOSED = Rows(_pauses_and_loads)
_TURN = Rows(lambda: Turn.objects.filter(key=given(Turn, "key")).values_list("last"))


def what_is_closed(stages: Collection[Stage] = tuple(Stage)) -> Closed:
    """``stages`` are those that the machine may claim."""
    closed = Closed(stages=set(Stage) - set(stages))
    by_team: dict[int, int] = {}
    for key, team_id, own_limit, batch_id, jobs in _CLOSED.all():
        kind, _, name = key.partition(":")
        match kind:
            case "queue":
                closed.queues.add(name)
            case "team":
                closed.teams.add(int(name))
            case "batch":
                closed.batches.add(int(name))
            case _:
                by_team[team_id] = by_team.get(team_id, 0) + jobs
                if reached(by_team[team_id], team_limit(own_limit)):
                    closed.teams.add(team_id)
                if reached(jobs, settings.BATCH_RUNNING_LIMIT):
                    closed.batches.add(batch_id)
    return closed


def team_limit(own: int | None) -> int:
    """How many jobs of a team run at once; 0: no limit. ``own`` is the team's own number."""
    return int(settings.TEAM_RUNNING_LIMIT if own is None else own)


def has_limits(own: int | None) -> bool:
    """Whether there is a number of jobs that run at once, for a team with that number of its own."""
    return bool(team_limit(own) or settings.BATCH_RUNNING_LIMIT)


def reached(jobs: int, limit: int) -> bool:
    """Whether so many running jobs are all that may run; a limit of 0 is none."""
    return 0 < limit <= jobs


def next_head(queues: Collection[str], closed: Closed) -> Head | None:
    """The run that is next by rank, team's turn, batch's turn and time; None when none is due and open."""
    lines: dict[str, tuple[Any, ...]] = {}
    for queue in queues:
        line = None if queue in closed.queues else _LINE.first(queue=queue, turn=_aged_turn(queue))
        if line is not None:
            lines[str(queue)] = line
    for rank in RANKS:
        for queue, (lowest, aged) in lines.items():
            head = _next_from(rank, queue, aged, closed) if lowest <= rank else None
            if head is not None:
                return replace(head, aged=aged)
    return None


def _next_from(rank: int, queue: str, aged: int, closed: Closed) -> Head | None:
    """Who is next in a rank; when that is risen work again, then who is next below it, if anybody."""
    head = _head_of(queue, rank, closed)
    if head is None or not (head.is_risen and aged & 1 << rank):
        return head
    below = (_next_from(lower, queue, aged, closed) for lower in RANKS if lower > rank)
    return next((one for one in below if one is not None), head)


def _head_of(queue: str, rank: int, closed: Closed) -> Head | None:
    line: dict[str, Any] = {"queue": queue, "rank": rank, "stages": closed.stages}
    for first, last_team in _in_turn("team_id", _team_turn(queue, rank), **line):
        if first.team_id in closed.teams:
            continue
        turn = _batch_turn(queue, rank, first.team_id)
        for head, last_batch in _in_turn("batch_id", turn, **line, team=first.team_id, runs=closed.runs):
            if head.due and head.batch_id not in closed.batches:
                return replace(head, last_team=last_team, last_batch=last_batch)
    return None


def _in_turn(column: str, turn: str, **line: Any) -> Iterator[tuple[Head, int]]:
    """The first run of each value of a column, and the value that was served last: of the values behind that one, then
    of the others. Seek by seek; but who is next in turn, which is all that most claims ask for, is one statement."""
    first, served = _next_in_turn(column, turn, **line)
    if first is None:
        return
    yield first, served
    last = getattr(first, column)
    if last > served:
        while head := _seek(column, after=last, **line):
            yield head, served
            last = getattr(head, column)
        last = 0
    while head := _seek(column, after=last, up_to=served, **line):
        yield head, served
        last = getattr(head, column)


def _next_in_turn(column: str, turn: str, **line: Any) -> tuple[Head | None, int]:
    if line["stages"] or line.get("runs"):
        last = _TURN.first(key=turn)
        served = 0 if last is None else int(last[0])
        return _seek(column, after=served, **line) or _seek(column, after=0, up_to=served, **line), served
    found = _NEXT[column].first(turn=turn, **line)
    return (None, 0) if found is None else (_head(found[:-1]), int(found[-1]))


def _seek(column: str, *, stages: Collection[Stage] = (), runs: Collection[int] = (), **values: Any) -> Head | None:
    if stages or runs:
        # Now and then: a machine that is kept from a stage, a run that somebody else took in this moment.
        waiting = head_of_line(column, **values, without={"stage__in": stages, "pk__in": runs})
        found = waiting.first()
    else:
        found = _SEEKS[column, "up_to" in values].first(**values)
    return None if found is None else _head(found)


def _head(row: tuple[Any, ...]) -> Head:
    run_id, queue, rank, priority, team_id, batch_id, is_due = row
    return Head(
        run_id=run_id, queue=queue, rank=rank, priority=priority, team_id=team_id, batch_id=batch_id, due=is_due
    )


# Whose turn it was ----------------------------------------------------------------------------------------------------
# Each rank has turns of its own: what goes between by its urgency or age takes nobody's place among the rest.
def _team_turn(queue: str, rank: int) -> str:
    return f"{queue}/{rank}"


def _batch_turn(queue: str, rank: int, team_id: int) -> str:
    return f"{queue}/{rank}:{team_id}"


def _aged_turn(queue: str) -> str:
    return f"{queue}:aged"


def remember(head: Head) -> None:
    """Writes down, in the transaction of its claim, that it was served, as far as that changes anything."""
    # Its claim answers all risen work above it; risen itself, it has had its turn.
    aged = head.aged >> head.rank << head.rank | head.is_risen << head.rank
    turns = (
        (_team_turn(head.queue, head.rank), head.last_team, head.team_id),
        (_batch_turn(head.queue, head.rank, head.team_id), head.last_batch, head.batch_id),
        (_aged_turn(head.queue), head.aged, aged),
    )
    for key, before, last in turns:
        if before != last:
            set_last(key, last)


def set_last(key: str, last: int) -> None:
    if not _SERVED(key=key, last=last):
        Turn.objects.bulk_create(
            [Turn(key=key, last=last)], update_conflicts=True, unique_fields=["key"], update_fields=["last"]
        )


# The seeks ------------------------------------------------------------------------------------------------------------
def line_of(queue: str, *, turn: str) -> Any:
    """The most urgent rank in which runs of a queue wait, and the queue's turn of that name, or 0: one seek each."""
    aged = Coalesce(Subquery(Turn.objects.filter(key=turn).values("last")), 0)
    return in_line(queue).annotate(aged=aged).values_list("rank", "aged")[:1]


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

    As a query of one row: id, queue, rank, priority, team, batch, and whether it is due by the database's clock.
    """
    waiting = in_line(queue).filter(rank=rank, **{f"{column}__gt": after}).order_by(*BY_INDEX)
    if up_to is not None:
        waiting = waiting.filter(**{f"{column}__lte": up_to})
    if team is not None:
        waiting = waiting.filter(team_id=team)
    for names, values in (without or {}).items():
        waiting = waiting.exclude(**{names: values})
    return waiting.annotate(due=_is_due()).values_list(*HEAD)[:1]


def next_of_line(column: str, *, turn: str, queue: str, rank: int, team: int | None = None) -> Any:
    """The first run of the value of a column that is next in turn: two seeks as of ``head_of_line``, in one statement.

    As a query of one row: as ``head_of_line``, and the value that was served last, or 0.
    """
    served = Coalesce(Subquery(Turn.objects.filter(key=turn).values("last")), 0)
    waiting = in_line(queue).filter(rank=rank).order_by(*BY_INDEX)
    if team is not None:
        waiting = waiting.filter(team_id=team)
    behind = waiting.filter(**{f"{column}__gt": served}).values("pk")[:1]
    before = waiting.filter(**{f"{column}__lte": served}).values("pk")[:1]
    found = StageRun.objects.filter(pk=Coalesce(Subquery(behind), Subquery(before))).order_by()
    return found.annotate(due=_is_due(), served=served).values_list(*HEAD, "served")


def _is_due() -> Any:
    return ExpressionWrapper(Q(available_at__lte=Now()), output_field=BooleanField())


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


def _compiled_next(column: str) -> Rows:
    def query() -> Any:
        team = given(StageRun, "team") if column == "batch_id" else None
        places = {"queue": given(StageRun, "queue"), "rank": given(StageRun, "rank")}
        return next_of_line(column, turn=given(Turn, "key", name="turn"), team=team, **places)

    return Rows(query)


_NEXT = {column: _compiled_next(column) for column in ("team_id", "batch_id")}
_LINE = Rows(lambda: line_of(given(StageRun, "queue"), turn=given(Turn, "key", name="turn")))
_SERVED = Update(lambda: Turn.objects.filter(key=given(Turn, "key")), lambda: {"last": given(Turn, "last")})
