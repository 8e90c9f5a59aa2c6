"""How far a batch is, in two small queries: asked for every two seconds by whoever watches."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet, Sum

from batches.figures import percent_of
from batches.models import Batch
from batches.rollup import COUNTS, batch_state
from jobs.models import StageRun
from jobs.states import Stage, State


def progress_of(batches: QuerySet[Batch]) -> dict[str, Any] | None:
    """``id``, ``state``, ``percent`` and ``counts`` of the one batch that is meant; None when there is none.

    A job counts with the stages that are behind it, and with the part that the running one has done.
    """
    rows = batches.order_by().values_list("pk", "team_id", "jobs__stage", "jobs__state").annotate(rows=Count("jobs"))
    found = list(rows)
    if not found:
        return None
    pk, team = found[0][:2]
    jobs = {(Stage(stage), State(state)): count for _, _, stage, state, count in found if stage is not None}
    # The team, too: the index of what runs begins with it.
    runs = StageRun.objects.filter(team=team, batch=pk, state=StageRun.RUNNING)
    running = runs.aggregate(done=Sum("percent"))["done"] or 0.0
    counts = {name: sum(jobs.get((s, state), 0) for s in Stage for state in states) for name, states in COUNTS.items()}
    return {
        "id": pk,
        "state": batch_state(counts),
        "percent": percent_of(jobs, running),
        "counts": {"total": sum(jobs.values()), **counts},
    }
