"""Webhook endpoints of a team: made, changed and removed by its operators; the history tells of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from jobs.errors import Invalid
from jobs.models import Event, Team, WebhookEndpoint
from jobs.states import Role
from jobs.teams import require_role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHANGEABLE = frozenset({"url", "events", "active"})


def add(user: User, team: Team, *, url: str, events: Collection[str], active: bool = True) -> WebhookEndpoint:
    """A new endpoint with a secret of its own. Raises NotAllowed, Invalid with the field."""
    require_role(user, team, Role.OPERATOR)
    return keep(user, WebhookEndpoint(team=team, url=url, events=list(events), active=active))


def change(user: User, endpoint: WebhookEndpoint, **values: object) -> None:
    """Changes ``url``, ``events`` or ``active``. Raises NotAllowed, Invalid with the field."""
    for name in CHANGEABLE & values.keys():
        setattr(endpoint, name, values[name])
    keep(user, endpoint)


def keep(user: User, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Saves a new or a changed endpoint. Raises NotAllowed, Invalid with the field."""
    require_role(user, endpoint.team, Role.OPERATOR)
    verb = "add_endpoint" if endpoint.pk is None else "change_endpoint"
    with transaction.atomic():
        _save(endpoint)
        _tell(user, endpoint, verb)
    return endpoint


def remove(user: User, endpoint: WebhookEndpoint) -> None:
    """Removes the endpoint and what was to be delivered to it. Raises NotAllowed."""
    require_role(user, endpoint.team, Role.OPERATOR)
    with transaction.atomic():
        _tell(user, endpoint, "remove_endpoint")
        endpoint.delete()


def _save(endpoint: WebhookEndpoint) -> None:
    try:
        endpoint.full_clean()
    except ValidationError as error:
        field, words = next(iter(error.message_dict.items()))
        raise Invalid(words[0], field="" if field == "__all__" else field) from None
    endpoint.save()


def _tell(user: User, endpoint: WebhookEndpoint, verb: str) -> None:
    data = {"what": endpoint.label, "events": endpoint.events, "active": endpoint.active}
    Event.objects.create(team_id=endpoint.team_id, verb=verb, actor=user, data=data)
