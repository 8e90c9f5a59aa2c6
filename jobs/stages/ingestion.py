"""Stage 1: reads the PSD and the template, exports the layers, finds the slots, proposes the matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.stages.base import Inputs, Outcome, Produced, Report
from jobs.stages.choosing import Chosen, choose
from jobs.stages.reading import Template, read_fonts, read_template
from rendering.aftereffects.findings import findings_of_project
from rendering.aftereffects.footage import found_footage, slot_pictures
from rendering.errors import FormatError
from rendering.findings import Finding
from rendering.fonts import FontLibrary
from rendering.inspection import box_json, footage_json, layer_json, render_comp_json, slot_json
from rendering.matching import Matching, match_layers
from rendering.matching_findings import findings_of_matching
from rendering.photoshop import Document, LayerImage
from rendering.photoshop.opening import open_document
from rendering.photoshop_findings import findings_of_document

MAX_STORED_PAIRS = 20_000
FULL_SCORE = 100.0
STORED_BEST = 10
"""Above MAX_STORED_PAIRS only the best so many scores of each slot are kept."""


def prepare(inputs: Inputs, report: Report) -> Outcome:
    """Raises FormatError when a file cannot be read, or when nothing was extracted from it."""
    report("Finding fonts", 2)
    fonts = read_fonts(inputs)
    report("Reading the Photoshop document", 8)
    document, images = _read_document(inputs, report)
    report("Reading the After Effects project", 60)
    template = read_template(inputs, fonts)
    if template.project.render_comp_id is None:
        raise FormatError(inputs.project_name, "it has no composition to render.", "Use a template with a composition.")
    report("Matching layers to slots", 85)
    chosen = choose(inputs.slot_cells, template.slots, document, line=inputs.row_line)
    matching = match_layers(
        document,
        template.project,
        template.slots,
        images={image.layer_id: image.path for image in images},
        slot_images=_slot_images(template, inputs),
        threshold=inputs.match_threshold,
        chosen=chosen.layers,
    )
    report("Checking", 95)
    findings = (*chosen.findings, *_findings(document, template, matching, fonts, chosen))
    return Outcome(
        result=_result(document, images, template, matching, fonts, chosen),
        files=_files(images, inputs.workdir / "composite.png"),
        findings=tuple(finding.as_json() for finding in findings),
        metrics={"layers": len(document.layers), "exported": len(images), "slots": len(template.slots)},
    )


def _read_document(inputs: Inputs, report: Report) -> tuple[Document, tuple[LayerImage, ...]]:
    try:
        opened = open_document(inputs.psd)
        document = replace(opened.describe(), file_name=inputs.psd_name)

        def progress(share: float) -> None:
            report("Exporting layers", 15 + 40 * share)

        images = opened.export(inputs.workdir / "layers", progress=progress)
        opened.composite(inputs.workdir / "composite.png")
    except FormatError as error:
        raise FormatError(inputs.psd_name, error.cause, error.cure) from error
    if not images:
        cause = "it has no visible layer with pixels: nothing was extracted."
        raise FormatError(inputs.psd_name, cause, "Show the layers that are meant to be used, and save it again.")
    return document, images


def _slot_images(template: Template, inputs: Inputs) -> dict[str, Path]:
    """What image slots show in the template, where their file is at hand: evidence for the matching."""
    footage = found_footage(template.project, project_folder=inputs.project.parent, search=inputs.search)
    return slot_pictures(template.project, template.slots, footage)


def _findings(
    document: Document, template: Template, matching: Matching, fonts: FontLibrary, chosen: Chosen
) -> tuple[Finding, ...]:
    kept = {slot_id for slot_id, layer_id in chosen.layers.items() if layer_id is None}
    slots = [slot for slot in template.slots if slot.id not in kept]
    return (
        *findings_of_document(document, installed=fonts.installed),
        *findings_of_project(template.project, installed=fonts.installed),
        *findings_of_matching(document, template.project, slots, matching, fonts=fonts),
    )


def _result(
    document: Document,
    images: Sequence[LayerImage],
    template: Template,
    matching: Matching,
    fonts: FontLibrary,
    chosen: Chosen,
) -> dict[str, Any]:
    project = template.project
    return {
        "document": {
            "name": document.file_name,
            "width_px": document.width_px,
            "height_px": document.height_px,
            "color_mode": document.color_mode,
            "depth_bits": document.depth_bits,
        },
        "layers": [layer_json(layer) for layer in document.layers],
        "images": [
            {
                "layer_id": image.layer_id,
                "box": box_json(image.box),
                "width_px": image.width_px,
                "height_px": image.height_px,
            }
            for image in images
        ],
        "project": {"name": project.file_name, "version": project.version},
        "compositions": [
            {
                "id": comp.id,
                "name": comp.name,
                "width_px": comp.width_px,
                "height_px": comp.height_px,
                "duration_seconds": comp.duration_seconds,
                "frame_rate": comp.frame_rate,
            }
            for comp in project.compositions
        ],
        "render_comp": render_comp_json(project),
        "slots": [slot_json(slot) for slot in template.slots],
        "fonts": [{"name": name, "installed": fonts.installed(name)} for name in project.fonts],
        "footage": footage_json(project),
        "matches": _matches(template, matching, chosen),
        "kept": list(matching.kept),
        "scores": _scores(matching.scores),
    }


def _matches(template: Template, matching: Matching, chosen: Chosen) -> list[dict[str, Any]]:
    """One entry for every slot, in the slots' order; one without a layer has ``layer_id`` None.

    What the sheet says is sure: its pairs have the full score, in a part of its own.
    """
    by_slot = {match.slot_id: match for match in matching.matches}
    entries = []
    for slot in template.slots:
        match = by_slot.get(slot.id)
        runner_up = match.runner_up if match else None
        by_sheet = slot.id in chosen.layers
        entries.append(
            {
                "slot_id": slot.id,
                "slot_name": slot.name,
                "slot_kind": slot.kind,
                "layer_id": match.layer_id if match else None,
                "layer_name": match.layer_name if match else "",
                "score": None if match is None else FULL_SCORE if by_sheet else match.score,
                "parts": {} if match is None else {"sheet": FULL_SCORE} if by_sheet else match.parts,
                "origin": "sheet" if by_sheet else "auto",
                "runner_up": {
                    "layer_id": runner_up.layer_id,
                    "layer_name": runner_up.layer_name,
                    "score": runner_up.score,
                }
                if runner_up
                else None,
            }
        )
    return entries


def _scores(scores: Mapping[str, Mapping[int, float]]) -> dict[str, dict[str, float]]:
    """The score matrix with JSON's string keys; of a huge one the best of each slot."""
    many = sum(len(row) for row in scores.values()) > MAX_STORED_PAIRS
    stored = {}
    for slot_id, row in scores.items():
        best = sorted(row.items(), key=lambda pair: -pair[1])
        stored[slot_id] = {str(layer_id): score for layer_id, score in (best[:STORED_BEST] if many else best)}
    return stored


def _files(images: Sequence[LayerImage], composite: Path) -> tuple[Produced, ...]:
    layers = [Produced(kind="layer", name=image.path.name, path=image.path, media_type="image/png") for image in images]
    return (*layers, Produced(kind="composite", name="composite.png", path=composite, media_type="image/png"))
