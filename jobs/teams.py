"""Who may see and do what: one queryset rule for seeing, one look at the roles for doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from jobs.errors import NotAllowed
from jobs.states import VERBS, Role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from jobs.models import Team

M = TypeVar("M", bound=models.Model)
PEOPLE_ROLES = (Role.OPERATOR, Role.REVIEWER, Role.APPROVER, Role.VIEWER)


class TeamQuerySet(models.QuerySet[M]):
    """Rows that belong to a team. The model's ``TEAM_FIELD`` is the look-up that leads to it.

    ``BATCH_FIELD`` leads to the batch that a row is part of (a tuple of paths where there are several); empty for what
    belongs to none, or tells its history. ``SHOWN_WHILE_OPENING``: people look at it while the batch is made.
    """

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """The rows of the teams the user belongs to; superusers see all teams', strangers nothing.

        Nobody sees what is part of a deleted batch, nor of one whose jobs are still being made.
        """
        if not (user.is_authenticated and user.is_active):
            return self.none()
        if getattr(user, "is_superuser", False):
            return self.kept()
        from jobs.models import Membership

        teams = Membership.objects.filter(user_id=user.pk).values("team_id")
        return self.kept().filter(**{f"{self._team_field()}__in": teams})

    def kept(self) -> Self:
        """Without the rows of deleted batches, and of such as are being opened unless the model shows these.

        A subquery, not a join: what is locked is these rows alone.
        """
        paths = getattr(self.model, "BATCH_FIELD", "")
        rows = self.all()
        away = models.Q(deleted_at__isnull=False)
        if not getattr(self.model, "SHOWN_WHILE_OPENING", False):
            away |= models.Q(opening=True)
        hidden = apps.get_model("batches", "Batch")._base_manager.filter(away)
        for path in (paths,) if isinstance(paths, str) else paths:
            if path:
                rows = rows.exclude(**{f"{path}__in": hidden.values("pk")})
        return rows

    def _team_field(self) -> str:
        field: Any = self.model.TEAM_FIELD  # type: ignore[attr-defined]
        return str(field)


class MachineQuerySet(TeamQuerySet[M]):
    """Rows that machines keep for themselves: no team's, so that superusers alone may look."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.all() if user.is_active and getattr(user, "is_superuser", False) else self.none()


def roles_of(user: User, team: Team) -> frozenset[Role]:
    """The roles a person has in a team. A superuser has all of people's roles in every team."""
    if not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset(PEOPLE_ROLES)
    return frozenset(Role(role) for role in team.memberships.filter(user=user).values_list("role", flat=True))


def is_lead(user: User) -> bool:
    """True for superusers and for people with the permission ``lead_job``, of their own or by a group.

    One query, noted on the person as Django notes permissions; ``has_perm`` takes two and reads all that there are.
    """
    if not user.is_active or user.is_superuser:
        return user.is_active
    known: bool | None = getattr(user, "is_a_lead", None)
    if known is None:
        from django.contrib.auth.models import Permission

        wanted = Permission.objects.filter(content_type__app_label="jobs", codename="lead_job").order_by()
        known = wanted.filter(models.Q(user=user) | models.Q(group__user=user)).exists()
        setattr(user, "is_a_lead", known)  # noqa: B010 - a note on the request's person, not a field
    return known


def operated_teams(user: User) -> frozenset[int]:
    """The keys of the teams in which a person is an operator, in one query. A superuser is one in every team."""
    from jobs.models import Membership, Team

    if user.is_superuser:
        return frozenset(Team.objects.values_list("pk", flat=True))
    held = Membership.objects.filter(user=user, user__is_active=True, role=Role.OPERATOR)
    return frozenset(held.values_list("team_id", flat=True))


def require_role(user: User, team: Team, *roles: Role) -> None:
    """Raises NotAllowed unless the person has one of the roles in the team."""
    if not roles_of(user, team) & frozenset(roles):
        raise NotAllowed(f"This takes the role {' or '.join(roles)} in the team {team.name}.")


def require_verb(user: User, team: Team, verb: str) -> None:
    """Raises NotAllowed unless one of the person's roles in the team may use the verb."""
    require_role(user, team, *sorted(VERBS[verb].roles))
