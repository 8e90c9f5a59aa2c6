"""The figures of batches: jobs by stage and state, bytes in and out, percent done. One query for many batches."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet, Sum

from batches.rollup import BATCH_STATES, COUNTS, batch_state
from jobs.models import Job
from jobs.states import PUBLIC_STATES, Stage, State, public_state

if TYPE_CHECKING:
    from batches.models import Batch

SEGMENTS = {
    "completed": "completed",
    "in_review": "in review",
    "processing": "in work",
    "failed": "failed",
    "on_hold": "on hold",
    "pending": "pending",
    "cancelled": "cancelled",
}
"""The parts of a batch's bar in their order, and their words."""
TOLD = ("in_review", "processing", "failed")
"""The parts that are told in words beside what is completed."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of the bar of a batch, percent of its length."""

    name: str
    start_percent: float
    width_percent: float
    jobs: int

    def __str__(self) -> str:
        return f"{self.jobs:,} {SEGMENTS[self.name]}"

    @property
    def start(self) -> str:
        return f"{self.start_percent:.3f}"

    @property
    def width(self) -> str:
        return f"{self.width_percent:.3f}"


@dataclass(frozen=True, kw_only=True)
class Counted:
    """So many jobs at a stage in a state, with their bytes."""

    stage: Stage
    state: State
    jobs: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """``jobs`` by (stage, state). ``bytes_in`` of the designs, ``bytes_out`` of what was deployed last."""

    jobs: Mapping[tuple[Stage, State], int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0

    @classmethod
    def of(cls, counted: Iterable[Counted]) -> Figures:
        jobs: Counter[tuple[Stage, State]] = Counter()
        bytes_in = bytes_out = 0
        for row in counted:
            jobs[row.stage, row.state] += row.jobs
            bytes_in += row.bytes_in
            bytes_out += row.bytes_out
        return cls(jobs=dict(jobs), bytes_in=bytes_in, bytes_out=bytes_out)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Jobs by the names of ``rollup.COUNTS``."""
        counts = dict.fromkeys(COUNTS, 0)
        for (_, state), jobs in self.jobs.items():
            for name, states in COUNTS.items():
                counts[name] += jobs if state in states else 0
        return counts

    @cached_property
    def public(self) -> dict[str, int]:
        """Jobs by public state, those that occur."""
        public = dict.fromkeys(PUBLIC_STATES, 0)
        for (stage, state), jobs in self.jobs.items():
            public[public_state(stage, state)] += jobs
        return {name: jobs for name, jobs in public.items() if jobs}

    @cached_property
    def total(self) -> int:
        return sum(self.jobs.values())

    @property
    def running(self) -> int:
        return sum(jobs for (_, state), jobs in self.jobs.items() if state == State.RUNNING)

    @cached_property
    def state(self) -> str:
        return batch_state(self.counts)

    @cached_property
    def badge(self) -> tuple[str, str, str]:
        """Label, icon and class of the state."""
        return BATCH_STATES[self.state]

    @cached_property
    def percent(self) -> float:
        return percent_of(self.jobs)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        segments: list[Segment] = []
        start = 0.0
        for name in SEGMENTS:
            if jobs := self.counts[name]:
                width = 100 * jobs / self.total
                segments.append(Segment(name=name, start_percent=start, width_percent=width, jobs=jobs))
                start += width
        return tuple(segments)

    @property
    def words(self) -> str:
        """How far the batch is, in one line: written here, since templates take long over numbers."""
        parts = [f"{int(self.percent + 0.5)} % · {self.counts['completed']:,} of {self.total:,} completed"]
        parts += [str(segment) for segment in self.segments if segment.name in TOLD]
        return ", ".join(parts)

    @property
    def key(self) -> str:
        """Changes when what the pages show of the figures changes."""
        return hashlib.sha256(repr((sorted(self.jobs.items()), self.bytes_in, self.bytes_out)).encode()).hexdigest()[:8]


def percent_of(jobs: Mapping[tuple[Stage, State], int], running: float = 0.0) -> float:
    """How far the jobs are that were not cancelled: the stages behind them, and ``running`` percent of present ones.

    100 when there is nothing to do.
    """
    wanted = {place: rows for place, rows in jobs.items() if place[1] != State.CANCELLED}
    whole = len(Stage) * sum(wanted.values())
    behind = sum(rows * (len(Stage) if state == State.DONE else stage - 1) for (stage, state), rows in wanted.items())
    return round(100.0 * (behind + running / 100.0) / whole, 1) if whole else 100.0


def counted_by(jobs: QuerySet[Job], column: str) -> Iterator[tuple[Any, Counted]]:
    """The jobs by the values of a column, and by stage and state within each. One query.

    Rows are counted, not keys: so an index that has the columns answers it without a look at the jobs.
    """
    rows = jobs.order_by().values_list(column, "stage", "state")
    for value, stage, state, *numbers in rows.annotate(
        count=Count("*"), bytes_in_sum=Sum("bytes_in"), bytes_out_sum=Sum("bytes_out")
    ):
        count, bytes_in, bytes_out = numbers
        yield (
            value,
            Counted(
                stage=Stage(stage), state=State(state), jobs=count, bytes_in=int(bytes_in), bytes_out=int(bytes_out)
            ),
        )


def figures_of(batch_ids: Iterable[int]) -> dict[int, Figures]:
    """The figures of each batch, in one query that an index answers."""
    ids = list(batch_ids)
    counted: dict[int, list[Counted]] = defaultdict(list)
    for batch, row in counted_by(Job.objects.filter(batch__in=ids), "batch"):
        counted[batch].append(row)
    return {pk: Figures.of(counted[pk]) for pk in ids}


def attach(batches: Iterable[Batch]) -> None:
    """Gives each batch its ``figures`` at once, instead of a query each when they are first asked for."""
    there = list(batches)
    found = figures_of(batch.pk for batch in there)
    for batch in there:
        batch.figures = found[batch.pk]
