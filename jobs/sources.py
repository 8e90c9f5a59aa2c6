"""Where a job's files come from: asset roots or its upload. Nothing outside them can be reached, links included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

from django.conf import settings

from jobs.models import Asset, Job, Team
from jobs.slot_columns import filled
from jobs.stages.base import Inputs
from jobs.states import Stage
from jobs.store import Tick, fetch, put_asset
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

    psd, project = _stored_sources(job, tick)
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


def _stored_sources(job: Job, tick: Tick) -> tuple[Asset, Asset]:
    """The job's two sources as stored assets. Files of asset roots are stored by content when they are first used."""
    found: dict[str, Asset] = {}
    for field, path, kind in (("psd", job.psd_path, "psd"), ("project", job.project_path, "project")):
        asset = getattr(job, field)
        if asset is None:
            source = find_in_roots(job.team, path)
            if source is None:
                raise FormatError(path, "is no longer in the asset roots.", "Put it back, then retry the job.")
            asset = put_asset(source, team=job.team, kind=kind, name=source.name, tick=tick)
            weight = {"bytes_in": asset.size_bytes} if field == "psd" else {}
            Job.objects.filter(pk=job.pk).update(**{field: asset}, **weight)
            setattr(job, field, asset)
        found[field] = asset
    return found["psd"], found["project"]


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
