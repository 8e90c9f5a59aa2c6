from __future__ import annotations

import string
from pathlib import Path

import pytest
from fontTools.pens.areaPen import AreaPen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from rendering.fonts import FontLibrary, missing_glyphs, shape
from rendering.samples.fonts import BOLD_FONT, REGULAR_FONT, build_fonts

FACES = (REGULAR_FONT, BOLD_FONT)


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, fonts: Path) -> TTFont:
    return TTFont(fonts / f"{request.param}.ttf")


def inked(path: Path, character: str) -> list[list[bool]]:
    """Which of 100 x 140 px a character of 100 px inks."""
    image = Image.new("L", (100, 140))
    ImageDraw.Draw(image).text((10, 10), character, font=ImageFont.truetype(str(path), 100), fill=255)
    return [[image.getpixel((x, y)) > 127 for x in range(100)] for y in range(140)]


def holes(pixels: list[list[bool]]) -> int:
    """How many patches of background are enclosed by ink."""
    height, width = len(pixels), len(pixels[0])
    seen = [list(row) for row in pixels]
    patches = 0
    for top in range(height):
        for left in range(width):
            if seen[top][left]:
                continue
            patches += 1
            open_spots = [(top, left)]
            while open_spots:
                y, x = open_spots.pop()
                if 0 <= y < height and 0 <= x < width and not seen[y][x]:
                    seen[y][x] = True
                    open_spots += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return patches - 1


def test_the_two_faces_are_found_by_their_postscript_names(fonts: Path) -> None:
    library = FontLibrary.from_directories([fonts], system=False)
    assert {font.postscript_name for font in library.fonts} == set(FACES)
    assert {font.weight for font in library.fonts} == {400, 700}


@pytest.mark.parametrize("name", FACES)
def test_every_printable_ascii_character_and_common_accents_are_there(fonts: Path, name: str) -> None:
    font = FontLibrary.from_directories([fonts], system=False).find(name)
    assert font is not None
    wanted = string.ascii_letters + string.digits + string.punctuation + " éèêëàáâãäåçñõöüúùžščřňě€£"
    assert missing_glyphs(font, wanted) == ""


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize(
    ("character", "count"),
    [
        ("O", 1),
        ("B", 2),
        ("8", 2),
        ("A", 1),
        ("e", 1),
        ("g", 1),
        ("T", 0),
        ("s", 0),
        ("r", 0),
        ("K", 0),
        ("4", 1),
        ("%", 2),
    ],
)
def test_letters_have_their_counters(fonts: Path, name: str, character: str, count: int) -> None:
    assert holes(inked(fonts / f"{name}.ttf", character)) == count


def test_every_glyph_but_the_spaces_has_ink_inside_its_metrics(face: TTFont) -> None:
    glyphs = face.getGlyphSet()
    for code, name in face.getBestCmap().items():
        bounds = BoundsPen(glyphs)
        glyphs[name].draw(bounds)
        if code in (0x20, 0xA0):
            assert bounds.bounds is None
            continue
        assert bounds.bounds is not None, chr(code)
        left, bottom, right, top = bounds.bounds
        assert -60 <= left < right <= glyphs[name].width + 60, chr(code)
        assert -270 <= bottom < top <= 980, chr(code)


def test_outlines_run_clockwise_as_truetype_wants(face: TTFont) -> None:
    glyphs = face.getGlyphSet()
    for name in ("O", "B", "a", "s", "uni0038"):
        pen = AreaPen(glyphs)
        glyphs[name].draw(pen)
        assert pen.value < 0, name


def test_bold_is_heavier_than_regular(fonts: Path) -> None:
    regular, bold = (sum(map(sum, inked(fonts / f"{name}.ttf", "H"))) for name in FACES)
    assert bold > 1.4 * regular


def test_kerning_draws_a_and_v_together(fonts: Path) -> None:
    font = FontLibrary.from_directories([fonts], system=False).find(BOLD_FONT)
    assert font is not None
    apart = shape(font, "A", size_px=100).width_px + shape(font, "V", size_px=100).width_px
    assert shape(font, "AV", size_px=100).width_px < apart - 3


def test_names_say_that_the_font_is_open(face: TTFont) -> None:
    assert "SIL Open Font License" in face["name"].getDebugName(13)
    assert face["OS/2"].fsType == 0


def test_the_same_font_comes_out_every_time(fonts: Path, tmp_path: Path) -> None:
    for path in build_fonts(tmp_path / "new" / "folder"):
        assert path.read_bytes() == (fonts / path.name).read_bytes()
