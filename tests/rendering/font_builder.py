"""A font whose every letter is a solid box, so that tests know each pixel of a text."""

from __future__ import annotations

import string
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from rendering.fonts import FontLibrary

BOX_FONT = "Boxes-Regular"
UNITS_PER_EM = 1000
ADVANCE = 600
BOX_WIDTH = 500
BOX_HEIGHT = 700


def box_font_library(directory: Path) -> FontLibrary:
    """Letters and digits are boxes 500 wide and 700 high on the baseline, 600 apart, in an em of 1000."""
    directory.mkdir(parents=True, exist_ok=True)
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((0, BOX_HEIGHT))
    pen.lineTo((BOX_WIDTH, BOX_HEIGHT))
    pen.lineTo((BOX_WIDTH, 0))
    pen.closePath()
    box = pen.glyph()
    empty = TTGlyphPen(None).glyph()
    characters = string.ascii_letters + string.digits
    names = {ord(character): f"uni{ord(character):04X}" for character in characters}
    builder = FontBuilder(UNITS_PER_EM, isTTF=True)
    builder.setupGlyphOrder([".notdef", "space", *names.values()])
    builder.setupCharacterMap({32: "space", **names})
    builder.setupGlyf({".notdef": empty, "space": empty, **dict.fromkeys(names.values(), box)})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", "space", *names.values()], (ADVANCE, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(
        {"familyName": "Boxes", "styleName": "Regular", "fullName": "Boxes Regular", "psName": BOX_FONT}
    )
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    builder.save(directory / "Boxes-Regular.ttf")
    return FontLibrary.from_directories([directory], system=False)
