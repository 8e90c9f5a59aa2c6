"""The figures of the dashboard: what the history of the last days adds up to. Numbers only; ``charts`` draws them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median

from django.contrib.auth.models import User
from django.db.models import Count
from django.utils import timezone

from jobs import clock
from jobs.deadletters import by_cause, letters
from jobs.models import Event, Job
from jobs.states import Stage, State
from review.decisions import DECISIONS
from review.waiting import WAITING_STATES

PERIODS = (7, 30, 90)
"""Days."""
MOST_MOVES = 50_000
"""Of the newest history; a busy team's older days are left out, and the figures say so."""
MOST_ROWS = 10
OUTCOMES = {State.DONE: "Completed", State.FAILED: "Failed", State.CANCELLED: "Cancelled"}
DONE_WITH_WORK = frozenset({"ingest", "prepare", "deploy", "find_faults"})


@dataclass(frozen=True, kw_only=True)
class Series:
    """``values`` belong to the figure's labels, in order; None where there is nothing to tell. ``colour``: a token."""

    name: str
    colour: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One chart and its table. ``unit`` is ``jobs`` or ``seconds``; ``kind`` is ``days`` (upright) or ``bars``."""

    key: str
    title: str
    note: str
    first_column: str
    unit: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    kind: str = "bars"
    stacked: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(value for series in self.series for value in series.values)

    @property
    def rows(self) -> list[tuple[str, list[float | None]]]:
        """The table: a label with its values by series."""
        return [(label, [series.values[at] for series in self.series]) for at, label in enumerate(self.labels)]


@dataclass(frozen=True, kw_only=True)
class Move:
    job_id: int
    verb: str
    from_stage: int
    from_state: str
    to_state: str
    actor: str
    at: datetime


@dataclass(kw_only=True)
class Tally:
    """What one walk through the moves adds up. Times in seconds, by stage."""

    outcomes: dict[date, dict[str, set[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    work: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    wait_for_worker: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    wait_for_person: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    decided: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """``cut_at`` is the oldest moment that was looked at when the history was too long for the whole period."""

    days: int
    figures: tuple[Figure, ...]
    cut_at: datetime | None


def figures(user: User, days: int) -> Figures:
    """What the person's teams did in the last ``days`` days, today included. A handful of queries, flat memory."""
    today = timezone.localdate(clock.now())
    first = today - timedelta(days=days - 1)
    since = timezone.make_aware(datetime.combine(first, datetime.min.time()))
    moves = _moves(user, since)
    cut_at = moves[0].at if len(moves) == MOST_MOVES else None
    tally = _tally(moves)
    return Figures(
        days=days,
        cut_at=cut_at,
        figures=(
            _jobs_per_day(tally, [first + timedelta(days=n) for n in range(days)]),
            _time_per_stage(tally),
            _waits(tally),
            _load(user, tally),
            _causes(user),
        ),
    )


def _moves(user: User, since: datetime) -> list[Move]:
    """The newest moves since then, the oldest of them first."""
    moves = Event.objects.visible_to(user).filter(version__isnull=False, at__gte=since).order_by("-at", "-id")
    columns = ("job_id", "verb", "from_stage", "from_state", "to_state", "actor__username", "at")
    rows = list(moves.values_list(*columns)[:MOST_MOVES])
    rows.reverse()
    return [
        Move(
            job_id=job_id or 0,
            verb=verb,
            from_stage=from_stage or 0,
            from_state=from_state,
            to_state=to_state,
            actor=actor or "",
            at=at,
        )
        for job_id, verb, from_stage, from_state, to_state, actor, at in rows
    ]


def _tally(moves: Iterable[Move]) -> Tally:
    tally = Tally()
    for move, seconds in _with_pauses(moves):
        if move.to_state in OUTCOMES:
            tally.outcomes[timezone.localdate(move.at)][move.to_state].add(move.job_id)
        if move.verb in DECISIONS and move.actor:
            tally.decided[move.actor] += 1
        if seconds is None:
            continue
        if move.verb in DONE_WITH_WORK:
            tally.work[move.from_stage].append(seconds)
        elif move.verb == "claim":
            tally.wait_for_worker[move.from_stage].append(seconds)
        elif move.verb in DECISIONS:
            tally.wait_for_person[move.from_stage].append(seconds)
    return tally


