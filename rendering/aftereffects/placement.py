"""Where a layer shows in its own composition: its box in px at the moment when it is best seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import py_aep

from rendering.aftereffects.model import Affine, LayerKind
from rendering.aftereffects.text_boxes import estimated_text_box, measured_text_box
from rendering.aftereffects.texts import text_at, text_document
from rendering.fonts import FontLibrary
from rendering.geometry import Box

MOMENTS = 8
"""In how many parts the shown time of a layer with a keyframed opacity is divided to find where it is best seen."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    shown_seconds: float | None
    to_comp: Affine | None
    box: Box | None
    exact: bool = True


def place(layer: py_aep.Layer, *, kind: LayerKind, fonts: FontLibrary | None = None) -> Placement:
    """Layers without pixels of their own (cameras, lights, nulls, sound) have no box.

    Point text is measured with ``fonts``; without them its box is estimated.
    """
    shown = _best_seen_seconds(layer)
    if not isinstance(layer, py_aep.AVLayer) or kind in ("null", "audio", "camera", "light"):
        return Placement(shown_seconds=shown, to_comp=None, box=None)
    moment = layer.in_point if shown is None else shown
    to_comp = _to_comp(layer, moment)
    own, exact = _own_box(layer, kind, moment, fonts)
    box = to_comp.box(own) if own is not None and to_comp is not None else None
    if box is not None and not all(map(math.isfinite, box)):
        box = None
    return Placement(shown_seconds=shown, to_comp=to_comp, box=box, exact=exact)


def _best_seen_seconds(layer: py_aep.Layer) -> float | None:
    start = max(min(layer.in_point, layer.out_point), 0.0)
    end = min(max(layer.in_point, layer.out_point), layer.containing_comp.duration)
    if not end > start:
        return None
    middle = (start + end) / 2
    opacity = _opacity(layer)
    if opacity is None or not opacity.keyframes:
        return middle
    moments = [middle] + [start + (end - start) * (part + 0.5) / MOMENTS for part in range(MOMENTS)]

    def visibility(moment: float) -> tuple[float, float]:
        value = opacity.value_at_time(moment)
        return (round(value, 3) if isinstance(value, int | float) else 0.0, -abs(moment - middle))

    return max(moments, key=visibility)


def _opacity(layer: py_aep.Layer) -> py_aep.Property | None:
    if not isinstance(layer, py_aep.AVLayer):
        return None
    found = layer.transform["ADBE Opacity"]
    return found if isinstance(found, py_aep.Property) else None


def _to_comp(layer: py_aep.AVLayer, moment: float) -> Affine | None:
    """Three mapped points make the map; in 3D this leaves out the perspective inside one layer."""
    try:
        x0, y0 = layer.source_point_to_comp([0.0, 0.0], moment)
        x1, y1 = layer.source_point_to_comp([100.0, 0.0], moment)
        x2, y2 = layer.source_point_to_comp([0.0, 100.0], moment)
    except (NotImplementedError, ValueError):
        # Auto-orientation that py-aep does not model, or numbers beyond all bounds: the place is not known.
        return None
    return Affine((x1 - x0) / 100, (y1 - y0) / 100, (x2 - x0) / 100, (y2 - y0) / 100, x0, y0)


def _own_box(
    layer: py_aep.AVLayer, kind: LayerKind, moment: float, fonts: FontLibrary | None
) -> tuple[Box | None, bool]:
    """The box in the layer's own px, and whether it is exact."""
    document = text_document(layer, seconds=moment) if kind == "text" else None
    if document is not None:
        return _text_box(document, fonts)
    try:
        return _source_rect(layer, moment), True
    except NotImplementedError:
        return None, True


def _source_rect(layer: py_aep.AVLayer, moment: float) -> Box | None:
    stretch = layer.stretch or 100.0
    rect = layer.source_rect_at_time((moment - layer.start_time) * 100.0 / stretch, False)
    if rect["width"] <= 0 or rect["height"] <= 0:
        return None
    return Box(rect["left"], rect["top"], rect["left"] + rect["width"], rect["top"] + rect["height"])


def _text_box(document: py_aep.TextDocument, fonts: FontLibrary | None) -> tuple[Box | None, bool]:
    if document.box_text and document.box_text_pos and document.box_text_size:
        left, top = document.box_text_pos[:2]
        width, height = document.box_text_size[:2]
        return Box(left, top, left + width, top + height), True
    text = text_at(document)
    if not text.text.strip():
        return None, True
    font = fonts.substitute(text.font) if fonts is not None else None
    if fonts is None or font is None:
        return estimated_text_box(text), False
    return measured_text_box(text, font), fonts.installed(text.font) and _is_uniform(document)


def _is_uniform(document: py_aep.TextDocument) -> bool:
    """py-aep gives None for what differs between characters."""
    whole = document.character_range(0, -1)
    return whole.font is not None and whole.font_size is not None
