"""What every stage gets and gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.slot_columns import filled
from jobs.states import Stage

if TYPE_CHECKING:
    from jobs.models import Job

Report = Callable[[str, float], None]
"""``report(step, percent)``: what is done now and how much of the stage is behind us, 0..100."""

STAGE_REVISION = {Stage.INGESTION: 1, Stage.MATCHING: 1, Stage.PREVIEW: 1, Stage.DELIVERY: 1}
"""Counts up when a stage's output changes for the same input, so that old preparations are not reused."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything a stage may read. ``workdir`` is empty and the stage's own; it is removed afterwards.

    ``search`` are the roots in which footage may be found. ``matches`` are dicts of slot_id and layer_id.
    ``results`` holds what earlier stages reported, by stage number. ``slot_cells`` are what the job's row, in the line
    ``row_line`` of its sheet, says in columns of slots (``jobs.slot_columns``).
    """

    job_id: str
    psd: Path
    project: Path
    psd_name: str
    project_name: str
    workdir: Path
    search: tuple[Path, ...]
    font_dirs: tuple[Path, ...]
    system_fonts: bool
    output_name: str
    render_comp_id: int | None
    matches: tuple[dict[str, Any], ...]
    results: dict[int, dict[str, Any]]
    match_threshold: float
    preview_max_seconds: float
    forced_reason: str
    row_line: int
    slot_cells: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the process of a stage may take; ``file_bytes`` holds for each file."""

    seconds: float
    memory_bytes: int
    file_bytes: int


@dataclass(frozen=True, kw_only=True)
class Produced:
    """A file that a stage made. ``kind`` is stable (``layer_preview``, ``preview_video``); ``name`` is for people."""

    kind: str
    name: str
    path: Path
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``result`` is JSON. ``findings`` and ``notes`` replace those that the stage left before.

    ``faults`` True at delivery: the project is not clean and was not released.
    """

    result: dict[str, Any]
    files: tuple[Produced, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()
    notes: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    faults: bool = False


Prepare = Callable[[Inputs, Report], Outcome]


def input_hash(job: Job, stage: Stage) -> str:
    """The SHA-256 of everything the stage's outcome depends on, hex."""
    parts: dict[str, Any] = {
        "stage": int(stage),
        "revision": STAGE_REVISION[stage],
        "psd": job.psd.sha256 if job.psd else job.psd_path,
        "project": job.project.sha256 if job.project else job.project_path,
        "render_comp_id": job.render_comp_id,
    }
    if stage < Stage.PREVIEW and (cells := filled(job.row_data)):
        parts["slot_cells"] = cells
    if stage >= Stage.PREVIEW:
        parts["matches"] = list(job.matches.order_by("slot_id").values_list("slot_id", "layer_id"))
    if stage == Stage.DELIVERY:
        parts["output_name"] = job.output_name
        parts["forced"] = job.forced_reason
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
