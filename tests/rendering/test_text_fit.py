from __future__ import annotations

import pytest

from rendering.fonts import FontLibrary
from rendering.text_fit import fit_text
from tests.rendering.tiny_fonts import save_tiny_font


@pytest.fixture(scope="module")
def font(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")
    save_tiny_font(folder / "font.ttf", "Grot", characters="abcdefghijklmnopqrstuvwxyz -")
    return FontLibrary.from_directories([folder], system=False).find("Grot-Regular")


@pytest.fixture
def fit(font):
    """Every character is 10 px wide; the ascent is 16 px, the descent 4."""

    def fitted(text, box=None, tracking=0.0, leading=24.0):
        return fit_text(text, font=font, size_px=20, tracking=tracking, leading_px=leading, box_size_px=box)

    return fitted


@pytest.mark.parametrize("text", ["", " ", "\r\n", "\x03"])
def test_no_text_needs_no_room(fit, text):
    measured = fit(text, box=(1, 1))
    assert (measured.width_px, measured.height_px, measured.lines, measured.overflows) == (0, 0, (), False)


def test_point_text_is_as_wide_as_it_is_and_never_overflows(fit):
    measured = fit("a" * 1000)
    assert (measured.width_px, measured.height_px, measured.overflows) == (pytest.approx(10_000), 20, False)


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n", "\x03", "\u2028"])
def test_every_kind_of_line_end_starts_a_line(fit, line_end):
    measured = fit(f"ab{line_end}abcd")
    assert measured.lines == ("ab", "abcd")
    assert (measured.width_px, measured.height_px) == (pytest.approx(40), pytest.approx(44))


def test_words_wrap_at_the_width_of_the_box(fit):
    measured = fit("one two three", box=(75, 100))
    assert measured.lines == ("one two", "three")
    assert not measured.overflows


def test_text_of_exactly_the_width_of_the_box_fits(fit):
    assert fit("one two", box=(70, 20)).lines == ("one two",)


def test_white_space_at_the_end_of_a_line_takes_no_room(fit):
    assert fit("one   two", box=(35, 100)).lines == ("one", "two")
    assert not fit("one     ", box=(30, 20)).overflows


def test_a_word_wider_than_the_box_is_broken(fit):
    assert fit("ab abcdefgh", box=(40, 200)).lines == ("ab", "abcd", "efgh")


def test_a_line_may_end_after_a_hyphen(fit):
    assert fit("abc-def", box=(45, 100)).lines == ("abc-", "def")


def test_more_lines_than_the_box_shows_overflow(fit):
    assert not fit("one two", box=(35, 40)).overflows
    assert fit("one two", box=(35, 39)).overflows


def test_one_line_fits_a_box_that_is_lower_than_the_font(fit):
    assert not fit("one", box=(35, 10)).overflows


def test_a_box_narrower_than_a_character_overflows(fit):
    assert fit("a", box=(9, 100)).overflows


def test_tracking_counts_between_the_characters(fit):
    assert fit("abc", tracking=100).width_px == pytest.approx(34)
    assert fit("abc", box=(33, 20), tracking=100).lines == ("ab", "c")


def test_automatic_leading_is_a_fifth_more_than_the_size(fit):
    assert fit("a\na", leading=None).height_px == pytest.approx(16 + 24 + 4)


def test_missing_glyphs_are_told(fit):
    assert fit("aé漢\né").missing_glyphs == "é漢"


def test_ideographs_wrap_anywhere(fit):
    # The font lacks them: each is as wide as its "missing" box.
    assert fit("漢字漢字", box=(25, 100)).lines == ("漢字", "漢字")


def test_a_huge_word_is_broken_without_loss(fit):
    measured = fit("abcdefghij" * 500, box=(300, 20))
    assert "".join(measured.lines) == "abcdefghij" * 500
    assert {len(line) for line in measured.lines} == {30, 20}
    assert measured.overflows


def test_the_names_of_the_player_card_fit_their_slots(shared_data):
    font = FontLibrary.from_directories([shared_data / "fonts"], system=False).find("SpaceGrotesk-Bold")
    slot = {"font": font, "size_px": 60, "tracking": 38, "leading_px": 72, "box_size_px": (478.26, 60.95)}
    for name in ("BEN FORMAN", "ELOISE GRACE", "EMMA LOUISE"):
        assert not fit_text(name, **slot).overflows
    assert fit_text("MAXIMILIANE ALEXANDRA FORMAN", **slot).lines == ("MAXIMILIANE", "ALEXANDRA", "FORMAN")
