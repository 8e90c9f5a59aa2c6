"""How long the machines still need for a batch, as an interval, from what the same stages took before.

Only what was started counts, and only up to the next decision: how long people take is theirs.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, Q
from django.utils import timezone

from batches.figures import Figures
from jobs import pauses
from jobs.models import Job, StageRun
from jobs.states import Stage, State

if TYPE_CHECKING:
    from batches.models import Batch

RECENT = 200
"""Preparations of each stage of a team that the history goes back."""
ENOUGH = 5
"""Of a template's own; with fewer, those of the team's other templates count too."""
RATE_WINDOW = timedelta(minutes=10)
Z = 1.645
"""Of a normal distribution: nine in ten lie between."""
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


@dataclass(frozen=True)
class History:
    """What was prepared lately, newest first."""

    past: tuple[Past, ...] = ()
    _by_stage: dict[Stage, list[Past]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for one in self.past:
            self._by_stage[one.stage].append(one)

    def spread(self, stage: Stage, template: str) -> Spread | None:
        """Of the template's own preparations, else of the stage's; None when there are none."""
        there = self._by_stage.get(stage, [])
        own = [one.seconds for one in there if one.template == template]
        chosen = own if len(own) >= ENOUGH else [one.seconds for one in there]
        return spread_of(chosen) if chosen else None

    def rate_per_minute(self, batch_id: int, now: datetime) -> float:
        """Preparations of a batch that ended in the last minutes, a minute."""
        ended = [one.ended_at for one in self.past if one.batch_id == batch_id and now - one.ended_at <= RATE_WINDOW]
        if not ended:
            return 0.0
        # Where the history goes back less far than the window, it is the window.
        oldest = min(one.ended_at for one in self.past)
        minutes = min(RATE_WINDOW, max(now - oldest, timedelta(seconds=30))) / timedelta(minutes=1)
        return len(ended) / minutes


def history_of(team_ids: Iterable[int]) -> History:
    """The newest preparations of the teams, by stage: one query, that an index answers."""
    newest = Q(pk__in=[])
    for team_id in team_ids:
        for stage in Stage:
            done = StageRun.objects.filter(team_id=team_id, stage=stage, state=StageRun.DONE)
            newest |= Q(pk__in=done.order_by("-id").values("pk")[:RECENT])
    rows = StageRun.objects.filter(newest, started_at__isnull=False, ended_at__gte=F("started_at")).order_by("-id")
    values = rows.values_list("batch_id", "stage", "job__project_path", "started_at", "ended_at")
    found: Iterable[tuple[int, int, str, Any, Any]] = values
    return History(
        tuple(
            Past(
                batch_id=batch, stage=Stage(stage), template=template, seconds=(to - since).total_seconds(), ended_at=to
            )
            for batch, stage, template, since, to in found
        )
    )


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


def forecast(work: Work, history: History, *, at_once: int) -> Forecast:
    """When ``work`` is done by ``at_once`` workers that do nothing else."""
    mean = variance = longest = share = 0.0
    for (stage, template), jobs in work.items():
        for following in FOLLOWS.get(stage, (stage,)):
            spread = history.spread(following, template)
            if spread is None:
                return UNKNOWN
            mean += jobs * spread.mean
            variance += jobs * spread.deviation**2
            # The mean of what is to come is known as well as the examples allow.
            share = max(share, spread.deviation / spread.mean / math.sqrt(ENOUGH)) if spread.mean else share
            longest = max(longest, spread.long)
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


def work_of(batch_ids: Iterable[int]) -> dict[int, Counter[tuple[Stage, str]]]:
    """Jobs that are queued or running, by batch. One query."""
    work: dict[int, Counter[tuple[Stage, str]]] = defaultdict(Counter)
    rows = Job.objects.filter(batch__in=list(batch_ids), state__in=[State.QUEUED, State.RUNNING]).order_by()
    for batch, stage, template, jobs in rows.values_list("batch", "stage", "project_path").annotate(jobs=Count("pk")):
        work[batch][Stage(stage), template] += jobs
    return work


def by_stage(figures: Figures) -> dict[tuple[Stage, str], int]:
    """As ``work_of``, without a look at the templates: for lists, where an estimate by stage must do."""
    at_work = {State.QUEUED, State.RUNNING}
    work: Counter[tuple[Stage, str]] = Counter()
    for (stage, state), jobs in figures.jobs.items():
        if state in at_work:
            work[stage, ""] += jobs
    return dict(work)


def of_batch(figures: Figures, work: Work, running: int, history: History, *, paused: bool = False) -> Forecast | None:
    """The forecast of a batch; None when no machine has anything to do for it.

    It goes by as many workers as are at work on the batch now: the others work for somebody else.
    """
    if not figures.counts["processing"]:
        return None
    if paused and not running:
        return Forecast(text="Paused")
    if not running:
        return Forecast(text="Waits for a worker")
    return forecast(work, history, at_once=running)


def templates_of(batch: Batch) -> list[dict[str, Any]]:
    """The templates (pipelines) of a batch with the jobs of each, most jobs first."""
    rows = batch.jobs.order_by().values("project_path").annotate(jobs=Count("pk")).order_by("-jobs", "project_path")
    return [{"name": row["project_path"], "jobs": row["jobs"]} for row in rows]


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Everything that is counted of one batch."""

    state: str
    figures: Figures
    templates: list[dict[str, Any]]
    rate_per_minute: float
    forecast: Forecast | None


def stats_of(batch: Batch) -> Stats:
    """Four queries; the history only while machines are at work."""
    figures = batch.figures
    at_work = bool(figures.counts["processing"])
    history = history_of([batch.team_id]) if at_work else History()
    work = work_of([batch.pk])[batch.pk] if at_work else {}
    running = figures.running
    return Stats(
        state=figures.state,
        figures=figures,
        templates=templates_of(batch),
        rate_per_minute=round(history.rate_per_minute(batch.pk, timezone.now()), 2),
        forecast=of_batch(figures, work, running, history, paused=at_work and pauses.is_paused(pauses.of_batch(batch))),
    )


def describe(batch: Batch, figures: Figures, templates: list[dict[str, Any]]) -> str:
    """The batch's description, or one from what is in it: "12 designs into Card.aepx"."""
    if batch.description:
        return batch.description
    designs = f"{figures.total} design{'' if figures.total == 1 else 's'}"
    if not templates:
        return designs
    into = templates[0]["name"].rpartition("/")[2] if len(templates) == 1 else f"{len(templates)} templates"
    return f"{designs} into {into}"
