"""The same sheet with the same files, committed again by the same person: recognised and asked about, not doubled.

The same is what says the same: a workbook that was only opened and saved has other bytes, as has its export as CSV.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Q
from django.utils.timesince import timesince

from batches.models import Batch, Upload, UploadedFile
from jobs import clock
from jobs.errors import Conflict

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_COMPARED = 50
"""Of the latest batches of one sheet: whoever makes more of it within the window knows what they do."""


class Repeated(Conflict):
    """The sheet became ``batch`` lately. Nothing happened; who means it asks for it again."""

    def __init__(self, batch: Batch, *, how: str = "") -> None:
        words = f"This sheet became {batch.name} (batch {batch.pk}) {when_made(batch)}.{how}"
        super().__init__(words, facts={"batch": batch.pk})
        self.batch = batch


def when_made(batch: Batch) -> str:
    """For people: just now, 10 minutes ago."""
    ago = timesince(batch.created_at, clock.now(), depth=1).replace("\xa0", " ")
    return "just now" if ago.startswith("0 ") else f"{ago} ago"


def repeat_of(user: User, upload: Upload) -> Batch | None:
    """The latest batch that the person made of the same sheet and files within the window, if they still see it."""
    since = clock.now() - timedelta(hours=settings.BATCH_REPEAT_HOURS)
    same = Q(upload__sheet__sha256=upload.sheet.sha256)
    if upload.content_sha256:
        same |= Q(upload__content_sha256=upload.content_sha256)
    same_sheet = Batch.objects.visible_to(user).filter(same, team=upload.team, created_by=user, created_at__gt=since)
    batches = list(same_sheet.exclude(upload=upload).order_by("-pk")[:MOST_COMPARED])
    if not batches:
        return None
    files = contents_of([upload.pk, *(batch.upload_id for batch in batches if batch.upload_id is not None)])
    mine = files.get(upload.pk, set())
    return next((batch for batch in batches if files.get(batch.upload_id or 0, set()) == mine), None)


def contents_of(uploads: list[int]) -> dict[int, set[tuple[str, str]]]:
    """What was sent along, name and SHA-256, by upload."""
    found: dict[int, set[tuple[str, str]]] = {}
    rows = UploadedFile.objects.filter(upload__in=uploads).values_list("upload_id", "name", "asset__sha256")
    for upload_id, name, sha256 in rows:
        found.setdefault(upload_id, set()).add((name, sha256))
    return found


def refuse_repeat(user: User, upload: Upload) -> None:
    """Raises Repeated."""
    if batch := repeat_of(user, upload):
        raise Repeated(batch)
