"""Builds fonts of empty boxes whose widths are known: every character is half an em wide."""

from __future__ import annotations

import string
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTCollection, TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph

UNITS_PER_EM = 1000
ADVANCE = 500
LATIN = string.ascii_letters + string.digits + " -"


def tiny_font(
    family: str,
    style: str = "Regular",
    *,
    weight: int = 400,
    characters: str = LATIN,
    postscript_name: str | None = None,
) -> TTFont:
    glyphs = [".notdef", *(f"uni{ord(character):04X}" for character in characters)]
    builder = FontBuilder(UNITS_PER_EM, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(character): f"uni{ord(character):04X}" for character in characters})
    builder.setupGlyf({glyph: Glyph() for glyph in glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (ADVANCE, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(
        {
            "familyName": family,
            "styleName": style,
            "fullName": f"{family} {style}",
            "psName": postscript_name or f"{family}-{style}".replace(" ", ""),
        }
    )
    builder.setupOS2(usWeightClass=weight, sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    return builder.font


def save_tiny_font(path: Path, family: str, style: str = "Regular", **features: object) -> Path:
    tiny_font(family, style, **features).save(path)
    return path


def save_collection(path: Path, *families: str) -> Path:
    collection = TTCollection()
    collection.fonts = [tiny_font(family) for family in families]
    collection.save(path)
    return path


def save_variable_font(path: Path, family: str, weights: dict[str, int]) -> Path:
    font = tiny_font(family)
    builder = FontBuilder(font=font)
    builder.setupFvar(
        [("wght", min(weights.values()), min(weights.values()), max(weights.values()), "Weight")],
        [
            {"stylename": style, "location": {"wght": weight}, "postscriptfontname": f"{family}-{style}"}
            for style, weight in weights.items()
        ],
    )
    font.save(path)
    return path
