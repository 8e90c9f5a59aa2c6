"""Boxes of point text: measured with the font that draws them, estimated without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rendering.aftereffects.model import LayerText
from rendering.aftereffects.project import read_project
from rendering.aftereffects.text_boxes import MAX_MEASURED, estimated_text_box, measured_text_box
from rendering.fonts import Font, FontLibrary, metrics, shape
from rendering.samples import build_fonts, tiny_project
from rendering.samples.fonts import BOLD_FONT
from tests.rendering.aftereffects.builders import ProjectBuilder, place

TEXT = LayerText(
    text="Ada Lovelace",
    font=BOLD_FONT,
    size_px=40.0,
    leading_px=None,
    tracking=0.0,
    justification="left",
    fill_rgb=None,
    box_size_px=None,
    all_caps=False,
)


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> FontLibrary:
    folder = tmp_path_factory.mktemp("fonts")
    build_fonts(folder)
    return FontLibrary.from_directories([folder], system=False)


@pytest.fixture(scope="module")
def bold(fonts: FontLibrary) -> Font:
    font = fonts.find(BOLD_FONT)
    assert font is not None
    return font


def test_a_line_is_as_wide_as_its_glyphs_and_as_high_as_the_font(bold: Font) -> None:
    measures = metrics(bold, size_px=40.0)
    width_px = shape(bold, "Ada Lovelace", size_px=40.0).width_px
    assert measured_text_box(TEXT, bold) == pytest.approx((0, -measures.ascent_px, width_px, measures.descent_px))


@pytest.mark.parametrize(
    ("justification", "share"),
    [("left", 0.0), ("center", 0.5), ("right", 1.0), ("justify_left", 0), ("justify_right", 1), ("justify_full", 0)],
)
@pytest.mark.parametrize("measured", [True, False])
def test_the_line_stands_to_the_side_its_justification_says(
    bold: Font, justification: str, share: float, measured: bool
) -> None:
    text = replace(TEXT, justification=justification)
    box = measured_text_box(text, bold) if measured else estimated_text_box(text)
    assert box.left == pytest.approx(-box.width * share)


def test_capitals_and_tracking_count(bold: Font) -> None:
    plain = measured_text_box(TEXT, bold).width
    assert measured_text_box(replace(TEXT, all_caps=True), bold).width == pytest.approx(
        shape(bold, "ADA LOVELACE", size_px=40.0).width_px
    )
    tracked = measured_text_box(replace(TEXT, tracking=100.0), bold).width
    assert tracked == pytest.approx(plain + 11 * 4.0, abs=2.0)


@pytest.mark.parametrize(("leading_px", "between_px"), [(None, 48.0), (60.0, 60.0)])
def test_further_lines_stand_a_leading_apart(bold: Font, leading_px: float | None, between_px: float) -> None:
    one = measured_text_box(TEXT, bold)
    three = measured_text_box(replace(TEXT, text="Ada\nLovelace\nKing", leading_px=leading_px), bold)
    assert three.top == one.top
    assert three.bottom == pytest.approx(one.bottom + 2 * between_px)


def test_scales_stretch_each_their_own_way(bold: Font) -> None:
    plain = measured_text_box(TEXT, bold)
    wide = measured_text_box(replace(TEXT, horizontal_scale=2.0), bold)
    tall = measured_text_box(replace(TEXT, vertical_scale=2.0), bold)
    assert (wide.width, wide.height) == pytest.approx((2 * plain.width, plain.height))
    assert (tall.width, tall.height) == pytest.approx((plain.width, 2 * plain.height))


def test_only_the_beginning_of_an_endless_text_is_set(bold: Font) -> None:
    endless = measured_text_box(replace(TEXT, text="a" * (MAX_MEASURED + 5000)), bold)
    assert endless == measured_text_box(replace(TEXT, text="a" * MAX_MEASURED), bold)


def test_the_box_of_a_layer_is_exact_with_its_own_font_only(tmp_path: Path, fonts: FontLibrary) -> None:
    def box_of(font: str, library: FontLibrary | None) -> tuple[object, bool]:
        path = tiny_project(tmp_path / f"{font}.aep", text="Name", font=font)
        project = read_project(path, fonts=library)
        (layer,) = (layer for comp in project.compositions for layer in comp.layers if layer.text is not None)
        return layer.box, layer.box_exact

    measured, exact = box_of(BOLD_FONT, fonts)
    assert exact
    assert measured != box_of(BOLD_FONT, None)[0]
    assert not box_of(BOLD_FONT, None)[1]
    assert not box_of("NoSuchFont-Bold", fonts)[1]
    assert box_of("NoSuchFont-Bold", FontLibrary(()))[0] == box_of("NoSuchFont-Bold", None)[0]


def test_a_centered_point_text_lies_around_its_position(tmp_path: Path, fonts: FontLibrary) -> None:
    builder = ProjectBuilder(tmp_path)
    layer = place(builder.comp.add_text("Centered"), position=[500, 400])
    document = layer.text["ADBE Text Document"].value
    document.font = BOLD_FONT
    document.justification = type(document.justification).CENTER_JUSTIFY
    layer.text["ADBE Text Document"].value = document
    (described,) = read_project(builder.save(), fonts=fonts).compositions[0].layers
    assert described.box is not None
    assert described.box_exact
    assert described.box.center[0] == pytest.approx(500.0)
    assert described.box.top < 400 < described.box.bottom


def test_text_that_is_only_space_has_no_box(tmp_path: Path, fonts: FontLibrary) -> None:
    path = tiny_project(tmp_path / "space.aep", text="  ")
    layers = [layer for comp in read_project(path, fonts=fonts).compositions for layer in comp.layers if layer.text]
    assert [layer.box for layer in layers] == [None]
