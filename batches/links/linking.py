"""What people do with a linked sheet: link, sync now, settings, unlink. Pages and API call this module."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from batches.google import account, addresses
from batches.intake.judging import titles_of
from batches.intake.sheet import Layout
from batches.intake.table import BY_NAME, shown, tidy_name, unprintable
from batches.links.models import LEAST_POLL_MINUTES, MOST_POLL_MINUTES, LinkedSheet
from batches.models import Batch, Upload
from jobs import clock, errands
from jobs.errors import Conflict, Invalid
from jobs.models import Errand, Event, Team
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

READ_ERRAND, WRITE_ERRAND = "read_linked_sheet", "write_linked_sheet"
MOST_COLUMN_CHARACTERS = 200
COLUMN_FIELDS = ("state_column", "link_column", "error_column")


def link(
    user: User,
    team: Team,
    *,
    url: str,
    range_: str = "",
    mapping: Mapping[str, str] | None = None,
    batch: Batch | None = None,
) -> LinkedSheet:
    """Links a Google Sheet to a batch, or to one that is still to be opened from it, and has it read.

    Raises NotAllowed; Invalid (field ``url``, ``range``, ``mapping`` or ``batch``); Conflict for a batch that is linked
    or archived.
    """
    require_verb(user, team, "start")
    address = addresses.parse(url, range_)
    known = _checked_mapping(mapping or {})
    if batch is not None and batch.team_id != team.pk:
        raise Invalid(f"{batch.name} is no batch of the team {team.name}.", field="batch")
    if batch is not None and batch.archived_at is not None:
        raise Conflict(f"{batch.name} is archived. Take it back from the archive first.", state="archived")
    try:
        with transaction.atomic():
            made = LinkedSheet.objects.create(
                team=team,
                batch=batch,
                url=address.url,
                range=address.notation,
                mapping=known,
                asked_by=user,
                created_by=user,
            )
            if batch is not None:
                tell(made, "link_sheet", user)
            errands.send(READ_ERRAND, made.pk, team)
    except IntegrityError:
        raise Conflict("The batch is linked to a sheet already. Unlink that first.", state="linked") from None
    return made


def _checked_mapping(given: Mapping[str, str]) -> dict[str, str]:
    """A mapping for titles that nobody has seen yet: those that the sheet does not have are passed over."""
    for name in given:
        if name not in BY_NAME:
            raise Invalid(f"There is no column {shown(name)} to map to.", field="mapping")
    return {name: tidy_name(title) for name, title in given.items() if tidy_name(title)}


def sync(user: User, linked: LinkedSheet) -> LinkedSheet:
    """Has the sheet read now, and compared even when it is the same: the jobs may be others. Raises NotAllowed."""
    require_verb(user, linked.team, "start")
    with transaction.atomic():
        LinkedSheet.objects.filter(pk=linked.pk).update(asked_by=user, digest="", error="", failures=0)
        errands.send(READ_ERRAND, linked.pk, linked.team)
    linked.refresh_from_db()
    return linked


def read_again(user: User, errand: Errand) -> LinkedSheet:
    """Reading that failed for good is asked for by whoever tries it again. Raises Conflict for an unlinked sheet."""
    linked = LinkedSheet.objects.kept().select_related("team").filter(pk=errand.subject).first()
    if linked is None:
        raise Conflict("The sheet is linked no more.", state="unlinked")
    return sync(user, linked)


def amend(
    user: User,
    linked: LinkedSheet,
    *,
    is_polling: bool | None = None,
    poll_minutes: int | None = None,
    columns: Mapping[str, str] | None = None,
) -> LinkedSheet:
    """Changes what is given. ``columns`` are titles by COLUMN_FIELDS, empty ones for nothing to be written.

    Raises NotAllowed, and Invalid with the field.
    """
    require_verb(user, linked.team, "start")
    changes: dict[str, object] = {}
    if poll_minutes is not None:
        if not LEAST_POLL_MINUTES <= poll_minutes <= MOST_POLL_MINUTES:
            raise Invalid(f"From {LEAST_POLL_MINUTES} to {MOST_POLL_MINUTES:,} minutes.", field="poll_minutes")
        changes["poll_minutes"] = poll_minutes
    if is_polling is not None:
        changes["is_polling"] = is_polling
    if {"poll_minutes", "is_polling"} & changes.keys():
        minutes = poll_minutes or linked.poll_minutes
        changes |= {"poll_after": clock.now() + timedelta(minutes=minutes), "failures": 0}
    if columns is not None:
        changes |= _checked_columns(linked, columns)
        changes |= {"written": "", "write_after": None, "write_error": "", "write_note": "", "write_failures": 0}
    with transaction.atomic():
        LinkedSheet.objects.filter(pk=linked.pk).update(**changes)
        linked.refresh_from_db()
        tell(linked, "amend_sheet_link", user)
    return linked


def _checked_columns(linked: LinkedSheet, columns: Mapping[str, str]) -> dict[str, str]:
    cleaned = {field: " ".join(columns.get(field, getattr(linked, field)).split()) for field in COLUMN_FIELDS}
    given = {field: title for field, title in cleaned.items() if title}
    if given and not account.is_set():
        raise Invalid(
            "Writing into a sheet takes a service account: see GOOGLE_SERVICE_ACCOUNT in docs/operations.md.",
            field="state_column",
        )
    tidied: dict[str, str] = {}
    taken = {title: name for name, title in titles_now(linked).items()}
    for field, title in given.items():
        tidy = tidy_name(title)
        if len(title) > MOST_COLUMN_CHARACTERS or unprintable(title) or not tidy:
            raise Invalid(f"{shown(title)} cannot be the title of a column.", field=field)
        if tidy in tidied:
            raise Invalid(f"{shown(title)} is chosen twice: each text needs a column of its own.", field=field)
        if tidy in taken:
            raise Invalid(f"{shown(title)} is what we read as {taken[tidy]}: choose another.", field=field)
        tidied[tidy] = field
    return cleaned


def titles_now(linked: LinkedSheet) -> dict[str, str]:
    """{our column: tidied title} of the sheet as it was read last."""
    upload = newest(linked)
    return titles_of(upload) if upload is not None else {}


def header_row_now(linked: LinkedSheet) -> int:
    """The sheet's row (from 1) in which the titles stood when it was read last; 0 before that."""
    upload = newest(linked)
    return Layout.from_json(upload.layout).header_line if upload and upload.layout else 0


