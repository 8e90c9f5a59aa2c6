"""The fonts of this machine: finding them by the names that designs use, measuring and shaping text with them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import uharfbuzz

from rendering.font_files import ITALIC_WORDS, WEIGHT_WORDS, Font, faces_of, font_files, normalised

__all__ = [
    "Font",
    "FontLibrary",
    "FontMetrics",
    "Glyph",
    "ShapedLine",
    "metrics",
    "missing_glyphs",
    "shape",
    "system_directories",
]

_WIDTH_WORDS = {
    "extracondensed": 2,
    "semicondensed": 4,
    "condensed": 3,
    "cond": 3,
    "narrow": 3,
    "compressed": 2,
    "expanded": 7,
    "extended": 7,
    "wide": 7,
}
_PLAIN_WORDS = ("regular", "roman", "normal", "book", "mt", "ps", "std", "pro")


@dataclass(frozen=True, kw_only=True)
class Glyph:
    """A glyph with its origin in px from the start of the line on the baseline; y grows downwards.

    ``glyph_id`` 0 is the font's "missing" box. ``cluster`` is the index of its first character in the text.
    """

    glyph_id: int
    cluster: int
    x_px: float
    y_px: float
    advance_px: float


@dataclass(frozen=True, kw_only=True)
class ShapedLine:
    """``width_px`` is the advance width without the tracking after the last character."""

    glyphs: tuple[Glyph, ...]
    width_px: float


@dataclass(frozen=True, kw_only=True)
class FontMetrics:
    """Lengths in px, all positive: above the baseline, below it, and the extra gap that the font asks for."""

    ascent_px: float
    descent_px: float
    line_gap_px: float


@dataclass(frozen=True)
class FontLibrary:
    """Fonts in order of preference: where two share a PostScript name the first one is used.

    ``unreadable`` are files with a font's suffix that could not be read.
    """

    fonts: tuple[Font, ...]
    unreadable: tuple[Path, ...] = ()

    @classmethod
    def from_directories(cls, directories: Sequence[Path], *, system: bool) -> FontLibrary:
        """Every font below the directories (missing ones are passed over), then the machine's own if ``system``."""
        everywhere = [*directories, *(system_directories() if system else ())]
        fonts: dict[str, Font] = {}
        unreadable: list[Path] = []
        for path in font_files(everywhere):
            found = faces_of(path)
            if not found:
                unreadable.append(path)
            for font in found:
                fonts.setdefault(font.postscript_name, font)
        return cls(tuple(fonts.values()), tuple(unreadable))

    def find(self, name: str) -> Font | None:
        """The font of that PostScript name, else of that full name or family and style, whatever their spelling."""
        return self._by_postscript_name.get(name) or self._by_normal_name.get(normalised(name))

    def installed(self, name: str) -> bool:
        return self.find(name) is not None

    def substitute(self, name: str) -> Font | None:
        """The nearest font that can draw Latin text: the font itself, its family, then any sans; None if none can.

        The answer depends only on the name and on which fonts there are.
        """
        exact = self.find(name)
        if exact is not None:
            return exact
        wanted = _Wanted.of(name)
        for font in sorted(self.fonts, key=wanted.distance):
            if not missing_glyphs(font, "AZaz09"):
                return font
        return None

    @cached_property
    def _by_postscript_name(self) -> dict[str, Font]:
        return {font.postscript_name: font for font in self.fonts}

    @cached_property
    def _by_normal_name(self) -> dict[str, Font]:
        names: dict[str, Font] = {}
        for font in self.fonts:
            for name in (font.postscript_name, font.full_name, f"{font.family} {font.style}", *font.other_names):
                names.setdefault(normalised(name), font)
        names.pop("", None)
        return names


def system_directories() -> tuple[Path, ...]:
    """Where this machine keeps the fonts of all users and of this user."""
    data_home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return (Path("/usr/local/share/fonts"), Path("/usr/share/fonts"), data_home / "fonts", Path.home() / ".fonts")