def _with_pauses(moves: Iterable[Move]) -> Iterator[tuple[Move, float | None]]:
    """Each move with the seconds since the job came to where it was; None when that is not known."""
    before: dict[int, datetime] = {}
    for move in moves:
        last = before.get(move.job_id)
        # Machines' clocks differ a little; a wait is never negative.
        yield move, None if last is None else max(0.0, (move.at - last).total_seconds())
        if not move.from_state == move.to_state == State.IN_REVIEW:  # an amended match waits on
            before[move.job_id] = move.at


def _jobs_per_day(tally: Tally, days: list[date]) -> Figure:
    colours = {State.DONE: "ok", State.FAILED: "bad", State.CANCELLED: "line-strong"}
    return Figure(
        key="jobs-per-day",
        title="Jobs per day, by outcome",
        note="A job counts once a day for each outcome.",
        first_column="Day",
        unit="jobs",
        kind="days",
        stacked=True,
        labels=tuple(f"{day.day} {day:%b}" for day in days),
        series=tuple(
            Series(
                name=name,
                colour=colours[state],
                values=tuple(len(tally.outcomes[day][state]) if day in tally.outcomes else 0 for day in days),
            )
            for state, name in OUTCOMES.items()
        ),
    )


def _time_per_stage(tally: Tally) -> Figure:
    return Figure(
        key="time-per-stage",
        title="Work per stage",
        note="From the claim by a worker to the end; work that failed is left out.",
        first_column="Stage",
        unit="seconds",
        labels=tuple(stage.label for stage in Stage),
        series=_typical(tally.work, "accent", "cyan"),
    )


def _waits(tally: Tally) -> Figure:
    return Figure(
        key="waits",
        title="Waits",
        note="Half of the jobs waited less than this: in the queue for a worker, and ready for a person's decision.",
        first_column="Stage",
        unit="seconds",
        labels=tuple(stage.label for stage in Stage),
        series=(
            Series(name="For a worker", colour="accent", values=_by_stage(tally.wait_for_worker, median)),
            Series(name="For a person", colour="warn", values=_by_stage(tally.wait_for_person, median)),
        ),
    )


def _load(user: User, tally: Tally) -> Figure:
    open_jobs = Job.objects.visible_to(user).filter(state__in=WAITING_STATES, assignee__isnull=False).order_by()
    waiting = dict(open_jobs.values_list("assignee__username").annotate(jobs=Count("pk")))
    people = sorted(waiting.keys() | tally.decided.keys(), key=lambda name: (-waiting.get(name, 0), name))[:MOST_ROWS]
    return Figure(
        key="load",
        title="Reviewers' load",
        note="What waits for people by name, and what they decided in these days.",
        first_column="Person",
        unit="jobs",
        labels=tuple(people),
        series=(
            Series(name="Waiting now", colour="warn", values=tuple(waiting.get(name, 0) for name in people)),
            Series(name="Decided", colour="ok", values=tuple(tally.decided.get(name, 0) for name in people)),
        ),
    )


def _causes(user: User) -> Figure:
    causes = by_cause(letters(user))[:MOST_ROWS]
    return Figure(
        key="causes",
        title="Failures by cause",
        note="Failed jobs that nobody has dealt with yet.",
        first_column="Cause",
        unit="jobs",
        labels=tuple(f"{cause.stage_label}: {cause.error.splitlines()[0] if cause.error else '?'}" for cause in causes),
        series=(Series(name="Jobs", colour="bad", values=tuple(cause.jobs for cause in causes)),),
    )


def _typical(times: dict[int, list[float]], half: str, most: str) -> tuple[Series, ...]:
    return (
        Series(name="Half are done within", colour=half, values=_by_stage(times, median)),
        Series(name="Nine of ten within", colour=most, values=_by_stage(times, _nine_of_ten)),
    )


def _by_stage(times: dict[int, list[float]], what: Callable[[list[float]], float]) -> tuple[float | None, ...]:
    return tuple(round(what(times[stage]), 1) if times.get(stage) else None for stage in Stage)


def _nine_of_ten(times: list[float]) -> float:
    """The smallest of the times that nine of ten stay within (nearest rank)."""
    ordered = sorted(times)
    return ordered[-(-len(ordered) * 9 // 10) - 1]
