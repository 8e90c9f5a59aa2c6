"""Sets sample texts in our typeface: the pixels and where they stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import skia

from rendering.fonts import Font, FontLibrary, shape
from rendering.samples.canvas import Rgb, Rgba, fill, picture

Justification = Literal["left", "right", "center"]
# The share of a line's width that lies left of its anchor.
_BEFORE = {"left": 0.0, "center": 0.5, "right": 1.0}
# Box text: the first baseline hangs this share of the size below the top of the box.
FIRST_BASELINE = 0.735


@dataclass(frozen=True, kw_only=True)
class Style:
    """``font`` is a PostScript name; ``tracking`` in thousandths of an em; ``leading_px`` from baseline to baseline."""

    font: str
    size_px: float
    rgb: Rgb
    justification: Justification = "left"
    tracking: int = 0
    leading_px: float | None = None

    @property
    def line_px(self) -> float:
        return self.leading_px or self.size_px * 1.2


@dataclass(frozen=True, kw_only=True)
class SetText:
    """Pixels of the inked area and its upper left corner in the document, px."""

    pixels: Rgba
    left: int
    top: int


@lru_cache(maxsize=8)
def library(fonts: Path) -> FontLibrary:
    return FontLibrary.from_directories([fonts], system=False)


def set_text(
    text: str, style: Style, *, x_px: float, y_px: float, box_px: tuple[float, float] | None, fonts: Path
) -> SetText:
    """Draws ``text``; lines end at "\\n" and, in box text, where the box is full.

    ``x_px``, ``y_px`` is the anchor on the first baseline, for box text the upper left corner of the box.
    """
    font = library(fonts).find(style.font)
    assert font is not None, style.font
    anchor, baseline = x_px, y_px
    lines = text.split("\n")
    if box_px is not None:
        anchor, baseline = x_px + box_px[0] * _BEFORE[style.justification], y_px + FIRST_BASELINE * style.size_px
        lines = [part for line in lines for part in _wrapped(line, font, style, box_px[0])]
    ink = skia.Path()
    for number, line in enumerate(lines):
        _add_line(ink, line, font, style, anchor, baseline + number * style.line_px)
    area = ink.computeTightBounds()
    left, top = math.floor(area.left()), math.floor(area.top())
    width, height = max(1, math.ceil(area.right()) - left), max(1, math.ceil(area.bottom()) - top)

    def draw(canvas: skia.Canvas) -> None:
        canvas.translate(-left, -top)
        canvas.drawPath(ink, fill(style.rgb))

    return SetText(pixels=picture(width, height, draw), left=left, top=top)


def _wrapped(line: str, font: Font, style: Style, width_px: float) -> list[str]:
    lines: list[str] = [""]
    for word in line.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and shape(font, longer, size_px=style.size_px, tracking=style.tracking).width_px > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _add_line(ink: skia.Path, line: str, font: Font, style: Style, anchor: float, baseline: float) -> None:
    shaped = shape(font, line, size_px=style.size_px, tracking=style.tracking)
    start = anchor - shaped.width_px * _BEFORE[style.justification]
    drawn = skia.Font(_typeface(font.path), style.size_px)
    for glyph in shaped.glyphs:
        outline = drawn.getPath(glyph.glyph_id)
        if outline is not None:
            ink.addPath(outline, start + glyph.x_px, baseline + glyph.y_px)


@lru_cache(maxsize=8)
def _typeface(path: Path) -> skia.Typeface:
    return skia.FontMgr.New_Custom_Empty().makeFromFile(str(path), 0)
