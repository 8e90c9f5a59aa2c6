"""Stage 3: the populate script, the videos to watch, their figures, and what in them is only approximated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs.stages.base import Inputs, Outcome, Produced, Report
from jobs.stages.reading import (
    drawable_footage,
    read_fillings,
    read_fonts,
    read_relinks,
    read_template,
    report_between,
)
from rendering.aftereffects.model import Project
from rendering.aftereffects.relink import RelinkPlan
from rendering.aftereffects.script import populate_script
from rendering.aftereffects.stills import safe_stem
from rendering.drawing import Compositor, FidelityNote
from rendering.filling import Filling
from rendering.pixels import read_png
from rendering.video import PreviewVideos, write_preview_videos


def prepare(inputs: Inputs, report: Report) -> Outcome:
    """Fills the template in memory, draws it, and films it beside the Photoshop design."""
    report("Filling the slots", 2)
    fonts = read_fonts(inputs)
    template = read_template(inputs, fonts)
    comp_id = template.project.render_comp_id
    assert comp_id is not None, "ingestion refuses projects without a render comp"
    fillings = read_fillings(inputs, template)
    plan = read_relinks(inputs, template, fillings)
    names = {filling.slot.id: f"{safe_stem(filling.slot.name)}.png" for filling in fillings if filling.image}
    script = write_script(template.project, fillings, names, inputs.workdir / "populate.jsx")
    report("Reading the composition", 8)
    compositor = Compositor(
        template.opened,
        comp_id=comp_id,
        fonts=fonts,
        fillings=fillings,
        footage=drawable_footage(plan, template.project, inputs.workdir / "footage"),
    )
    videos = write_preview_videos(
        compositor,
        read_png(inputs.workdir / "layers" / "composite.png"),
        inputs.workdir / "videos",
        max_seconds=inputs.preview_max_seconds,
        progress=report_between(report, "Rendering the preview", 10, 98),
    )
    notes = [_note(note) for note in (*compositor.notes, *videos.notes)]
    return Outcome(
        result={
            "comp": template.project.composition(comp_id).name,
            "filled": [_filled(filling) for filling in fillings],
        },
        files=(script, *_videos(videos)),
        notes=(*notes, *_unresolved(plan)),
        metrics=asdict(videos.metrics),
    )


def write_script(project: Project, fillings: Sequence[Filling], names: Mapping[str, str], target: Path) -> Produced:
    """populate.jsx; the pictures of image slots are expected in ``footage/`` beside it, under ``names`` by slot id."""
    paths = {slot_id: f"footage/{name}" for slot_id, name in names.items()}
    target.write_text(populate_script(project, fillings, image_paths=paths), encoding="ascii")
    return Produced(kind="populate_script", name="populate.jsx", path=target, media_type="text/plain")


def _filled(filling: Filling) -> dict[str, Any]:
    return {"slot_id": filling.slot.id, "name": filling.slot.name, "kind": filling.slot.kind, "text": filling.text}


def _videos(videos: PreviewVideos) -> tuple[Produced, ...]:
    return (
        Produced(kind="psd_video", name="photoshop.mp4", path=videos.psd, media_type="video/mp4"),
        Produced(kind="ae_video", name="after-effects.mp4", path=videos.ae, media_type="video/mp4"),
        Produced(kind="preview_video", name="side-by-side.mp4", path=videos.combined, media_type="video/mp4"),
        Produced(kind="poster", name="poster.jpg", path=videos.poster, media_type="image/jpeg"),
    )


def _note(note: FidelityNote) -> dict[str, Any]:
    return {"code": note.code, "severity": "info", "object": note.object, "message": note.message}


def _unresolved(plan: RelinkPlan) -> list[dict[str, Any]]:
    return [
        {
            "code": "footage_not_drawn",
            "severity": "warning",
            "object": footage.name,
            "message": f"{footage.name} is missing and was drawn as nothing.",
            "cure": "Send the file along with the sheet, or put it beside the template.",
            "evidence": footage.path,
        }
        for footage in plan.unresolved
        if footage.references
    ]
