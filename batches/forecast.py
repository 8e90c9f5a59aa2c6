"""How long the machines still need for a batch, and everything else that is counted of it.

Only what was started counts, and only up to the next decision: how long people take is theirs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batches.figures import Counted, Figures, counted_by
from jobs import clock, pauses
from jobs.forecast import Forecast, History, UnderWay, Work, forecast, history_of
from jobs.states import Stage, State

if TYPE_CHECKING:
    from batches.models import Batch

AT_WORK = frozenset({State.QUEUED, State.RUNNING})


def by_stage(figures: Figures) -> dict[tuple[Stage, str], int]:
    """Jobs that are queued or running, without a look at the templates: for lists, where that must do."""
    work: Counter[tuple[Stage, str]] = Counter()
    for (stage, state), jobs in figures.jobs.items():
        if state in AT_WORK:
            work[stage, ""] += jobs
    return dict(work)


def parts_done(runs: Iterable[tuple[int, str, float]]) -> UnderWay:
    """From (stage, template, percent) of each stage that runs."""
    parts: dict[tuple[Stage, str], list[float]] = defaultdict(list)
    for stage, template, percent in runs:
        parts[Stage(stage), template].append(percent / 100)
    return parts


def of_batch(
    figures: Figures,
    work: Work,
    running: int,
    history: History,
    *,
    under_way: UnderWay | None = None,
    paused: bool = False,
) -> Forecast | None:
    """The forecast of a batch; None when no machine has anything to do for it.

    It goes by as many workers as are at work on the batch now: the others work for somebody else. ``under_way`` has
    the keys of ``work``.
    """
    if not figures.counts["processing"]:
        return None
    if paused and not running:
        return Forecast(text="Paused")
    if not running:
        return Forecast(text="Waits for a worker")
    return forecast(work, history, at_once=running, under_way=under_way)


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Everything that is counted of one batch."""

    state: str
    description: str
    figures: Figures
    templates: list[dict[str, Any]]
    rate_per_minute: float
    forecast: Forecast | None


def stats_of(batch: Batch, *, paused: bool | None = None) -> Stats:
    """One query, and two more while machines are at work. ``paused``: whether the batch is, where that is known.

    The batch gets these figures.
    """
    templates: Counter[str] = Counter()
    work: Counter[tuple[Stage, str]] = Counter()
    counted: list[Counted] = []
    for template, row in counted_by(batch.jobs.all(), "project_path"):
        counted.append(row)
        templates[template] += row.jobs
        if row.state in AT_WORK:
            work[row.stage, template] += row.jobs
    batch.figures = figures = Figures.of(counted)
    history = history_of([batch.team_id]) if work else History()
    if paused is None:
        paused = bool(work) and pauses.is_paused(pauses.of_batch(batch))
    under_way = parts_done(
        (one.stage, one.template, one.percent) for one in history.running if one.batch_id == batch.pk
    )
    ranked = sorted(templates.items(), key=lambda item: (-item[1], item[0]))
    named = [{"name": name, "jobs": jobs} for name, jobs in ranked]
    return Stats(
        state=figures.state,
        description=_describe(batch, figures, named),
        figures=figures,
        templates=named,
        rate_per_minute=round(history.rate_per_minute(batch.pk, clock.now()), 2),
        forecast=of_batch(figures, work, figures.running, history, under_way=under_way, paused=paused),
    )


def _describe(batch: Batch, figures: Figures, templates: list[dict[str, Any]]) -> str:
    """The batch's description, or one from what is in it: "12 designs into Card.aepx"."""
    if batch.description:
        return batch.description
    designs = f"{figures.total:,} design{'' if figures.total == 1 else 's'}"
    if not templates:
        return designs
    into = templates[0]["name"].rpartition("/")[2] if len(templates) == 1 else f"{len(templates)} templates"
    return f"{designs} into {into}"
