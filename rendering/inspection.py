"""What we read from a file, as JSON. The keys are stable and documented in docs/formats.md.

Values go by name, as people and scripts know them; their ids stand beside them, since names repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rendering.aftereffects.model import Composition, Project
from rendering.aftereffects.slots import Slot
from rendering.findings import Finding
from rendering.geometry import Box

if TYPE_CHECKING:
    # They bring SciPy and psd-tools along, half of the time that a look at a project takes.
    from rendering.matching import Match, Matching
    from rendering.photoshop import Document, Layer

TEXT_KINDS = frozenset({"type"})
IMAGE_KINDS = frozenset({"pixel", "smart_object", "shape", "fill"})
Installed = Callable[[str], bool]


def box_json(box: Box | None) -> list[float] | None:
    """[left, top, right, bottom], px, to a hundredth."""
    return None if box is None else [round(value, 2) for value in box]


def slot_kind_of(layer: Layer) -> str | None:
    """The kind of slot the PSD layer could fill; None for groups and adjustments."""
    if layer.kind in TEXT_KINDS:
        return "text"
    return "image" if layer.kind in IMAGE_KINDS else None


def layer_json(layer: Layer) -> dict[str, Any]:
    return {
        "layer_id": layer.layer_id,
        "name": layer.name,
        "kind": layer.kind,
        "slot_kind": slot_kind_of(layer),
        "path": list(layer.path),
        "parent_id": layer.parent_id,
        "order": layer.order,
        "box": box_json(layer.box),
        "visible": layer.visible,
        "opacity": round(layer.opacity, 4),
        "blend_mode": layer.blend_mode,
        "clipping": layer.clipping,
        "has_mask": layer.has_mask,
        "effects": list(layer.effects),
        "text": layer.text,
        "runs": [asdict(run) for run in layer.runs],
    }


def document_json(document: Document, *, installed: Installed, findings: Sequence[Finding]) -> dict[str, Any]:
    fonts = sorted({run.font for layer in document.layers for run in layer.runs if run.font})
    return {
        "format": "psd",
        "name": document.file_name,
        "width": document.width_px,
        "height": document.height_px,
        "color_mode": document.color_mode,
        "depth": document.depth_bits,
        "layers": [{"id": layer.layer_id, **layer_json(layer)} for layer in document.layers],
        "fonts": [{"name": name, "installed": installed(name)} for name in fonts],
        "findings": [finding.as_json() for finding in findings],
    }


def composition_json(comp: Composition) -> dict[str, Any]:
    return {
        "id": comp.id,
        "name": comp.name,
        "width": comp.width_px,
        "height": comp.height_px,
        "duration": comp.duration_seconds,
        "frame_rate": comp.frame_rate,
        "renderer": comp.renderer,
        "layers": [
            {
                "id": layer.id,
                "index": layer.index,
                "name": layer.name,
                "kind": layer.kind,
                "text": layer.text.text if layer.text else None,
                "source": layer.source_name or None,
                "enabled": layer.enabled,
                "font": layer.text.font if layer.text else None,
                "box": box_json(layer.box),
                "box_exact": layer.box_exact,
                "effects": list(layer.effects),
                "expressions": list(layer.expressions),
            }
            for layer in comp.layers
        ],
    }


def slot_json(slot: Slot) -> dict[str, Any]:
    return {
        "id": slot.id,
        "comp": slot.comp_name,
        "comp_id": slot.comp_id,
        "comp_name": slot.comp_name,
        "layer_id": slot.layer_id,
        "name": slot.name,
        "kind": slot.kind,
        "reason": slot.reason,
        "box": box_json(slot.box),
        "order": slot.order,
        "text": slot.text,
        "font": slot.font,
        "source_size_px": list(slot.source_size_px) if slot.source_size_px else None,
    }


def render_comp_json(project: Project) -> dict[str, Any] | None:
    if project.render_comp_id is None:
        return None
    comp = project.composition(project.render_comp_id)
    return {"id": comp.id, "name": comp.name, "reason": project.render_comp_reason}


def render_comp_keys(project: Project) -> dict[str, Any]:
    """The render comp by name; all three are null when there is none."""
    comp = render_comp_json(project) or {"id": None, "name": None, "reason": None}
    return {"render_comp": comp["name"], "render_comp_id": comp["id"], "render_comp_reason": comp["reason"]}


def footage_json(project: Project) -> list[dict[str, Any]]:
    """One entry a file; a file that several items show is found when all of them resolve."""
    files: dict[str, dict[str, Any]] = {}
    for footage in project.footage:
        entry = files.setdefault(footage.path, {"path": footage.path, "found": True, "items": 0, "references": 0})
        entry["found"] = entry["found"] and footage.found
        entry["items"] += 1
        entry["references"] += footage.references
    return list(files.values())


def project_json(
    project: Project, slots: Sequence[Slot], *, installed: Installed, findings: Sequence[Finding]
) -> dict[str, Any]:
    return {
        "format": "aftereffects",
        "name": project.file_name,
        "version": project.version,
        "compositions": [composition_json(comp) for comp in project.compositions],
        **render_comp_keys(project),
        "slots": [slot_json(slot) for slot in slots],
        "fonts": [{"name": name, "installed": installed(name)} for name in project.fonts],
        "footage": footage_json(project),
        "findings": [finding.as_json() for finding in findings],
    }


def match_json(match: Match) -> dict[str, Any]:
    runner_up = match.runner_up
    return {
        "psd_layer": match.layer_name,
        "psd_layer_id": match.layer_id,
        "slot": match.slot_name,
        "slot_id": match.slot_id,
        "score": match.score,
        "parts": match.parts,
        "runner_up": {
            "psd_layer": runner_up.layer_name,
            "psd_layer_id": runner_up.layer_id,
            "score": runner_up.score,
        }
        if runner_up
        else None,
    }


def matching_json(
    matching: Matching, *, document: Document, slots: Sequence[Slot], findings: Sequence[Finding]
) -> dict[str, Any]:
    names = {layer.layer_id: layer.name for layer in document.layers}
    slot_names = {slot.id: slot.name for slot in slots}
    return {
        "matches": [match_json(match) for match in matching.matches],
        "kept": [names[layer_id] for layer_id in matching.kept],
        "kept_ids": list(matching.kept),
        "unfilled": [slot_names[slot_id] for slot_id in matching.unfilled],
        "unfilled_ids": list(matching.unfilled),
        "findings": [finding.as_json() for finding in findings],
    }


def document_of_json(data: dict[str, Any], layers: Sequence[dict[str, Any]]) -> Document:
    """The document that ``layer_json`` described, so that a later stage need not open the PSD again."""
    from rendering.photoshop import Document

    return Document(
        file_name=data["name"],
        width_px=data["width_px"],
        height_px=data["height_px"],
        color_mode=data["color_mode"],
        depth_bits=data["depth_bits"],
        layers=tuple(_layer_of_json(layer) for layer in layers),
    )


def _layer_of_json(data: dict[str, Any]) -> Layer:
    from rendering.photoshop import Layer, TextRun

    runs = tuple(
        TextRun(**{**run, "color_rgb": tuple(run["color_rgb"]) if run["color_rgb"] else None}) for run in data["runs"]
    )
    return Layer(
        layer_id=data["layer_id"],
        name=data["name"],
        kind=data["kind"],
        path=tuple(data["path"]),
        parent_id=data["parent_id"],
        order=data["order"],
        box=Box(*data["box"]),
        visible=data["visible"],
        opacity=data["opacity"],
        blend_mode=data["blend_mode"],
        clipping=data["clipping"],
        has_mask=data["has_mask"],
        effects=tuple(data["effects"]),
        text=data["text"],
        runs=runs,
    )
