"""The fonts of this machine: finding them by the names that designs use, measuring and shaping text with them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import uharfbuzz
from fontTools.ttLib import TTCollection, TTFont

FONT_SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc"})
MAX_FONT_FILE_BYTES = 200 * 1024 * 1024
MAX_FONT_FILES = 10_000

WEIGHT_WORDS = {
    "hairline": 100,
    "thin": 100,
    "extralight": 200,
    "ultralight": 200,
    "semilight": 350,
    "light": 300,
    "medium": 500,
    "semibold": 600,
    "demibold": 600,
    "extrabold": 800,
    "ultrabold": 800,
    "demi": 600,
    "bold": 700,
    "heavy": 900,
    "black": 900,
}
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
_ITALIC_WORDS = ("italic", "oblique", "ital", "slanted")
_PLAIN_WORDS = ("regular", "roman", "normal", "book", "mt", "ps", "std", "pro")
_NOT_SANS = re.compile(r"mono|math|symbol|icon|emoji|glyph|dingbat|awesome|(?<!sans)(?<!sans )serif")


@dataclass(frozen=True, kw_only=True)
class Font:
    """One face of a font file. ``index`` is its place in a collection (.ttc).

    ``weight`` is 100..900, ``width_class`` 1 (narrow) to 9 (wide), 5 is normal. ``variations`` is where a named
    instance of a variable font lies on the axes, empty for every other font.
    """

    postscript_name: str
    family: str
    style: str
    path: Path
    index: int
    weight: int
    full_name: str = ""
    italic: bool = False
    width_class: int = 5
    sans: bool = False
    variations: tuple[tuple[str, float], ...] = ()
    other_names: tuple[str, ...] = ()


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
        for path in _font_files(everywhere):
            found = _faces_of(path)
            if not found:
                unreadable.append(path)
            for font in found:
                fonts.setdefault(font.postscript_name, font)
        return cls(tuple(fonts.values()), tuple(unreadable))

    def find(self, name: str) -> Font | None:
        """The font of that PostScript name, else of that full name or family and style, whatever their spelling."""
        return self._by_postscript_name.get(name) or self._by_normal_name.get(_normalised(name))

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
                names.setdefault(_normalised(name), font)
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
        rest = _normalised(name)
        weight = width_class = 0
        italic = False
        while True:
            word = next((word for word in _STYLE_WORDS if rest.endswith(word) and rest != word), None)
            if word is None:
                return cls(rest, weight or 400, italic, width_class or 5)
            rest = rest.removesuffix(word)
            italic = italic or word in _ITALIC_WORDS
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
    sorted({*WEIGHT_WORDS, *_WIDTH_WORDS, *_ITALIC_WORDS, *_PLAIN_WORDS}, key=lambda word: (-len(word), word))
)


def _normalised(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    plain = "".join(character for character in folded if character.isalnum())
    return plain.removesuffix("regular") or plain


def _is_drawn(character: str) -> bool:
    if character.isspace() or unicodedata.category(character) in {"Cc", "Cf", "Cs"}:
        return False
    return not 0xFE00 <= ord(character) <= 0xFE0F  # variation selectors only choose a form


def _font_files(directories: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for directory in directories:
        for folder, folders, names in os.walk(directory):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix.lower() in FONT_SUFFIXES and path not in seen:
                    seen.add(path)
                    if len(seen) > MAX_FONT_FILES:
                        return
                    yield path


def _faces_of(path: Path) -> tuple[Font, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    if status.st_size > MAX_FONT_FILE_BYTES:
        return ()
    return _read_faces(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=MAX_FONT_FILES)
def _read_faces(path: Path, mtime_ns: int, size_bytes: int) -> tuple[Font, ...]:
    try:
        if path.suffix.lower() in {".ttc", ".otc"}:
            with TTCollection(path, lazy=True) as collection:
                faces = [_fonts_in(face, path, index) for index, face in enumerate(collection.fonts)]
        else:
            with TTFont(path, lazy=True) as face:
                faces = [_fonts_in(face, path, 0)]
    except Exception:
        # fontTools raises whatever its struct and table readers raise: a file that it cannot read is no font for us.
        return ()
    return tuple(font for fonts in faces for font in fonts)


def _fonts_in(face: TTFont, path: Path, index: int) -> list[Font]:
    names: Any = face["name"]
    os2: Any = face.get("OS/2", None)
    family = _name(names, 16, 1)
    style = _name(names, 17, 2) or "Regular"
    default = Font(
        postscript_name=_name(names, 6) or f"{family}-{style}".replace(" ", ""),
        family=family or path.stem,
        style=style,
        path=path,
        index=index,
        weight=_weight(os2, style),
        full_name=_name(names, 4) or f"{family} {style}",
        italic=_is_italic(style),
        width_class=getattr(os2, "usWidthClass", 5) or 5,
        sans=_is_sans(family, os2),
        other_names=_other_names(names),
    )
    if "fvar" not in face:
        return [default]
    return [default, *_named_instances(face["fvar"], names, default)]


def _named_instances(fvar: Any, names: Any, default: Font) -> Iterator[Font]:
    for instance in fvar.instances:
        style = names.getDebugName(instance.subfamilyNameID) or "Regular"
        postscript_name = names.getDebugName(instance.postscriptNameID) if instance.postscriptNameID < 0xFFFF else None
        weight = int(instance.coordinates.get("wght", WEIGHT_WORDS.get(_normalised(style), default.weight)))
        yield Font(
            postscript_name=postscript_name or f"{default.family}-{style}".replace(" ", ""),
            family=default.family,
            style=style,
            path=default.path,
            index=default.index,
            weight=weight,
            full_name=f"{default.family} {style}",
            italic=default.italic or _is_italic(style),
            width_class=default.width_class,
            sans=default.sans,
            variations=tuple(sorted(instance.coordinates.items())),
        )


def _name(names: Any, *name_ids: int) -> str:
    for name_id in name_ids:
        text = names.getDebugName(name_id)
        if text:
            return str(text).strip()
    return ""


def _other_names(names: Any) -> tuple[str, ...]:
    """Full names in every language of the font: a Japanese Photoshop writes the Japanese one."""
    texts = (record.toUnicode(errors="ignore") for record in names.names if record.nameID in (4, 6))
    return tuple(sorted({text.strip() for text in texts if text.strip()}))


def _weight(os2: Any, style: str) -> int:
    weight = getattr(os2, "usWeightClass", 0)
    return weight if 1 <= weight <= 1000 else WEIGHT_WORDS.get(_normalised(style), 400)


def _is_italic(style: str) -> bool:
    return any(word in style.casefold() for word in _ITALIC_WORDS)


def _is_sans(family: str, os2: Any) -> bool:
    if _NOT_SANS.search(family.casefold()):
        return False
    panose = getattr(os2, "panose", None)
    if panose is not None and panose.bFamilyType == 2 and panose.bSerifStyle > 1:
        return bool(panose.bSerifStyle >= 11) and panose.bProportion != 9
    if getattr(os2, "sFamilyClass", 0) >> 8:
        return bool(os2.sFamilyClass >> 8 == 8)
    return True


@lru_cache(maxsize=64)
def _harfbuzz_font(font: Font) -> Any:
    face = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(font.path)), font.index)
    hb_font = uharfbuzz.Font(face)
    if font.variations:
        hb_font.set_variations(dict(font.variations))
    return hb_font
