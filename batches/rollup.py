"""A batch's state, derived from the counts of its jobs. One table of rules, read by Python and by the database."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Case, CharField, Count, Q, Value, When

from jobs.states import State

COUNTS: dict[str, tuple[State, ...]] = {
    "pending": (State.PENDING,),
    "processing": (State.QUEUED, State.RUNNING),
    "in_review": (State.IN_REVIEW,),
    "on_hold": (State.ON_HOLD,),
    "failed": (State.FAILED,),
    "completed": (State.DONE,),
    "cancelled": (State.CANCELLED,),
}
"""The name of each count and the job states that it counts."""

Rule = tuple[str, tuple[tuple[str, ...], ...]]
RULES: tuple[Rule, ...] = (
    # A batch has the first state all of whose groups count at least one job.
    ("processing", (("processing",),)),
    ("awaiting_review", (("in_review",),)),
    ("queued", (("pending", "on_hold"),)),
    ("completed_with_errors", (("completed",), ("failed",))),
    ("failed", (("failed",),)),
    ("completed", (("completed",),)),
    ("cancelled", (("cancelled",),)),
)
EMPTY = "queued"
BATCH_STATES = (
    "queued",
    "processing",
    "awaiting_review",
    "completed",
    "completed_with_errors",
    "failed",
    "cancelled",
)


def batch_state(counts: Mapping[str, int]) -> str:
    """The state of a batch whose jobs are counted by the names of ``COUNTS``."""
    for state, groups in RULES:
        if all(any(counts.get(name, 0) for name in group) for group in groups):
            return state
    return EMPTY


def count_annotations() -> dict[str, Count]:
    """``count_<name>`` for every count, and ``count_total``, over the related ``jobs``."""
    counts = {f"count_{name}": Count("jobs", filter=Q(jobs__state__in=states)) for name, states in COUNTS.items()}
    return {"count_total": Count("jobs"), **counts}


def state_expression() -> Case:
    """``batch_state`` as SQL over the annotations of ``count_annotations``."""
    whens = []
    for state, groups in RULES:
        condition = Q()
        for group in groups:
            some = Q()
            for name in group:
                some |= Q(**{f"count_{name}__gt": 0})
            condition &= some
        whens.append(When(condition, then=Value(state)))
    return Case(*whens, default=Value(EMPTY), output_field=CharField())
