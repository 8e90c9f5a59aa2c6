"""Where a layer shows in its own composition: its box in px at the moment when it is best seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import py_aep

from rendering.aftereffects.model import Affine, LayerKind, LayerText
from rendering.aftereffects.texts import text_document
from rendering.geometry import Box

MOMENTS = 8
"""In how many parts the shown time of a layer with a keyframed opacity is divided to find where it is best seen."""

# Mean advance and vertical extent of a Latin text face, in parts of the font size: good to about a fifth.
_ADVANCE = 0.56
_CAPS_ADVANCE = 0.66
_ASCENT = 0.75
_DESCENT = 0.25


@dataclass(frozen=True, kw_only=True)
class Placement:
    shown_seconds: float | None
    to_comp: Affine | None
    box: Box | None
    exact: bool = True


def place(layer: py_aep.Layer, *, kind: LayerKind, text: LayerText | None) -> Placement:
    """Layers without pixels of their own (cameras, lights, nulls, sound) have no box."""
    shown = _best_seen_seconds(layer)
    if not isinstance(layer, py_aep.AVLayer) or kind in ("null", "audio", "camera", "light"):
        return Placement(shown_seconds=shown, to_comp=None, box=None)
    moment = layer.in_point if shown is None else shown
    to_comp = _to_comp(layer, moment)
    own, exact = _own_box(layer, kind, text, moment)
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


def _own_box(layer: py_aep.AVLayer, kind: LayerKind, text: LayerText | None, moment: float) -> tuple[Box | None, bool]:
    """The box in the layer's own px, and whether it is exact."""
    if text is not None:
        return _text_box(layer, text, moment)
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


def _text_box(layer: py_aep.AVLayer, text: LayerText, moment: float) -> tuple[Box | None, bool]:
    document = text_document(layer, seconds=moment)
    if document is not None and document.box_text and document.box_text_pos and document.box_text_size:
        left, top = document.box_text_pos[:2]
        width, height = document.box_text_size[:2]
        return Box(left, top, left + width, top + height), True
    if not text.text.strip():
        return None, True
    try:
        rect = _source_rect(layer, moment)
    except Exception:  # py-aep measures with the machine's fonts, and fails in many ways where one is missing
        rect = None
    return (rect, True) if rect is not None else (estimated_text_box(text), False)


def estimated_text_box(text: LayerText) -> Box:
    """A point text's box in its own px, from its font size alone: the first baseline lies at y 0."""
    lines = text.text.split("\n")
    advance = text.size_px * (_CAPS_ADVANCE if text.all_caps or text.text.isupper() else _ADVANCE)
    width = max(len(line) * (advance + text.tracking * text.size_px / 1000) for line in lines)
    below = (len(lines) - 1) * (text.leading_px or text.size_px * 1.2)
    left = {"right": -width, "center": -width / 2}.get(text.justification, 0.0)
    return Box(left, -_ASCENT * text.size_px, left + width, below + _DESCENT * text.size_px)
