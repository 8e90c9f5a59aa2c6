"""Jobs that wait for a decision longer than WAITING_HOURS: told once a wait, and noted in the history."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from jobs import clock
from jobs.lifecycle import annotate
from jobs.models import Event, Job, Membership
from jobs.states import Role, State
from jobs.teams import TeamQuerySet
from jobs.telling import Told, job_facts, tell

VERB = "wait_long"
AT_ONCE = 100
"""How many are told in one look; the next look finds the rest."""
DECIDES = {"awaiting_review": Role.REVIEWER}


def tell_overdue() -> int:
    """Tells of the jobs that have become overdue. Returns how many. Any number of machines may look."""
    if not settings.WAITING_HOURS:
        return 0
    return sum(_tell(pk) for pk in list(_overdue().order_by("moved_at").values_list("pk", flat=True)[:AT_ONCE]))


def _overdue() -> TeamQuerySet[Job]:
    noted = Event.objects.filter(job=OuterRef("pk"), verb=VERB, at__gte=OuterRef("moved_at"))
    limit = clock.now() - timedelta(hours=settings.WAITING_HOURS)
    return Job.objects.kept().filter(~Exists(noted), state=State.IN_REVIEW.value, moved_at__lte=limit)


@transaction.atomic
def _tell(pk: int) -> bool:
    if not Job.objects.select_for_update(no_key=True).filter(pk=pk).exists():
        return False
    job = _overdue().filter(pk=pk).select_related("team", "batch").first()
    if job is None:
        return False  # another machine told of it, or somebody decided
    reason = f"Nobody has decided for {settings.WAITING_HOURS} h."
    event = annotate(job, VERB, reason=reason)
    tell(Told(name="job.waiting", event=event, job=job, facts=job_facts(event, job)), _asked(job))
    return True


def _asked(job: Job) -> list[int]:
    """The one who looks after the job, or else all who could decide."""
    members = Membership.objects.filter(team_id=job.team_id)
    if job.assignee_id is not None and members.filter(user=job.assignee_id).exists():
        return [job.assignee_id]
    role = DECIDES.get(job.public_state, Role.APPROVER)
    return list(members.filter(role=role).values_list("user_id", flat=True))
