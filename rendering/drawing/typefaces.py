"""The typefaces that text is drawn with: the very file that shaped the text."""

from __future__ import annotations

from functools import lru_cache

import skia

from rendering.fonts import Font

_UNITS = 1000.0


@lru_cache(maxsize=64)
def typeface(font: Font) -> skia.Typeface | None:
    """None where Skia cannot read a file that HarfBuzz can."""
    face = _font_files().makeFromFile(str(font.path), font.index)
    if face is None or not font.variations:
        return face
    axes = skia.FontArguments.VariationPosition.Coordinates(
        [skia.FontArguments.VariationPosition.Coordinate(_tag(axis), value) for axis, value in font.variations]
    )
    arguments = skia.FontArguments()
    arguments.setVariationDesignPosition(skia.FontArguments.VariationPosition(axes))
    return face.makeClone(arguments)


@lru_cache(maxsize=1)
def _font_files() -> skia.FontMgr:
    # Skia's default manager asks fontconfig, which knows other fonts than the library and writes to stderr.
    return skia.FontMgr.New_Custom_Empty()


@lru_cache(maxsize=64)
def ascent_share(font: Font) -> float:
    """How high the first line of box text stands, as a share of its size: the height of the letter d."""
    face = typeface(font)
    if face is None:
        return 0.75
    drawn = skia.Font(face, _UNITS)
    glyph = drawn.unicharToGlyph(ord("d"))
    outline = drawn.getPath(glyph) if glyph else None
    if outline is None or outline.isEmpty():
        return float(-drawn.getMetrics().fAscent) / _UNITS
    return float(-outline.computeTightBounds().top()) / _UNITS


def _tag(axis: str) -> int:
    return int.from_bytes(axis.encode("latin-1")[:4].ljust(4), "big")
