"""How long machines need for work, as an interval, from what the same stages took before, by template."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any, TypeVar

from django.db.models import F, QuerySet

from jobs.compiled import Rows, given
from jobs.models import StageRun
from jobs.states import Stage

K = TypeVar("K")
RECENT = 200
"""Preparations of each stage of a team that the history goes back."""
ENOUGH = 5
"""Of a template's own; with fewer, those of the team's other templates count too."""
RATE_WINDOW = timedelta(minutes=10)
Z = 1.645
"""Of a normal distribution: nine in ten lie between."""
MOST_TEAMS = 50
"""In one union, which has a part for each of their stages; SQLite takes 500."""
COLUMNS = ("pk", "batch_id", "stage", "job__project_path", "started_at", "ended_at", "percent", "state")
"""What is read of preparations."""
FOLLOWS = {Stage.INGESTION: (Stage.INGESTION, Stage.MATCHING)}
"""What machines do without a decision in between; elsewhere the stage alone."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """One preparation that ended well."""

    batch_id: int
    stage: Stage
    template: str
    seconds: float
    ended_at: datetime


@dataclass(frozen=True, kw_only=True)
class Running:
    """One preparation that is under way."""

    batch_id: int
    stage: Stage
    template: str
    percent: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of durations, seconds: the mean without its extremes, their deviation, and a long one."""

    mean: float
    deviation: float
    long: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """``low_seconds`` and ``high_seconds`` are None when there is no history to go by. ``text`` is for people."""

    text: str
    low_seconds: float | None = None
    high_seconds: float | None = None


UNKNOWN = Forecast(text="Time unknown: nothing like it was prepared before")
Work = Mapping[tuple[Stage, str], int]
"""Jobs at work, by the stage they are prepared for and their template."""
UnderWay = Mapping[tuple[Stage, str], Sequence[float]]
"""How far those of them are that run, 0 to 1 of their stage."""


@dataclass(frozen=True)
class History:
    """What was prepared lately, newest first, and what is under way now."""

    past: tuple[Past, ...] = ()
    running: tuple[Running, ...] = ()
    _spreads: dict[tuple[Stage, str], Spread | None] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _by_stage(self) -> Mapping[Stage, list[Past]]:
        return _sorted_by(self.past, lambda one: one.stage)

    @cached_property
    def _by_batch(self) -> Mapping[int, list[Past]]:
        return _sorted_by(self.past, lambda one: one.batch_id)

    @cached_property
    def _oldest(self) -> datetime:
        return min(one.ended_at for one in self.past)

    def spread(self, stage: Stage, template: str) -> Spread | None:
        """Of the template's own preparations, else of the stage's; None when there are none."""
        if (stage, template) not in self._spreads:
            there = self._by_stage.get(stage, [])
            own = [one.seconds for one in there if one.template == template]
            chosen = own if len(own) >= ENOUGH else [one.seconds for one in there]
            self._spreads[stage, template] = spread_of(chosen) if chosen else None
        return self._spreads[stage, template]

    def rate_per_minute(self, batch_id: int, now: datetime) -> float:
        """Preparations of a batch that ended in the last minutes, a minute."""
        ended = [one for one in self._by_batch.get(batch_id, []) if now - one.ended_at <= RATE_WINDOW]
        if not ended:
            return 0.0
        # Where the history goes back less far than the window, it is the window.
        minutes = min(RATE_WINDOW, max(now - self._oldest, timedelta(seconds=30))) / timedelta(minutes=1)
        return len(ended) / minutes


def _sorted_by(past: Iterable[Past], key: Callable[[Past], K]) -> dict[K, list[Past]]:
    found: dict[K, list[Past]] = defaultdict(list)
    for one in past:
        found[key(one)].append(one)
    return found


def history_of(team_ids: Iterable[int]) -> History:
    """The newest preparations of the teams, by stage, and those that run: a query of every fifty teams, by index.

    A union, and no condition with OR: for that PostgreSQL reads all preparations and all jobs there are.
    """
    teams = sorted(team_ids)
    rows: list[tuple[Any, ...]] = []
    while teams:
        some, teams = teams[:MOST_TEAMS], teams[MOST_TEAMS:]
        rows += _newest_of(len(some)).all(**{f"team_{number}": team for number, team in enumerate(some)})
    rows.sort(key=lambda row: row[0], reverse=True)
    return History(
        past=tuple(_past(row) for row in rows if row[-1] == StageRun.DONE),
        running=tuple(_running(row) for row in rows if row[-1] == StageRun.RUNNING),
    )


