"""Builds our own open typeface, "Aeproject Sans", as TrueType files: nothing is downloaded, nothing is licensed in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import skia
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen

from rendering.samples import (
    figures,
    glyphs,
    letters,
    small_letters,  # noqa: F401  registers its letters
)
from rendering.samples.glyphs import Brush, Weight, join, moved, polygon, rect

FAMILY = "Aeproject Sans"
UNITS_PER_EM = 1000
LICENSE = (
    "This Font Software is licensed under the SIL Open Font License, Version 1.1, "
    "with Reserved Font Name Aeproject. https://openfontlicense.org"
)
# Seconds since 1904: the files are the same whenever they are built.
TIMESTAMP = 3_850_000_000
SPACE_WIDTH = 256
MARK_ROOM = 12
# Path operations leave crumbs; a contour below this area (square units) is one.
SLIVER = 30


@dataclass(frozen=True, kw_only=True)
class Face:
    style: str
    weight: Weight
    css_weight: int

    @property
    def postscript_name(self) -> str:
        return f"{FAMILY.replace(' ', '')}-{self.style}"


FACES = (
    Face(style="Regular", weight=glyphs.REGULAR, css_weight=400),
    Face(style="Bold", weight=glyphs.BOLD, css_weight=700),
)
REGULAR_FONT, BOLD_FONT = (face.postscript_name for face in FACES)

ACCENTED = "ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝàáâãäåçèéêëìíîïñòóôõöùúûüýÿČčĎĚěŇňŘřŠšŽžŐőŰűŚśŹźĆćŃńŻż"
# Kerning by class: the first glyphs, the second glyphs, units.
KERNING = (
    ("A À Á Â Ã Ä Å", "T V W Y", -52),
    ("T V W Y", "A À Á Â Ã Ä Å", -56),
    ("T", "a c e o q s d g", -62),
    ("V W Y", "a c e o q d g", -36),
    ("L", "T V W Y", -64),
    ("P F", "A", -60),
    ("P F T V W Y", "period comma", -80),
    ("r", "period comma", -56),
    ("R", "T V W Y", -16),
)


def build_fonts(directory: Path) -> tuple[Path, ...]:
    """Writes Regular and Bold as .ttf into ``directory`` (made when missing) and answers their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(_build(face, directory / f"{face.postscript_name}.ttf") for face in FACES)


def _build(face: Face, path: Path) -> Path:
    names: dict[str, str] = {" ": "space", "\u00a0": "uni00A0"}
    outlines: dict[str, skia.Path] = {".notdef": _notdef(), "space": skia.Path(), "uni00A0": skia.Path()}
    advances: dict[str, float] = {".notdef": 540, "space": SPACE_WIDTH, "uni00A0": SPACE_WIDTH}
    for character, outline, advance in _drawn(face.weight):
        name = _glyph_name(character)
        names[character], outlines[name], advances[name] = name, outline, advance
    builder = FontBuilder(UNITS_PER_EM, isTTF=True)
    builder.setupGlyphOrder(list(outlines))
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    builder.setupGlyf({name: _glyph(outline) for name, outline in outlines.items()})
    table = builder.font["glyf"]
    builder.setupHorizontalMetrics(
        {name: (round(advances[name]), getattr(table[name], "xMin", 0)) for name in outlines}
    )
    _describe(builder, face)
    addOpenTypeFeaturesFromString(builder.font, _kerning(names))
    builder.font["head"].created = builder.font["head"].modified = TIMESTAMP
    builder.font.recalcTimestamp = False
    builder.save(path)
    return path


def _describe(builder: FontBuilder, face: Face) -> None:
    bold = face.style == "Bold"
    builder.setupHorizontalHeader(ascent=960, descent=-260, lineGap=0)
    builder.setupNameTable(
        {
            "copyright": "Copyright 2026 The aeproject authors, with Reserved Font Name Aeproject.",
            "familyName": FAMILY,
            "styleName": face.style,
            "uniqueFontIdentifier": f"1.000;{face.postscript_name}",
            "fullName": f"{FAMILY} {face.style}",
            "version": "Version 1.000",
            "psName": face.postscript_name,
            "licenseDescription": LICENSE,
            "licenseInfoURL": "https://openfontlicense.org",
        }
    )
    builder.setupOS2(
        version=4,
        usWeightClass=face.css_weight,
        sTypoAscender=960,
        sTypoDescender=-260,
        sTypoLineGap=0,
        usWinAscent=980,
        usWinDescent=270,
        sxHeight=glyphs.X_HEIGHT,
        sCapHeight=glyphs.CAP_HEIGHT,
        fsSelection=(0x20 if bold else 0x40) | 0x80,
        fsType=0,
        achVendID="AEPJ",
    )
    builder.setupPost(underlinePosition=-120, underlineThickness=70)
    builder.font["head"].macStyle = 1 if bold else 0


def _drawn(weight: Weight) -> Iterator[tuple[str, skia.Path, float]]:
    """(character, outline, advance) of every glyph, accented letters composed from their parts."""
    brush = Brush(weight)
    tightening = 0.86 if weight is glyphs.BOLD else 1.0
    base: dict[str, tuple[skia.Path, float]] = {}
    for character, shape in letters.LETTERS.items():
        outline = shape.draw(brush)
        bounds = outline.computeTightBounds()
        left, right = shape.left * tightening, shape.right * tightening
        shift = left - max(bounds.left(), 0) if shape.left >= 0 else left
        base[character] = moved(outline, shift), bounds.right() + shift + right
    marks = _marks(brush)
    for character, (outline, advance) in base.items():
        yield character, outline, advance
    for character in ACCENTED:
        stem, mark = tuple(unicodedata.normalize("NFD", character))
        outline, advance = base["ı" if stem == "i" else stem]
        whole = _accented(outline, marks[mark], below=mark == "\u0327", capital=stem.isupper())
        # A wide mark on a narrow letter must not run into its neighbours.
        widening = max(0.0, MARK_ROOM - whole.computeTightBounds().left())
        yield character, moved(whole, widening), advance + 2 * widening