def shape(font: Font, text: str, *, size_px: float, tracking: float = 0.0) -> ShapedLine:
    """Glyphs of one line (no line breaks in it) with the font's kerning, in drawing order from left to right.

    ``tracking`` is in thousandths of an em after every character, as After Effects and Photoshop give it. Text is
    shaped as one run of one direction.
    """
    if not text:
        return ShapedLine(glyphs=(), width_px=0.0)
    hb_font = _harfbuzz_font(font)
    buffer = uharfbuzz.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    # A ligature cannot be tracked, so tracked text has none.
    features = {"liga": False, "clig": False} if tracking else {}
    uharfbuzz.shape(hb_font, buffer, features)
    scale = size_px / hb_font.face.upem
    gap_px = tracking / 1000 * size_px
    glyphs: list[Glyph] = []
    pen_px = 0.0
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        # A mark that combines with a base has no width of its own and takes no tracking.
        advance_px = position.x_advance * scale + (gap_px if position.x_advance else 0.0)
        glyphs.append(
            Glyph(
                glyph_id=info.codepoint,
                cluster=info.cluster,
                x_px=pen_px + position.x_offset * scale,
                y_px=-position.y_offset * scale,
                advance_px=advance_px,
            )
        )
        pen_px += advance_px
    return ShapedLine(glyphs=tuple(glyphs), width_px=max(0.0, pen_px - gap_px))


def missing_glyphs(font: Font, text: str) -> str:
    """The characters that the font cannot draw, each once, in the order in which they come; no controls, no joiners."""
    hb_font = _harfbuzz_font(font)
    return "".join(
        character
        for character in dict.fromkeys(text)
        if _is_drawn(character) and not hb_font.get_nominal_glyph(ord(character))
    )


def metrics(font: Font, *, size_px: float) -> FontMetrics:
    """Ascent, descent and line gap at that size."""
    hb_font = _harfbuzz_font(font)
    extents = hb_font.get_font_extents("ltr")
    scale = size_px / hb_font.face.upem
    return FontMetrics(
        ascent_px=extents.ascender * scale,
        descent_px=-extents.descender * scale,
        line_gap_px=extents.line_gap * scale,
    )


@dataclass(frozen=True)
class _Wanted:
    """What the name of a missing font says about it."""

    family: str
    weight: int
    italic: bool
    width_class: int

    @classmethod
    def of(cls, name: str) -> _Wanted:
        rest = normalised(name)
        weight = width_class = 0
        italic = False
        while True:
            word = next((word for word in _STYLE_WORDS if rest.endswith(word) and rest != word), None)
            if word is None:
                return cls(rest, weight or 400, italic, width_class or 5)
            rest = rest.removesuffix(word)
            italic = italic or word in ITALIC_WORDS
            weight = weight or WEIGHT_WORDS.get(word, 0)
            width_class = width_class or _WIDTH_WORDS.get(word, 0)

    def distance(self, font: Font) -> tuple[object, ...]:
        return (
            _Wanted.of(font.family).family != self.family,
            not font.sans,
            font.italic != self.italic,
            abs(font.width_class - self.width_class),
            abs(font.weight - self.weight),
            font.family,
            font.postscript_name,
        )


_STYLE_WORDS = tuple(
    sorted({*WEIGHT_WORDS, *_WIDTH_WORDS, *ITALIC_WORDS, *_PLAIN_WORDS}, key=lambda word: (-len(word), word))
)


def _is_drawn(character: str) -> bool:
    if character.isspace() or unicodedata.category(character) in {"Cc", "Cf", "Cs"}:
        return False
    return not 0xFE00 <= ord(character) <= 0xFE0F  # variation selectors only choose a form


@lru_cache(maxsize=64)
def _harfbuzz_font(font: Font) -> Any:
    face = uharfbuzz.Face(font.path.read_bytes(), font.index)
    hb_font = uharfbuzz.Font(face)
    if font.variations:
        hb_font.set_variations(dict(font.variations))
    return hb_font
