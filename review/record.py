"""The record's content: the stages' runs with their attempts, the sources, and what has happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch

from jobs.models import Attempt, StageRun
from jobs.states import Stage
from review.models import Decision
from review.prepared import Prepared

MOST_RUNS = 40
HEAVY = ("result", "metrics")


@dataclass(frozen=True, kw_only=True)
class Record:
    runs: tuple[StageRun, ...]
    decisions: tuple[Decision, ...]
    document: dict[str, Any]
    render_comp: dict[str, Any]


def read_record(prepared: Prepared) -> Record:
    """Newest run first, each with its attempts."""
    job = prepared.job
    facts = prepared.result(Stage.INGESTION)
    tries = Prefetch("tries", Attempt.objects.defer("log"))
    runs = job.runs.defer(*HEAVY).prefetch_related(tries).order_by("-queued_at", "-id")[:MOST_RUNS]
    return Record(
        runs=tuple(runs),
        decisions=tuple(job.decisions.select_related("user")),
        document=facts.get("document", {}),
        render_comp=facts.get("render_comp") or {},
    )