def header_now(linked: LinkedSheet) -> list[str]:
    """The titles of the sheet as it was read last."""
    upload = newest(linked)
    return [title for title in Layout.from_json(upload.layout).header if title] if upload and upload.layout else []


def newest(linked: LinkedSheet) -> Upload | None:
    """What was made of the sheet when it was compared last."""
    return linked.uploads.select_related("team", "sheet", "updates__upload").order_by("-pk").first()


def remove(user: User, linked: LinkedSheet) -> None:
    """Unlinks the sheet. The batch, its jobs and the sheet itself stay as they are."""
    require_verb(user, linked.team, "start")
    with transaction.atomic():
        if linked.batch is not None:
            tell(linked, "unlink_sheet", user)
        errands.forget(linked.pk, READ_ERRAND, WRITE_ERRAND)
        linked.delete()


def errand_of(linked: LinkedSheet) -> Errand | None:
    """The reading that is on its way; None when none is."""
    errand = errands.latest(READ_ERRAND, linked.pk)
    return errand if errand is not None and errand.state in {Errand.QUEUED, Errand.RUNNING} else None


def tell(linked: LinkedSheet, verb: str, actor: User | None, **data: object) -> Event | None:
    """Writes into the history of the linked batch."""
    if linked.batch_id is None:
        return None
    told: dict[str, object] = {"what": str(linked), "url": linked.url, **data}
    if verb == "amend_sheet_link":
        told |= {"poll_minutes": linked.poll_minutes if linked.is_polling else 0, "columns": linked.columns}
    return Event.objects.create(team_id=linked.team_id, batch_id=linked.batch_id, verb=verb, actor=actor, data=told)