def _accented(outline: skia.Path, mark: skia.Path, *, below: bool, capital: bool) -> skia.Path:
    bounds, area = outline.computeTightBounds(), mark.computeTightBounds()
    dx = (bounds.left() + bounds.right()) / 2 - (area.left() + area.right()) / 2
    dy = 0 if below else (glyphs.CAP_HEIGHT + 50 if capital else glyphs.X_HEIGHT + 82)
    return join(outline, moved(mark, dx, dy))


def _marks(b: Brush) -> dict[str, skia.Path]:
    """Combining marks, standing on y = 0."""
    t = b.h
    acute = polygon((0, 0), (t * 0.95, 0), (t * 1.1 + 105, 150), (105 - t * 0.25, 150))
    reach, thin = 105 + t * 0.3, t * 0.8
    peak = [(reach + thin * 0.5, 150), (reach - thin * 0.5, 150)]
    hat = polygon((0, 0), (thin, 0), (reach, 88), (2 * reach - thin, 0), (2 * reach, 0), *peak)
    dots = join(glyphs.dot(0, 64, b.w * 0.52), glyphs.dot(150 + b.w * 0.8, 64, b.w * 0.52))
    cedilla = polygon((0, 10), (b.h * 0.9, 10), (b.h * 0.9 + 30, -95), (b.h * 0.5, -190), (-50, -190), (-20, -120))
    return {
        "\u0300": glyphs.mirrored(acute, 0),
        "\u0301": acute,
        "\u0302": hat,
        "\u0303": figures.wave(b, 280, 64, t * 0.86),
        "\u0307": glyphs.dot(0, 64, b.w * 0.56),
        "\u0308": dots,
        "\u030a": glyphs.cut(glyphs.dot(0, 92, 98 + b.w * 0.16), glyphs.dot(0, 92, 98 - b.w * 0.5)),
        "\u030b": join(acute, moved(acute, t + 70)),
        "\u030c": glyphs.flipped(hat, 150),
        "\u0327": cedilla,
    }


def _notdef() -> skia.Path:
    return glyphs.cut(rect(60, 0, 480, 700), rect(110, 50, 430, 650))


def _glyph_name(character: str) -> str:
    plain = {".": "period", ",": "comma"}
    if character in plain or (character.isascii() and character.isalpha()):
        return plain.get(character, character)
    return f"uni{ord(character):04X}"


def _glyph(outline: skia.Path) -> object:
    """A TrueType glyph: outer contours clockwise, holes the other way round."""
    contours = list(_contours(outline))
    quadratic = TTGlyphPen(None)
    for contour in contours:
        start = next(iter(contour))[1][0]
        depth = sum(other.contains(start.x(), start.y()) for other in contours if other is not contour)
        wants_clockwise = depth % 2 == 0
        pen = Cu2QuPen(quadratic, max_err=0.6, reverse_direction=(_area(contour) < 0) != wants_clockwise)
        _draw(contour, pen)
    return quadratic.glyph()


def _contours(path: skia.Path) -> Iterator[skia.Path]:
    contour = skia.Path()
    for verb, points in path:
        if verb == skia.Path.kMove_Verb:
            contour = skia.Path()
            contour.moveTo(points[0])
        elif verb == skia.Path.kLine_Verb:
            contour.lineTo(points[1])
        elif verb == skia.Path.kQuad_Verb:
            contour.quadTo(*points[1:])
        elif verb == skia.Path.kCubic_Verb:
            contour.cubicTo(*points[1:])
        elif verb == skia.Path.kClose_Verb and abs(_area(contour)) > SLIVER:
            contour.close()
            yield contour


def _draw(contour: skia.Path, pen: Cu2QuPen) -> None:
    for verb, points in contour:
        places = [(round(point.x(), 2), round(point.y(), 2)) for point in points]
        if verb == skia.Path.kMove_Verb:
            pen.moveTo(places[0])
        elif verb == skia.Path.kLine_Verb:
            pen.lineTo(places[1])
        elif verb == skia.Path.kQuad_Verb:
            pen.qCurveTo(*places[1:])
        elif verb == skia.Path.kCubic_Verb:
            pen.curveTo(*places[1:])
    pen.closePath()


def _area(contour: skia.Path) -> float:
    """The signed area of the polygon through the contour's points; negative when it turns with the clock, y up."""
    corners = [point for verb, points in contour if verb != skia.Path.kMove_Verb for point in points[1:]]
    if not corners:
        return 0.0
    turns = zip(corners, corners[1:] + corners[:1], strict=True)
    return float(sum(p.x() * q.y() - q.x() * p.y() for p, q in turns)) / 2


def _kerning(names: dict[str, str]) -> str:
    known = set(names.values())
    lines = []
    for first, second, units in KERNING:
        left = " ".join(names.get(word, word) for word in first.split())
        right = " ".join(names.get(word, word) for word in second.split())
        assert set(left.split() + right.split()) <= known
        lines.append(f"    pos [{left}] [{right}] {units};")
    body = "\n".join(lines)
    return f"languagesystem DFLT dflt;\nlanguagesystem latn dflt;\nfeature kern {{\n{body}\n}} kern;\n"
