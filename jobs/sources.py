"""Where a job's files come from: asset roots or its upload. Nothing outside them can be reached, links included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

from django.conf import settings
from django.db import transaction

from jobs.lifecycle import annotate
from jobs.models import Asset, Job, Team
from jobs.slot_columns import filled
from jobs.stages.base import Inputs
from jobs.states import Stage
from jobs.store import Tick, fetch, hash_file, put_asset
from rendering.errors import FormatError

Beat = Callable[[str, float], None]
"""``beat(step, percent)``: keeps the lease while files are copied; raises LeaseLost when it is gone."""

SOURCE_SUFFIXES = {".psd", ".psb", ".aep", ".aepx"}
FONT_SUFFIXES = {".ttf", ".otf", ".ttc"}


def roots_of(team: Team) -> tuple[Path, ...]:
    """The team's asset roots. ``{team}`` in a configured root stands for the team's slug."""
    return tuple(Path(str(root).replace("{team}", team.slug)) for root in settings.ASSET_ROOTS)


def find_in_roots(team: Team, name: str) -> Path | None:
    """The file that a sheet calls ``name``, in the first asset root that has it; None when none has.

    Raises FormatError for a path that leads out of the roots: absolute, with ``..``, or through a link.
    """
    relative = _relative(name)
    for root in roots_of(team):
        home = root.resolve()
        candidate = home / relative
        if not candidate.is_file():
            continue
        if not candidate.resolve().is_relative_to(home):
            raise FormatError(name, "leads out of the asset root through a link.", "Put the file itself there.")
        return candidate
    return None


def _relative(name: str) -> PurePosixPath:
    text = name.replace("\\", "/")
    path = PurePosixPath(text)
    if "\0" in text or path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
        raise FormatError(name, "is not a path below the asset roots.", "Use a relative path without '..'.")
    return path


def no_beat(step: str, percent: float) -> None:
    """The beat of those who hold no lease."""


def collect(job: Job, stage: Stage, workdir: Path, *, beat: Beat = no_beat) -> Inputs:
    """Everything the stage reads, as files in ``workdir`` and plain values. Stores the sources at the first call.

    The files are the stage's to read, not to write. ``beat`` is called while they are fetched.
    """

    def tick() -> None:
        beat("fetching", 0)

    psd = _source(job, "psd", job.psd_path, stage, tick)
    project = _source(job, "project", job.project_path, stage, tick)
    uploads = _fetch_uploads(job, workdir / "uploads", tick)
    if stage > Stage.INGESTION:
        _fetch_layers(job, workdir / "layers", tick)
    search = [uploads] if uploads else []
    template = find_in_roots(job.team, job.project_path)
    if template is not None:
        search.append(template.parent)
    return Inputs(
        job_id=job.job_id,
        psd=fetch(psd, workdir, name="input" + Path(job.psd_path).suffix.lower(), tick=tick),
        project=fetch(project, workdir, name="input" + Path(job.project_path).suffix.lower(), tick=tick),
        psd_name=PurePosixPath(job.psd_path.replace("\\", "/")).name,
        project_name=PurePosixPath(job.project_path.replace("\\", "/")).name,
        workdir=workdir,
        search=tuple(search),
        font_dirs=(*settings.FONT_DIRS, *([uploads] if uploads else [])),
        system_fonts=settings.SYSTEM_FONTS,
        output_name=job.output_name,
        render_comp_id=job.render_comp_id,
        matches=tuple(dict(match) for match in job.matches.values("slot_id", "slot_name", "layer_id", "layer_name")),
        results={
            earlier: result
            for earlier in Stage
            if earlier < stage and (result := job.result_of(Stage(earlier))) is not None
        },
        match_threshold=settings.MATCH_THRESHOLD,
        preview_max_seconds=settings.PREVIEW_MAX_SECONDS,
        forced_reason=job.forced_reason,
        row_line=job.row_line,
        slot_cells=filled(job.row_data),
    )


def _source(job: Job, field: str, path: str, stage: Stage, tick: Tick) -> Asset:
    """The job's ``psd`` or ``project`` as a stored asset.

    Files of asset roots are stored by content when they are first used. Ingestion looks at them again: whoever mends
    one there has its job tried again.
    """
    asset: Asset | None = getattr(job, field)
    if asset is not None and (stage > Stage.INGESTION or asset.uploaded_as.exists()):
        return asset
    source = find_in_roots(job.team, path)
    if source is None:
        if asset is None:
            raise FormatError(path, "is no longer in the asset roots.", "Put it back, then retry the job.")
        return asset
    if asset is not None and _is_stored_as(asset, source, tick):
        return asset
    found = put_asset(source, team=job.team, kind=field, name=source.name, tick=tick)
    weight = {"bytes_in": found.size_bytes} if field == "psd" else {}
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**{field: found}, **weight)
        if asset is not None:
            annotate(job, "read_anew", data={"what": path, "before": asset.sha256, "after": found.sha256})
    setattr(job, field, found)
    return found


def _is_stored_as(asset: Asset, source: Path, tick: Tick) -> bool:
    """Whether the content of the file is still to be had by the record."""
    if asset.removed_at is not None or source.stat().st_size != asset.size_bytes:
        return False
    return hash_file(source, tick=tick) == asset.sha256


def _fetch_layers(job: Job, directory: Path, tick: Tick) -> None:
    """The layer images and the composite that ingestion exported."""
    for asset in job.assets.filter(stage=Stage.INGESTION, kind__in=("layer", "composite")):
        fetch(asset, directory, name=asset.name, tick=tick)


def _fetch_uploads(job: Job, directory: Path, tick: Tick) -> Path | None:
    """The footage and fonts that came with the sheet, under their own names; None when there are none."""
    if job.batch.upload is None:
        return None
    for uploaded in job.batch.upload.files.select_related("asset"):
        if PurePosixPath(uploaded.name).suffix.lower() not in SOURCE_SUFFIXES:
            fetch(uploaded.asset, directory, name=str(_relative(uploaded.name)), tick=tick)
    return directory if directory.is_dir() else None
