"""Pause and resume a batch, a team or a queue: nothing of it is claimed; what runs already is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.db import transaction

from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Event, Pause, Team
from jobs.states import QUEUES, Role
from jobs.teams import is_lead, require_role

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class SomeBatch(Protocol):
    """A batch as it is seen from below."""

    pk: Any
    name: Any
    team: Any


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is paused: ``key`` as in ``Pause``, ``team`` empty for a queue."""

    key: str
    label: str
    team: Team | None = None
    batch_id: int | None = None


def of_batch(batch: SomeBatch) -> Scope:
    return Scope(key=f"batch:{batch.pk}", label=f"The batch {batch.name}", team=batch.team, batch_id=batch.pk)


def of_team(team: Team) -> Scope:
    return Scope(key=f"team:{team.pk}", label=f"The team {team.name}", team=team)


def of_queue(name: str) -> Scope:
    """Raises Invalid for a name that no queue has."""
    if name not in QUEUES:
        raise Invalid(f"There is no queue {name[:40]!r}. There are: {', '.join(QUEUES)}.", field="queue")
    return Scope(key=f"queue:{name}", label=f"The queue {name}")


def pause(user: User, scope: Scope, *, reason: str = "") -> Pause:
    """Raises NotAllowed, and Conflict when it is paused already."""
    _require(user, scope)
    with transaction.atomic():
        found, fresh = Pause.objects.get_or_create(
            key=scope.key, defaults={"team": scope.team, "reason": reason.strip(), "by": user}
        )
        if not fresh:
            raise Conflict(f"{scope.label} is paused already.", state="paused", allowed=("resume",))
        _tell(user, scope, "pause", reason)
    return found


def resume(user: User, scope: Scope) -> None:
    """Lets work be claimed again; the sweep wakes the workers. Raises NotAllowed, Conflict when it is not paused."""
    _require(user, scope)
    with transaction.atomic():
        removed, _ = Pause.objects.filter(key=scope.key).delete()
        if not removed:
            raise Conflict(f"{scope.label} is not paused.", state="open", allowed=("pause",))
        _tell(user, scope, "resume", "")


def apply(user: User, scope: Scope, verb: str, *, reason: str = "") -> str:
    """Pauses or resumes by the verb's name, and says so in words. Raises Invalid for another verb."""
    if verb == "pause":
        pause(user, scope, reason=reason)
        return f"{scope.label} is paused. What runs already is finished."
    if verb == "resume":
        resume(user, scope)
        return f"{scope.label} goes on."
    raise Invalid("Pause or resume it.", field="verb")


def is_paused(scope: Scope) -> bool:
    return Pause.objects.filter(key=scope.key).exists()


def _require(user: User, scope: Scope) -> None:
    if scope.team is not None:
        require_role(user, scope.team, Role.OPERATOR)
    elif not is_lead(user):
        raise NotAllowed("A queue serves every team: this takes the permission to lead jobs.")


def _tell(user: User, scope: Scope, verb: str, reason: str) -> None:
    """History: in the team's own; of a queue in that of every team, since its work stops everywhere."""
    what = scope.label[4:]
    if scope.team is None:
        Event.tell_every_team(verb, actor=user, what=what, reason=reason)
        return
    Event.objects.create(
        team=scope.team, batch_id=scope.batch_id, verb=verb, actor=user, reason=reason.strip(), data={"what": what}
    )
