"""A batch's state, derived from the counts of its jobs. One table of rules, read by Python and by the database."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When

from jobs.models import Job
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
BATCH_STATES: dict[str, tuple[str, str, str]] = {
    "queued": ("Queued", "clock", ""),
    "processing": ("Processing", "spinner", "state-processing"),
    "awaiting_review": ("Awaiting review", "eye", "state-awaiting_review"),
    "completed": ("Completed", "check", "badge-ok"),
    "completed_with_errors": ("Completed with errors", "alert", "badge-warn"),
    "failed": ("Failed", "x-circle", "badge-bad"),
    "cancelled": ("Cancelled", "ban", "state-cancelled"),
}
"""The states of batches in the order in which people are offered them: label, icon and class of the badge."""


def batch_state(counts: Mapping[str, int]) -> str:
    """The state of a batch whose jobs are counted by the names of ``COUNTS``."""
    for state, groups in RULES:
        if all(any(counts.get(name, 0) for name in group) for group in groups):
            return state
    return EMPTY


def state_expression() -> Case:
    """``batch_state`` as SQL. It looks whether there is a job, and counts none: an index answers it."""
    whens = []
    for state, groups in RULES:
        condition = Q()
        for group in groups:
            states = [one for name in group for one in COUNTS[name]]
            condition &= Q(Exists(Job.objects.filter(batch=OuterRef("pk"), state__in=states).order_by()))
        whens.append(When(condition, then=Value(state)))
    return Case(*whens, default=Value(EMPTY), output_field=CharField())
