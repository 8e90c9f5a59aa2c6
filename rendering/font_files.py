"""Reads what a font file says about its fonts: names, weight, style."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

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
ITALIC_WORDS = ("italic", "oblique", "ital", "slanted")
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


def normalised(name: str) -> str:
    """A name without case, spaces and punctuation; a trailing "regular" says nothing."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    plain = "".join(character for character in folded if character.isalnum())
    return plain.removesuffix("regular") or plain


def font_files(directories: Sequence[Path]) -> Iterator[Path]:
    """Every file below the directories with a font's suffix, each once, in a stable order."""
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


def faces_of(path: Path) -> tuple[Font, ...]:
    """The fonts in that file, read once per process and version; none when it cannot be read or is too large."""
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
    except MemoryError:
        raise
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
        weight = int(instance.coordinates.get("wght", WEIGHT_WORDS.get(normalised(style), default.weight)))
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
    return weight if 1 <= weight <= 1000 else WEIGHT_WORDS.get(normalised(style), 400)


def _is_italic(style: str) -> bool:
    return any(word in style.casefold() for word in ITALIC_WORDS)


def _is_sans(family: str, os2: Any) -> bool:
    if _NOT_SANS.search(family.casefold()):
        return False
    panose = getattr(os2, "panose", None)
    if panose is not None and panose.bFamilyType == 2 and panose.bSerifStyle > 1:
        return bool(panose.bSerifStyle >= 11) and panose.bProportion != 9
    if getattr(os2, "sFamilyClass", 0) >> 8:
        return bool(os2.sFamilyClass >> 8 == 8)
    return True
