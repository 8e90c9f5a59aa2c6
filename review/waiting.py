"""What waits for a person: the jobs at which one of their roles can decide next."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Case, IntegerField, Q, Value, When

from jobs.models import Job, JobQuerySet, Membership, Team
from jobs.states import Role, Stage, State, allowed_verbs
from jobs.teams import PEOPLE_ROLES
from review.decisions import DECISIONS

# A failed job waits for somebody who can try again.
WAITING_VERBS = DECISIONS | {"retry"}
WAITING_STATES = (State.IN_REVIEW, State.FAILED)


def roles_by_team(user: User) -> dict[int, frozenset[Role]]:
    """The person's roles in each of their teams, in one query. A superuser has all roles in every team."""
    if user.is_superuser:
        return {pk: frozenset(PEOPLE_ROLES) for pk in Team.objects.values_list("pk", flat=True)}
    roles: dict[int, set[Role]] = {}
    for team_id, role in Membership.objects.filter(user=user).values_list("team_id", "role"):
        roles.setdefault(team_id, set()).add(Role(role))
    return {team_id: frozenset(held) for team_id, held in roles.items()}


def waiting_for(user: User, roles: dict[int, frozenset[Role]] | None = None) -> JobQuerySet:
    """Jobs that wait for a decision the person may take: theirs first, then free ones, urgent before the rest."""
    held = roles_by_team(user) if roles is None else roles
    teams_by_place: dict[tuple[Stage, State], list[int]] = {}
    for team_id, team_roles in held.items():
        for stage in Stage:
            for state in WAITING_STATES:
                if WAITING_VERBS & set(allowed_verbs(stage, state, team_roles)):
                    teams_by_place.setdefault((stage, state), []).append(team_id)
    wanted = Q(pk__in=[])
    for (stage, state), team_ids in teams_by_place.items():
        wanted |= Q(stage=stage, state=state, team_id__in=team_ids)
    jobs: JobQuerySet = Job.objects.visible_to(user)
    mine_first = Case(
        When(assignee_id=user.pk, then=Value(0)),
        When(assignee_id__isnull=True, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return jobs.filter(wanted).order_by(mine_first, "priority", "moved_at", "id")
