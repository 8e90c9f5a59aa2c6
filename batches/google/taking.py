"""A Google Sheet on its way to a batch: it is read once, and the snapshot goes the way of every sheet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from batches.google import client
from batches.google.addresses import parse
from batches.google.snapshot import SUFFIX, Snapshot
from batches.intake import opening
from batches.intake.upload import MOST_PART_BYTES, Sent
from batches.models import Batch, Upload
from jobs.models import SentFile, Team
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

UNTITLED = "Google Sheet"


def preview(
    user: User,
    team: Team,
    *,
    url: str,
    range_: str = "",
    files: Iterable[Sent] = (),
    arrived: Sequence[SentFile] = (),
    given: Mapping[str, str] | None = None,
    updates: Batch | None = None,
) -> Upload:
    """As ``opening.preview_upload``, of the sheet at an address. Nothing is asked for people who may not upload.

    Raises as ``client.read`` besides.
    """
    require_verb(user, team, "start")
    snapshot = client.read(parse(url, range_))
    content = io.BytesIO(snapshot.as_bytes())
    return opening.preview_upload(
        user,
        team,
        sheet_name=file_name(snapshot),
        sheet_file=content,
        files=files,
        arrived=arrived,
        given=given,
        updates=updates,
    )


def file_name(snapshot: Snapshot) -> str:
    """The title of the spreadsheet as the plain name of a file."""
    plain = "".join(letter if letter.isprintable() and letter not in '/\\:*?"<>|' else " " for letter in snapshot.title)
    most = MOST_PART_BYTES - len(SUFFIX)
    title = " ".join(plain.encode("utf-8", "ignore")[:most].decode("utf-8", "ignore").split()).strip(".")
    return f"{title.strip() or UNTITLED}{SUFFIX}"
