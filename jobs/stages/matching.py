"""Stage 2: the pictures that a person needs to judge the matches. What they show was decided at ingestion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.stages.base import Inputs, Outcome, Produced, Report
from jobs.stages.reading import (
    drawable_footage,
    read_design,
    read_fonts,
    read_relinks,
    read_template,
    report_between,
)
from jobs.states import Stage
from rendering.aftereffects.slots import Slot
from rendering.drawing import Compositor
from rendering.drawing.overlay import mark_slots
from rendering.pixels import Rgb, Rgba, over_checkerboard, read_png, side_by_side, thumbnail, write_rgb

PREVIEW_PX = 480
WHOLE_PREVIEW_PX = 1280
COMPARISONS_PER_SLOT = 3


def prepare(inputs: Inputs, report: Report) -> Outcome:
    """Previews of layers and slots, of both wholes, and side-by-side pictures of each slot's likeliest layers."""
    album = Album(inputs.workdir / "previews")
    _, images = read_design(inputs)
    report("Drawing the render comp", 2)
    frame, slots = _render_comp(inputs)
    progress = report_between(report, "Layer previews", 20, 55)
    layers: dict[str, Rgba] = {}
    for done, image in enumerate(images, start=1):
        layers[str(image.layer_id)] = thumbnail(read_png(image.path), max_px=PREVIEW_PX)
        progress(done / len(images))
    crops = {slot.id: thumbnail(crop, max_px=PREVIEW_PX) for slot in slots if (crop := _crop(frame, slot)) is not None}
    layer_previews = {
        layer_id: album.add("layer_preview", f"layer-{layer_id}.png", layer) for layer_id, layer in layers.items()
    }
    slot_previews = {
        slot_id: album.add("slot_preview", f"slot-{_plain(slot_id)}.png", crop) for slot_id, crop in crops.items()
    }
    report("Comparisons", 70)
    comparisons = _comparisons(inputs, album, layers, crops)
    report("Overviews", 90)
    composite = thumbnail(read_png(inputs.workdir / "layers" / "composite.png"), max_px=WHOLE_PREVIEW_PX)
    result = {
        "layer_previews": layer_previews,
        "slot_previews": slot_previews,
        "comparisons": comparisons,
        "composite_preview": album.add("composite_preview", "photoshop.png", composite),
        "comp_preview": album.add(
            "comp_preview", "after-effects.png", thumbnail(mark_slots(frame, slots), max_px=WHOLE_PREVIEW_PX)
        ),
    }
    return Outcome(result=result, files=tuple(album.files), metrics={"previews": len(album.files)})


class Album:
    """Pictures on their way to the page."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self.files: list[Produced] = []

    def add(self, kind: str, name: str, rgba: Rgba) -> str:
        """Transparent parts are shown as a checkerboard. Returns the name."""
        return self.add_rgb(kind, name, over_checkerboard(rgba))

    def add_rgb(self, kind: str, name: str, rgb: Rgb) -> str:
        path = self._directory / name
        write_rgb(rgb, path)
        self.files.append(Produced(kind=kind, name=name, path=path, media_type="image/png"))
        return name


def _render_comp(inputs: Inputs) -> tuple[Rgba, tuple[Slot, ...]]:
    """A frame of the template as it is, at the middle of its render comp, and its slots."""
    fonts = read_fonts(inputs)
    template = read_template(inputs, fonts)
    comp_id = template.project.render_comp_id
    assert comp_id is not None, "ingestion refuses projects without a render comp"
    comp = template.project.composition(comp_id)
    plan = read_relinks(inputs, template, ())
    compositor = Compositor(
        template.opened,
        comp_id=comp_id,
        fonts=fonts,
        footage=drawable_footage(plan, template.project, inputs.workdir / "footage"),
    )
    return compositor.frame(comp.duration_seconds / 2), template.slots


def _crop(frame: Rgba, slot: Slot) -> Rgba | None:
    """What the frame shows where the slot is; None for a slot that lies outside."""
    if slot.box is None:
        return None
    height_px, width_px = frame.shape[:2]
    left, top = max(0, int(slot.box.left)), max(0, int(slot.box.top))
    right, bottom = min(width_px, round(slot.box.right)), min(height_px, round(slot.box.bottom))
    if right <= left or bottom <= top:
        return None
    return frame[top:bottom, left:right]


def _comparisons(
    inputs: Inputs, album: Album, layers: Mapping[str, Rgba], crops: Mapping[str, Rgba]
) -> dict[str, dict[str, Any]]:
    """For every slot the layer that fills it and the likeliest others, each beside what the slot shows now."""
    scores = inputs.results[Stage.INGESTION]["scores"]
    chosen = {match["slot_id"]: str(match["layer_id"]) for match in inputs.matches}
    comparisons: dict[str, dict[str, Any]] = {}
    for slot_id, crop in crops.items():
        ranked = sorted(scores.get(slot_id, {}).items(), key=lambda pair: -pair[1])
        likely = [layer_id for layer_id, _ in ranked[:COMPARISONS_PER_SLOT]]
        wanted = [layer_id for layer_id in dict.fromkeys([chosen.get(slot_id, ""), *likely]) if layer_id in layers]
        comparisons[slot_id] = {
            layer_id: _comparison(album, slot_id, layer_id, layers[layer_id], crop) for layer_id in wanted
        }
    return comparisons


def _comparison(album: Album, slot_id: str, layer_id: str, layer: Rgba, crop: Rgba) -> str:
    name = f"compare-{_plain(slot_id)}-{layer_id}.png"
    return album.add_rgb("comparison", name, side_by_side(layer, crop))


def _plain(slot_id: str) -> str:
    return slot_id.replace(":", "-")
