"""Which job a person is led to after a decision."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Case, IntegerField, Q, Value, When

from jobs.models import Job
from jobs.states import State
from review.waiting import waiting_for


def next_job(user: User, *, after: Job) -> Job | None:
    """The next review the person may decide: of the same batch first, then urgent ones, then of the same stage.

    What is assigned to somebody else is theirs. ``after`` itself is left out, wherever it stands now.
    """
    waiting = waiting_for(user).filter(state=State.IN_REVIEW).exclude(pk=after.pk)
    free_or_mine = waiting.filter(Q(assignee=None) | Q(assignee=user))
    stage_before = after.events.order_by("-version").filter(version__isnull=False).values_list("from_stage", flat=True)
    order = (
        _first(Q(batch_id=after.batch_id)),
        "priority",
        _first(Q(stage=stage_before.first() or after.stage)),
        "moved_at",
        "id",
    )
    return free_or_mine.order_by(*order).first()


def _first(condition: Q) -> Case:
    return Case(When(condition, then=Value(0)), default=Value(1), output_field=IntegerField())