def _running(row: tuple[Any, ...]) -> Running:
    _, batch, stage, template, _, _, percent, _ = row
    return Running(batch_id=batch, stage=Stage(stage), template=template, percent=percent)


def _past(row: tuple[Any, ...]) -> Past:
    _, batch, stage, template, since, to, *_ = row
    seconds = (to - since).total_seconds()
    return Past(batch_id=batch, stage=Stage(stage), template=template, seconds=seconds, ended_at=to)


@cache
def _newest_of(count: int) -> Rows:
    """The preparations of so many teams: ``team_0``, ``team_1``, ..."""

    def query() -> QuerySet[StageRun, Any]:
        teams = [given(StageRun, "team", name=f"team_{number}") for number in range(count)]
        first, *others = [_newest(team, stage) for team in teams for stage in Stage]
        return first.union(*others, *map(_under_way, teams), all=True)

    return Rows(query)


def _newest(team: Any, stage: Stage) -> QuerySet[StageRun, Any]:
    done = StageRun.objects.filter(team=team, stage=stage, state=StageRun.DONE)
    newest = StageRun.objects.filter(pk__in=done.order_by("-id").values("pk")[:RECENT])
    ended = newest.filter(started_at__isnull=False, ended_at__gte=F("started_at")).order_by()
    return ended.values_list(*COLUMNS)


def _under_way(team: Any) -> Any:
    running = StageRun.objects.filter(team=team, state=StageRun.RUNNING).order_by()
    return running.values_list(*COLUMNS)


def spread_of(seconds: list[float]) -> Spread:
    """The extremes are drawn in to the tenth and the ninetieth percent: one stuck preparation must not spoil all."""
    ordered = sorted(seconds)
    low, long = _quantile(ordered, 0.1), _quantile(ordered, 0.9)
    drawn = [min(max(one, low), long) for one in ordered]
    mean = sum(drawn) / len(drawn)
    variance = sum((one - mean) ** 2 for one in drawn) / max(len(drawn) - 1, 1)
    # What was drawn in varies less than it did; and with few examples we know the mean itself badly.
    deviation = 1.3 * math.sqrt(variance)
    return Spread(mean=mean, deviation=max(deviation, 0.1 * mean), long=long)


def _quantile(ordered: list[float], part: float) -> float:
    at = part * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def forecast(work: Work, history: History, *, at_once: int, under_way: UnderWay | None = None) -> Forecast:
    """When ``work`` is done by ``at_once`` workers that do nothing else. What is done of its running stages is done."""
    mean = variance = longest = share = 0.0
    for (stage, template), jobs in work.items():
        for following in FOLLOWS.get(stage, (stage,)):
            spread = history.spread(following, template)
            if spread is None:
                return UNKNOWN
            parts = (under_way or {}).get((stage, template), ()) if following is stage else ()
            # The percent of a stage is no exact clock: what is left of one varies as so much work of its own.
            left = max(jobs - sum(parts), 0.0)
            mean += left * spread.mean
            variance += left * spread.deviation**2
            # The mean of what is to come is known as well as the examples allow.
            share = max(share, spread.deviation / spread.mean / math.sqrt(ENOUGH)) if spread.mean else share
            # Only what nobody has begun can still take the others' whole time.
            longest = max(longest, spread.long * (1.0 if jobs > len(parts) else 1.0 - min(parts, default=0.0)))
    workers = max(at_once, 1)
    doubt = Z * math.sqrt(variance + (share * mean) ** 2)
    low = max(mean - doubt, 0.25 * mean) / workers
    high = (mean + doubt) / workers + (longest if workers > 1 else 0.0)
    return Forecast(text=in_words(low, high), low_seconds=round(low, 1), high_seconds=round(high, 1))


def in_words(low: float, high: float) -> str:
    """ "about 12 to 18 min": both ends in the unit of the upper one."""
    if high < 5:
        return "a few seconds"
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if high < 100 * seconds or unit == "h":
            first, last = max(round(low / seconds), 1), max(round(high / seconds), 1)
            return f"about {first} {unit}" if first == last else f"about {first} to {last} {unit}"
    raise AssertionError("hours take everything")


def of_job(team_id: int, stage: Stage, template: str, percent: float) -> Forecast:
    """When the machines are done with a job that runs, up to the next decision. ``percent`` of its stage. One query."""
    first, *others = [_newest(team_id, one) for one in FOLLOWS.get(stage, (stage,))]
    rows = first.union(*others, all=True) if others else first
    kind = (stage, template)
    return forecast({kind: 1}, History(tuple(map(_past, rows))), at_once=1, under_way={kind: [percent / 100]})
