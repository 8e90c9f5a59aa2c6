"""Text is drawn with the very font, in its box, in the template's style."""

from __future__ import annotations

import py_aep
import pytest

from rendering.fonts import FontLibrary
from tests.rendering.drawing.stage import Stage, box_of, filling, lit
from tests.rendering.font_builder import BOX_FONT, box_font_library


@pytest.fixture(scope="module")
def fonts(tmp_path_factory) -> FontLibrary:
    return box_font_library(tmp_path_factory.mktemp("fonts"))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def styled(layer, **values):
    """White text of 20 px in the box font at (10, 40), unless said otherwise."""
    document = layer.text.source_text.value
    given = {"font": BOX_FONT, "font_size": 20.0, "tracking": 0, "fill_color": [1.0, 1.0, 1.0], "apply_fill": True}
    for name, value in {**given, **values}.items():
        setattr(document, name, value)
    layer.text.source_text.value = document
    layer.transform.anchor_point.value = [0.0, 0.0, 0.0]
    layer.transform.position.value = [10.0, 40.0, 0.0]
    return layer


def justified(name):
    return py_aep.ParagraphJustification[name]


def test_point_text_stands_on_its_position(stage, fonts):
    styled(stage.comp.add_text("ab"), justification=justified("LEFT_JUSTIFY"))
    # Two boxes of 10 x 14 px, 12 px apart.
    assert box_of(stage.pixels(fonts=fonts), lit) == (10, 26, 32, 40)


@pytest.mark.parametrize(("name", "left"), [("LEFT_JUSTIFY", 10), ("CENTER_JUSTIFY", -2), ("RIGHT_JUSTIFY", -14)])
def test_justification_shifts_point_text(stage, fonts, name, left):
    layer = styled(stage.comp.add_text("ab"), justification=justified(name))
    layer.transform.position.value = [50.0, 40.0, 0.0]
    assert box_of(stage.pixels(fonts=fonts), lit)[0] == 40 + left


def test_tracking_is_counted_in_thousandths_of_an_em(stage, fonts):
    styled(stage.comp.add_text("ab"), justification=justified("LEFT_JUSTIFY"), tracking=500)
    assert box_of(stage.pixels(fonts=fonts), lit) == (10, 26, 42, 40)


def test_lines_are_as_far_apart_as_the_leading(stage, fonts):
    styled(stage.comp.add_text("a\rb"), justification=justified("LEFT_JUSTIFY"), leading=30.0)
    pixels = stage.pixels(fonts=fonts)
    assert box_of(pixels, lit) == (10, 26, 20, 70)
    assert not lit(pixels[41:55, :, :3].astype(int)).any()


def test_box_text_wraps_at_spaces_and_stays_in_its_box(stage, fonts):
    layer = styled(
        stage.comp.add_box_text([60.0, 60.0], "aaa bbb"), justification=justified("LEFT_JUSTIFY"), leading=24.0
    )
    layer.text.source_text.value.box_text_pos = [0.0, 0.0]
    layer.transform.position.value = [10.0, 10.0, 0.0]
    pixels = stage.pixels(fonts=fonts)
    # The first baseline is as far below the top as a "d" is high: 14 px.
    assert box_of(pixels, lit) == (10, 10, 44, 48)
    assert not lit(pixels[25:33, :, :3].astype(int)).any()


def test_a_word_wider_than_its_box_is_broken(stage, fonts):
    layer = styled(stage.comp.add_box_text([30.0, 60.0], "aaaa"), justification=justified("LEFT_JUSTIFY"))
    layer.text.source_text.value.box_text_pos = [0.0, 0.0]
    layer.transform.position.value = [10.0, 10.0, 0.0]
    assert box_of(stage.pixels(fonts=fonts), lit)[2] == 32


def test_lines_that_do_not_fit_the_box_are_hidden_and_noted(stage, fonts):
    layer = styled(stage.comp.add_box_text([60.0, 20.0], "aaa bbb"), justification=justified("LEFT_JUSTIFY"))
    layer.text.source_text.value.box_text_pos = [0.0, 0.0]
    layer.transform.position.value = [10.0, 10.0, 0.0]
    assert box_of(stage.pixels(fonts=fonts), lit) == (10, 10, 44, 24)
    assert stage.codes(fonts=fonts) == ["text_overflow"]


