"""What goes into a slot. Drawing, the populate script and the final project all read the same fillings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rendering.aftereffects.model import Project
from rendering.aftereffects.slots import Slot
from rendering.geometry import Box
from rendering.photoshop import Document, LayerImage
from rendering.pixels import fit_image, read_png, write_png

WHOLE_FRAME = 0.9
"""A slot that covers this share of the frame in both directions shows the document in place."""


@dataclass(frozen=True, kw_only=True)
class Filling:
    """Exactly one of ``text`` and ``image`` is set.

    ``image`` is an 8-bit RGBA PNG that already has the slot's source size (see ``fit_image``), so nothing moves.
    """

    slot: Slot
    text: str | None = None
    image: Path | None = None


def fill_slots(
    slots: Sequence[Slot],
    layer_of_slot: Mapping[str, int],
    *,
    document: Document,
    images: Sequence[LayerImage],
    project: Project,
    directory: Path,
) -> tuple[Filling, ...]:
    """The fillings for a choice of PSD layers by slot id. Images are fitted to their slots, in ``directory``.

    A slot without a layer, or whose layer has nothing to show, is left as the template has it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    layers = {layer.layer_id: layer for layer in document.layers}
    pixels = {image.layer_id: image for image in images}
    fillings = []
    for slot in slots:
        layer = layers.get(layer_of_slot.get(slot.id, -1))
        if layer is None:
            continue
        if slot.kind == "text" and layer.text is not None:
            fillings.append(Filling(slot=slot, text=layer.text))
        elif slot.kind == "image" and layer.layer_id in pixels:
            target = directory / f"slot-{slot.comp_id}-{slot.layer_id}.png"
            _fit(pixels[layer.layer_id], slot, document=document, project=project, target=target)
            fillings.append(Filling(slot=slot, image=target))
    return tuple(fillings)


def _fit(image: LayerImage, slot: Slot, *, document: Document, project: Project, target: Path) -> None:
    size_px = slot.source_size_px or (image.width_px, image.height_px)
    in_place = covers_frame(slot, project)
    fitted = fit_image(
        read_png(image.path),
        size_px=size_px,
        placement=image.box if in_place else None,
        document_size_px=(document.width_px, document.height_px) if in_place else None,
    )
    write_png(fitted, target)


def covers_frame(slot: Slot, project: Project) -> bool:
    """True when the slot shows the whole frame of the render comp: then a layer goes to its place in the document."""
    if slot.box is None or project.render_comp_id is None:
        return False
    comp = project.composition(project.render_comp_id)
    frame = Box(0, 0, comp.width_px, comp.height_px)
    width_px = min(slot.box.right, frame.right) - max(slot.box.left, frame.left)
    height_px = min(slot.box.bottom, frame.bottom) - max(slot.box.top, frame.top)
    return width_px >= WHOLE_FRAME * frame.width and height_px >= WHOLE_FRAME * frame.height
