"""How a batch is opened and what it is called: prefix, name, description, and its ids elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from batches.intake.table import unprintable
from batches.models import Batch, ExternalId
from batches.prefix import checked_prefix, prefix_for
from jobs.errors import Conflict, Invalid
from jobs.models import Event, Team
from jobs.states import Role
from jobs.teams import require_role, require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from batches.models import Upload

MOST_NAME_CHARACTERS = 200
MOST_DESCRIPTION_CHARACTERS = 500
MOST_VALUE_CHARACTERS = 500
MOST_EXTERNAL_IDS = 50
_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


def open_batch(
    user: User,
    team: Team,
    *,
    name: str = "",
    prefix: str = "",
    description: str = "",
    designs: Iterable[str] = (),
    clients: Iterable[str] = (),
    external_ids: Mapping[str, str] | None = None,
    source: str = "csv",
    upload: Upload | None = None,
    data: dict[str, Any] | None = None,
) -> Batch:
    """Opens a batch without jobs: every door that makes one does it here, a single job's too.

    Without ``prefix`` the files' names (``designs``) or the rows' ``clients`` give it; without ``name`` the batch is
    called as its directory. ``data`` is told in the history. In an open transaction, other doors that want a number of
    the same prefix and day wait for its end. Raises NotAllowed, Invalid with the field.
    """
    require_verb(user, team, "start")
    batch = Batch(
        team=team,
        name=checked_name(name),
        prefix=checked_prefix(prefix) or prefix_for(designs, clients),
        description=checked_description(description),
        source=source,
        upload=upload,
        created_by=user,
    )
    known = checked_external_ids(external_ids or {})
    with transaction.atomic():
        batch.save()
        if known:
            _put_external_ids(batch, known)
        Event.objects.create(team=team, batch=batch, verb="open_batch", actor=user, data=data or {})
    return batch


def amend(
    user: User,
    batch: Batch,
    *,
    name: str | None = None,
    prefix: str | None = None,
    description: str | None = None,
    external_ids: Mapping[str, str] | None = None,
) -> Batch:
    """Changes what is given. A blank name is the directory's again, a blank prefix that of the files.

    Another prefix is another directory: the batch takes the next number there, and nobody gets the one that it had.
    ``external_ids`` replaces all.
    Raises NotAllowed, Invalid with the field, Conflict for a batch that was deleted meanwhile.
    """
    require_role(user, batch.team, Role.OPERATOR)
    new_name = None if name is None else checked_name(name)
    new_description = None if description is None else checked_description(description)
    new_prefix = None if prefix is None else checked_prefix(prefix) or _own_prefix(batch)
    known = None if external_ids is None else checked_external_ids(external_ids)
    with transaction.atomic():
        found = locked(batch)
        before = _facts(found)
        if new_prefix is not None and new_prefix != found.prefix:
            found.move_to_prefix(new_prefix)
        if new_name is not None:
            found.name = new_name or found.directory_name
        if new_description is not None:
            found.description = new_description
        found.save(update_fields=["name", "description"])
        if known is not None:
            _put_external_ids(found, known)
        after = _facts(found)
        changes = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
        if changes:
            Event.objects.create(team=found.team, batch=found, verb="amend_batch", actor=user, data=changes)
    return found


def locked(batch: Batch) -> Batch:
    """The batch as it is now, its row locked until the transaction ends. Raises Conflict when it was deleted."""
    found = Batch.objects.select_for_update(of=("self",), no_key=True).select_related("team").get(pk=batch.pk)
    if found.deleted_at is not None:
        raise Conflict(f"{found.name} was deleted.", state="deleted")
    return found


def _facts(batch: Batch) -> dict[str, Any]:
    return {
        "name": batch.name,
        "directory_name": batch.directory_name,
        "description": batch.description,
        "external_ids": external_ids_of(batch),
    }


def external_ids_of(batch: Batch) -> dict[str, str]:
    return dict(batch.external_ids.values_list("key", "value"))


def _put_external_ids(batch: Batch, known: Mapping[str, str]) -> None:
    batch.external_ids.exclude(key__in=known).delete()
    ExternalId.objects.bulk_create(
        [ExternalId(batch=batch, key=key, value=value) for key, value in known.items()],
        update_conflicts=True,
        unique_fields=["batch", "key"],
        update_fields=["value"],
    )


def _own_prefix(batch: Batch) -> str:
    rows = list(batch.jobs.values_list("psd_path", "client_name"))
    return prefix_for([design for design, _ in rows], [client for _, client in rows])


def checked_name(text: str) -> str:
    return _checked(text, "name", most=MOST_NAME_CHARACTERS)


def checked_description(text: str) -> str:
    return _checked(text, "description", most=MOST_DESCRIPTION_CHARACTERS)


def checked_external_ids(known: Mapping[str, str]) -> dict[str, str]:
    """Raises Invalid (field ``external_ids``) that names the key."""
    if len(known) > MOST_EXTERNAL_IDS:
        raise Invalid(f"{len(known)} external ids; at most {MOST_EXTERNAL_IDS} are allowed.", field="external_ids")
    for key, value in known.items():
        words = f"The external id {key[:60]!r}"
        if not _KEY.fullmatch(key):
            raise Invalid(f"{words}: a key has small letters, digits and _ . - only, at most 60.", field="external_ids")
        if not value.strip():
            raise Invalid(f"{words} has no value. Leave it out to remove it.", field="external_ids")
        if len(value) > MOST_VALUE_CHARACTERS:
            raise Invalid(f"{words} has more than {MOST_VALUE_CHARACTERS} characters.", field="external_ids")
        if unprintable(value):
            raise Invalid(f"{words} holds a character that cannot be shown.", field="external_ids")
    return {key: value.strip() for key, value in known.items()}


def _checked(text: str, field: str, *, most: int) -> str:
    text = " ".join(text.split())
    if len(text) > most:
        raise Invalid(f"The {field} has {len(text)} characters; at most {most} are allowed.", field=field)
    if unprintable(text):
        raise Invalid(f"The {field} holds a character that cannot be shown.", field=field)
    return text