def test_fully_justified_lines_reach_both_sides_but_the_last(stage, fonts):
    layer = styled(
        stage.comp.add_box_text([80.0, 60.0], "aa aa bbb"),
        justification=justified("FULL_JUSTIFY_LASTLINE_LEFT"),
        leading=24.0,
    )
    layer.text.source_text.value.box_text_pos = [0.0, 0.0]
    layer.transform.position.value = [10.0, 10.0, 0.0]
    pixels = stage.pixels(fonts=fonts)
    assert box_of(pixels[:25], lit)[::2] == (10, 88)
    assert box_of(pixels[25:], lit)[::2] == (10, 44)


def test_a_filling_replaces_the_words_and_keeps_the_style(stage, fonts):
    layer = styled(stage.comp.add_text("a"), justification=justified("LEFT_JUSTIFY"), fill_color=[1.0, 1.0, 0.0])
    pixels = stage.pixels(fonts=fonts, fillings=[filling(stage.comp, layer, text="abc")])
    assert box_of(pixels, lit) == (10, 26, 44, 40)
    assert tuple(pixels[30, 12, :3]) == (255, 255, 0)
    assert layer.text.source_text.value.text == "a"


def test_an_empty_filling_shows_nothing(stage, fonts):
    layer = styled(stage.comp.add_text("a"))
    assert not stage.pixels(fonts=fonts, fillings=[filling(stage.comp, layer, text="")])[..., :3].any()


def test_a_filling_for_a_layer_that_is_not_seen_is_noted(stage, fonts):
    layer = styled(stage.comp.add_text("a"))
    layer.enabled = False
    assert stage.codes(fonts=fonts, fillings=[filling(stage.comp, layer, text="b")]) == ["filling_not_shown"]


def test_styles_change_inside_one_line(stage, fonts):
    layer = styled(stage.comp.add_text("ab"), justification=justified("LEFT_JUSTIFY"))
    document = layer.text.source_text.value
    document.character_range(1, 2).fill_color = [1.0, 0.0, 1.0]
    document.character_range(1, 2).font_size = 40.0
    pixels = stage.pixels(fonts=fonts)
    assert tuple(pixels[30, 12, :3]) == (255, 255, 255)
    assert tuple(pixels[30, 30, :3]) == (255, 0, 255)
    assert box_of(pixels, lit) == (10, 12, 42, 40)


def test_a_stroke_is_drawn_around_the_letters(stage, fonts):
    styled(
        stage.comp.add_text("a"),
        justification=justified("LEFT_JUSTIFY"),
        apply_stroke=True,
        stroke_color=[1.0, 1.0, 0.0],
        stroke_width=4.0,
    )
    pixels = stage.pixels(fonts=fonts)
    assert box_of(pixels, lit) == (8, 24, 22, 42)
    assert tuple(pixels[33, 9, :3]) == (255, 255, 0)


def test_a_missing_font_is_replaced_and_noted_by_name(stage, fonts):
    styled(stage.comp.add_text("ab"), font="Rushflow-Bold")
    (note,) = stage.compositor(fonts=fonts).notes
    assert (note.code, note.object) == ("missing_font", "Rushflow-Bold")
    assert BOX_FONT in note.message
    assert stage.pixels(fonts=fonts)[..., :3].any()


def test_without_any_font_the_text_is_left_out_and_noted(stage):
    styled(stage.comp.add_text("ab"))
    assert stage.codes() == ["missing_font"]
    assert not stage.pixels()[..., :3].any()


def test_characters_without_a_glyph_are_noted(stage, fonts):
    layer = styled(stage.comp.add_text("a"))
    (note,) = stage.compositor(fonts=fonts, fillings=[filling(stage.comp, layer, text="a\U0001f600é")]).notes
    assert note.code == "missing_glyphs"
    assert "é" in note.message


def test_a_huge_text_is_cut_and_drawn(stage, fonts):
    layer = styled(stage.comp.add_box_text([60.0, 60.0], "a"), justification=justified("LEFT_JUSTIFY"))
    codes = stage.codes(fonts=fonts, fillings=[filling(stage.comp, layer, text="word " * 10_000)])
    assert codes == ["text_cut", "text_overflow"]


def test_source_text_keyframes_change_the_words(stage, fonts):
    layer = styled(stage.comp.add_text("a"), justification=justified("LEFT_JUSTIFY"))
    source = layer.text.source_text
    source.set_value_at_time(0.0, source.value)
    source.add_key(1.0)
    source.keyframes[1].value.text = "abc"
    compositor = stage.compositor(fonts=fonts)
    assert box_of(compositor.frame(0.9), lit)[2] == 20
    assert box_of(compositor.frame(1.0), lit)[2] == 44
