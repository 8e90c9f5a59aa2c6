"""Masks: which part of a layer is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import skia

from rendering.drawing.paths import outline_path
from rendering.drawing.values import Outline, OverTime, PropertyReader, child

# The spread of a linear ramp as wide as the feather, as the standard deviation of the blur that stands in for it.
_SIGMA_PER_FEATHER_PX = 0.289
_OPERATORS = {
    "ADD": skia.BlendMode.kSrcOver,
    "LIGHTEN": skia.BlendMode.kSrcOver,
    "SUBTRACT": skia.BlendMode.kDstOut,
    "INTERSECT": skia.BlendMode.kDstIn,
    "DARKEN": skia.BlendMode.kDstIn,
    "DIFFERENCE": skia.BlendMode.kXor,
}


@dataclass(frozen=True)
class Mask:
    mode: str
    inverted: bool
    outline: OverTime
    feather: OverTime
    opacity_percent: OverTime
    expansion: OverTime

    @property
    def values(self) -> tuple[OverTime, ...]:
        return (self.outline, self.feather, self.opacity_percent, self.expansion)

    def is_plain(self, time_seconds: float) -> bool:
        """Nothing but a shape to cut out."""
        return (
            self.mode == "ADD"
            and not self.inverted
            and not any(self.feather.at(time_seconds))
            and self.opacity_percent.at(time_seconds) >= 100
            and not self.expansion.at(time_seconds)
        )


class Masks:
    """All masks of one layer that are switched on, in the order in which they combine."""

    def __init__(self, masks: tuple[Mask, ...]) -> None:
        self._masks = masks
        self.animated = any(value.animated for mask in masks for value in mask.values)

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return tuple(value.at(time_seconds) for mask in self._masks for value in mask.values)

    def clip(self, canvas: skia.Canvas, time_seconds: float) -> bool:
        """Clips the canvas where one plain mask is all there is; says whether it did."""
        if len(self._masks) != 1 or not self._masks[0].is_plain(time_seconds):
            return False
        canvas.clipPath(outline_path(self._masks[0].outline.at(time_seconds)), True)
        return True

    def cut(self, canvas: skia.Canvas, time_seconds: float) -> None:
        """Takes away from the canvas' open layer whatever the masks do not show."""
        canvas.saveLayer(None, skia.Paint(BlendMode=skia.BlendMode.kDstIn))
        if self._masks[0].mode not in {"ADD", "LIGHTEN", "DIFFERENCE"}:
            canvas.drawColor(skia.ColorBLACK)
        for mask in self._masks:
            _draw_coverage(canvas, mask, time_seconds)
        canvas.restore()


def read_masks(layer: Any, reader: PropertyReader) -> Masks | None:
    """None for a layer without a mask that counts."""
    group = child(layer, "ADBE Mask Parade")
    masks = tuple(
        _read_mask(atom, reader)
        for atom in (group.properties if group is not None else ())
        if getattr(atom, "enabled", True) and atom.mask_mode.name != "NONE"
    )
    return Masks(masks) if masks else None


def _read_mask(atom: Any, reader: PropertyReader) -> Mask:
    mode = atom.mask_mode.name
    subject = f"{reader.subject} / {atom.name}"
    mask = Mask(
        mode=mode,
        inverted=bool(atom.inverted),
        outline=reader.outline(atom, "ADBE Mask Shape"),
        feather=reader.numbers(atom, "ADBE Mask Feather", (0.0, 0.0)),
        opacity_percent=reader.number(atom, "ADBE Mask Opacity", 100.0),
        expansion=reader.number(atom, "ADBE Mask Offset", 0.0),
    )
    if mode in {"LIGHTEN", "DARKEN"}:
        reader.notes.add("mask_approximated", subject, f"Mask mode {mode.lower()} is drawn as add or intersect.")
    if mask.feather.animated or any(mask.feather.at(0.0)):
        reader.notes.add("mask_approximated", subject, "The feather is drawn as a blur of the mask's edge.")
    if mask.expansion.animated or mask.expansion.at(0.0):
        reader.notes.add("mask_approximated", subject, "The expansion is drawn as a round stroke along the edge.")
    return mask


def _draw_coverage(canvas: skia.Canvas, mask: Mask, time_seconds: float) -> None:
    outline: Outline = mask.outline.at(time_seconds)
    path = outline_path(outline)
    opacity = min(max(mask.opacity_percent.at(time_seconds) / 100, 0.0), 1.0)
    canvas.saveLayer(None, skia.Paint(Alphaf=opacity, BlendMode=_OPERATORS[mask.mode]))
    if mask.inverted:
        canvas.drawColor(skia.ColorBLACK)
    sigma_x, sigma_y = (max(0.0, part) * _SIGMA_PER_FEATHER_PX for part in mask.feather.at(time_seconds)[:2])
    shape_paint = skia.Paint(BlendMode=skia.BlendMode.kDstOut if mask.inverted else skia.BlendMode.kSrcOver)
    if sigma_x or sigma_y:
        shape_paint.setImageFilter(skia.ImageFilters.Blur(sigma_x, sigma_y))
    canvas.saveLayer(None, shape_paint)
    _draw_expanded(canvas, path, mask.expansion.at(time_seconds))
    canvas.restore()
    canvas.restore()


def _draw_expanded(canvas: skia.Canvas, path: skia.Path, expansion_px: float) -> None:
    canvas.drawPath(path, skia.Paint(AntiAlias=True))
    if expansion_px:
        edge = skia.Paint(
            AntiAlias=True,
            Style=skia.Paint.kStroke_Style,
            StrokeWidth=2 * abs(expansion_px),
            StrokeJoin=skia.Paint.kRound_Join,
            BlendMode=skia.BlendMode.kSrcOver if expansion_px > 0 else skia.BlendMode.kDstOut,
        )
        canvas.drawPath(path, edge)
