"""Jobs submitted one by one, or a hundred at most, without a sheet: each request becomes a batch of its own.

What was sent is written as a small sheet and goes the way of every sheet, so that the same rules hold.
"""

from __future__ import annotations

import io
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from batches import actions
from batches.intake import judging, opening
from batches.intake.table import REQUIRED
from batches.intake.upload import Sent
from batches.models import Batch, Upload
from jobs.errors import Conflict, Invalid
from jobs.models import Team
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_JOBS = 100
SHEET_NAME = "submitted.json"
MOST_STEM_CHARACTERS = 40
FIELDS = {"aepx_path": "project_path"}
"""Columns of a sheet that have another name where jobs are submitted."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One job: its cells by the names of the sheet's columns. What is left out is made from the design's name."""

    cells: dict[str, str] = field(default_factory=dict)


def submit(
    user: User, team: Team, jobs: Sequence[Wanted], *, files: Iterable[Sent] = (), name: str = "", start: bool = True
) -> Batch:
    """Opens a batch of these jobs, with the files that they call by name, and starts it.

    Either all jobs are opened or none. Raises NotAllowed; Invalid with the field ``jobs`` or ``files``.
    """
    require_verb(user, team, "start")
    if not 1 <= len(jobs) <= MOST_JOBS:
        raise Invalid(f"{len(jobs)} jobs were sent; from 1 to {MOST_JOBS} go into a request.", field="jobs")
    sheet = json.dumps([_completed(wanted.cells) for wanted in jobs]).encode()
    upload = opening.preview_upload(user, team, sheet_name=SHEET_NAME, sheet_file=io.BytesIO(sheet), files=files)
    try:
        _refuse_bad(upload, alone=len(jobs) == 1)
        batch = opening.commit_all(user, upload, name=name, again=True)
    except (Conflict, Invalid):
        opening.discard(user, upload)
        raise
    if start:
        actions.start(user, batch)
    return batch


def _completed(cells: dict[str, str]) -> dict[str, str]:
    """With a ``job_id`` and an ``output_name``: from the design's name, and so that nothing else is called that."""
    stem = PurePosixPath(cells.get("psd_path", "").replace("\\", "/")).stem
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem)[:MOST_STEM_CHARACTERS].strip("-") or "job"
    own = f"{plain}-{secrets.token_hex(4)}"
    made = {**dict.fromkeys(REQUIRED, ""), "job_id": own, "output_name": f"{cells.get('job_id') or plain}.aep"}
    return {**made, **{name: value for name, value in cells.items() if value}}


def _refuse_bad(upload: Upload, *, alone: bool) -> None:
    if upload.state != Upload.PREVIEW:
        raise Invalid(upload.problem, field="jobs")
    bad = list(upload.rows.filter(good=False).order_by("id"))
    if not bad:
        return
    column, message, _where = bad[0].errors[0]
    if alone:
        raise Invalid(message, field=FIELDS.get(column, column) or "jobs")
    cells = judging.cells_of(bad[0], judging.judge_names(upload))
    number = list(upload.rows.order_by("id").values_list("pk", flat=True)).index(bad[0].pk) + 1
    more = f" {len(bad) - 1} more jobs are wrong." if len(bad) > 1 else ""
    raise Invalid(f"Job {number} ({cells.get('job_id', '')}): {column} {message}{more}", field="jobs")
