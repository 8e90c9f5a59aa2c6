"""Files that arrived by ``/api/files/`` (``jobs/sending.py``), as files of an upload. Their contents are not copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction

from batches.intake.grid import SHEET_SUFFIXES
from batches.intake.table import shown
from batches.intake.upload import MOST_FILES, Sent
from batches.models import Upload, UploadedFile
from jobs.errors import Conflict, Invalid
from jobs.models import Asset, SentFile, Team
from jobs.sending import copy_asset, mark_used
from jobs.store import open_asset
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OPENED_SUFFIXES = (*SHEET_SUFFIXES, ".zip")
"""What an upload reads itself; every other file is taken as it is."""


def sent_files(user: User, team: Team, ids: Iterable[UUID]) -> list[SentFile]:
    """The team's files with these ids, in their order. Raises Invalid (field ``file_ids``) for one that is not."""
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > MOST_FILES:
        raise Invalid(f"More than {MOST_FILES:,} files were named.", field="file_ids")
    rows = SentFile.objects.visible_to(user).filter(team=team, pk__in=wanted).select_related("team", "asset")
    found = {sent.pk: sent for sent in rows}
    for one in wanted:
        if one not in found:
            raise Invalid(f"{one} is no file of the team {team.name}: it expired, or was deleted.", field="file_ids")
    return [found[one] for one in wanted]


def is_opened(sent: SentFile) -> bool:
    return PurePosixPath(sent.name).suffix.lower() in OPENED_SUFFIXES


def streams(files: Sequence[SentFile]) -> Iterator[Sent]:
    """Those that are opened, by name and bytes."""
    for sent in filter(is_opened, files):
        with open_asset(whole_of(sent)) as file:
            yield sent.name, file


def whole_of(sent: SentFile) -> Asset:
    """The record of what arrived. Raises Invalid (field ``files``) while bytes are missing."""
    if sent.asset is None:
        missing = sent.size_bytes - sent.received_bytes
        words = f"{missing:,} of {sent.size_bytes:,} bytes are missing" if missing else "it is being put together"
        raise Invalid(f"{shown(sent.name)} has not arrived: {words}.", field="files")
    return sent.asset


def refuse_clash(known: Mapping[str, str], files: Sequence[SentFile]) -> None:
    """Raises Invalid when two different contents have one name; ``known`` are others' SHA-256 by name."""
    digests = dict(known)
    for sent in files:
        digest = whole_of(sent).sha256
        if not is_opened(sent) and digests.setdefault(sent.name, digest) != digest:
            raise Invalid(f"Two different files are called {shown(sent.name)}.", field="files")


def assets_of(files: Sequence[SentFile]) -> dict[str, Asset]:
    """Those that are taken as they are, by name: a record of each for the upload, over the same stored content.

    All of them count as used (in the caller's transaction).
    """
    assets: dict[str, Asset] = {}
    for sent in files:
        if not is_opened(sent) and sent.name not in assets:
            assets[sent.name] = copy_asset(sent)
    mark_used(files)
    return assets


def add(user: User, upload: Upload, files: Sequence[SentFile]) -> None:
    """Adds files to an upload that was not committed; its rows are to be judged anew. Raises NotAllowed, Invalid for a
    sheet, a ZIP or a name that is taken, Conflict for an upload that was committed."""
    require_verb(user, upload.team, "start")
    for sent in filter(is_opened, files):
        raise Invalid(f"{shown(sent.name)} cannot be added to a sheet: upload it with the sheet anew.", field="files")
    with transaction.atomic():
        if not Upload.objects.select_for_update().filter(pk=upload.pk, state__in=Upload.STILL).exists():
            raise Conflict("This upload was committed or discarded, or a worker is at it now.", state="committed")
        known = {file.name: file.asset.sha256 for file in upload.files.select_related("asset")}
        if len(known) + len(files) > MOST_FILES:
            raise Invalid(f"More than {MOST_FILES:,} files were sent.", field="files")
        refuse_clash(known, files)
        new = assets_of([sent for sent in files if sent.name not in known])
        UploadedFile.objects.bulk_create([UploadedFile(upload=upload, name=n, asset=a) for n, a in new.items()])
