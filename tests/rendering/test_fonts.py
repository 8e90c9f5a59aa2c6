from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from rendering import font_files, fonts
from rendering.fonts import FontLibrary, metrics, missing_glyphs, shape
from tests.rendering.tiny_fonts import LATIN, save_collection, save_tiny_font, save_variable_font


def library_of(*directories: Path) -> FontLibrary:
    return FontLibrary.from_directories(directories, system=False)


@pytest.fixture
def family(tmp_path):
    save_tiny_font(tmp_path / "regular.ttf", "Grot Esk", "Regular")
    save_tiny_font(tmp_path / "bold.ttf", "Grot Esk", "Bold", weight=700)
    save_tiny_font(tmp_path / "italic.otf", "Grot Esk", "Italic")
    save_tiny_font(tmp_path / "serif.ttf", "Antiqua Serif", "Bold", weight=700)
    return library_of(tmp_path)


def names(library):
    return sorted(font.postscript_name for font in library.fonts)


def test_fonts_are_found_at_every_depth_whatever_the_case_of_their_suffix(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    save_tiny_font(tmp_path / "a" / "b" / "deep.TTF", "Deep")
    (tmp_path / "readme.txt").write_text("no font")
    assert names(library_of(tmp_path)) == ["Deep-Regular"]


def test_a_missing_directory_and_an_empty_one_give_no_fonts(tmp_path):
    library = library_of(tmp_path, tmp_path / "nowhere")
    assert library.fonts == ()
    assert library.find("Arial") is None
    assert library.substitute("Arial") is None
    assert not library.installed("")


def test_a_broken_font_is_listed_and_does_not_stop_the_others(tmp_path):
    whole = save_tiny_font(tmp_path / "whole.ttf", "Whole")
    (tmp_path / "cut.ttf").write_bytes(whole.read_bytes()[:200])
    (tmp_path / "empty.otf").write_bytes(b"")
    (tmp_path / "text.ttc").write_text("hello")
    (tmp_path / "dangling.ttf").symlink_to(tmp_path / "nowhere.ttf")
    library = library_of(tmp_path)
    assert names(library) == ["Whole-Regular"]
    assert sorted(path.name for path in library.unreadable) == ["cut.ttf", "dangling.ttf", "empty.otf", "text.ttc"]


def test_a_file_over_the_size_limit_is_not_read(tmp_path, monkeypatch):
    save_tiny_font(tmp_path / "big.ttf", "Big")
    monkeypatch.setattr(font_files, "MAX_FONT_FILE_BYTES", 10)
    assert library_of(tmp_path).fonts == ()


def test_a_font_replaced_on_disk_is_read_again(tmp_path):
    save_tiny_font(tmp_path / "font.ttf", "Before")
    assert names(library_of(tmp_path)) == ["Before-Regular"]
    save_tiny_font(tmp_path / "font.ttf", "Afterwards")
    assert names(library_of(tmp_path)) == ["Afterwards-Regular"]


def test_the_same_file_is_parsed_once(tmp_path, monkeypatch):
    save_tiny_font(tmp_path / "font.ttf", "Once")
    library_of(tmp_path)
    monkeypatch.setattr(font_files, "TTFont", None)
    assert names(library_of(tmp_path)) == ["Once-Regular"]


def test_the_earlier_directory_wins_where_two_fonts_share_a_name(tmp_path):
    for folder in ("job", "machine"):
        (tmp_path / folder).mkdir()
        save_tiny_font(tmp_path / folder / "font.ttf", "Same")
    assert library_of(tmp_path / "job", tmp_path / "machine").find("Same-Regular").path.parent.name == "job"


def test_every_face_of_a_collection_has_its_index(tmp_path):
    save_collection(tmp_path / "both.ttc", "First", "Second")
    library = library_of(tmp_path)
    assert {font.postscript_name: font.index for font in library.fonts} == {"First-Regular": 0, "Second-Regular": 1}
    assert shape(library.find("Second-Regular"), "ab", size_px=10).width_px == pytest.approx(10)


def test_the_named_instances_of_a_variable_font_are_fonts(tmp_path):
    save_variable_font(tmp_path / "variable.ttf", "Vary", {"Light": 300, "Bold": 700})
    bold = library_of(tmp_path).find("Vary-Bold")
    assert (bold.weight, bold.variations) == (700, (("wght", 700.0),))
    assert shape(bold, "ab", size_px=10).width_px == pytest.approx(10)


@pytest.mark.parametrize(
    "name", ["GrotEsk-Bold", "grotesk-bold", "Grot Esk Bold", "GROT ESK BOLD", "Grot Esk-Bold", "grot_esk bold"]
)
def test_a_font_is_found_by_any_spelling_of_its_name(family, name):
    assert family.find(name).postscript_name == "GrotEsk-Bold"


def test_a_family_alone_is_its_regular_style(family):
    assert family.find("Grot Esk").style == "Regular"


def test_the_exact_postscript_name_goes_before_another_font_of_that_spelling(tmp_path):
    save_tiny_font(tmp_path / "a.ttf", "A", postscript_name="Some-Font")
    save_tiny_font(tmp_path / "b.ttf", "B", postscript_name="somefont")
    assert library_of(tmp_path).find("somefont").family == "B"


@pytest.mark.parametrize("name", ["", " ", "-", "Nowhere", "👽", "GrotEsk-Black", "Grot"])
def test_what_is_not_there_is_not_found(family, name):
    assert family.find(name) is None
    assert not family.installed(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GrotEsk-Bold", "GrotEsk-Bold"),
        ("GrotEsk-Black", "GrotEsk-Bold"),
        ("GrotEsk-LightItalic", "GrotEsk-Italic"),
        ("Grot Esk Medium", "GrotEsk-Regular"),
        ("RUSHFLOW", "GrotEsk-Regular"),
        ("Arial-BoldMT", "GrotEsk-Bold"),
        ("AntiquaSerif-Light", "AntiquaSerif-Bold"),
        ("", "GrotEsk-Regular"),
    ],
)
def test_a_substitute_is_of_the_family_or_else_a_sans_of_that_style(family, name, nearest):
    assert family.substitute(name).postscript_name == nearest


def test_the_substitute_does_not_depend_on_the_order_of_the_fonts(family):
    backwards = FontLibrary(tuple(reversed(family.fonts)))
    assert backwards.substitute("RUSHFLOW") == family.substitute("RUSHFLOW")


def test_a_font_without_latin_letters_is_no_substitute(tmp_path):
    save_tiny_font(tmp_path / "icons.ttf", "Aaa", characters="\ue000")
    save_tiny_font(tmp_path / "text.ttf", "Zzz")
    assert library_of(tmp_path).substitute("RUSHFLOW").family == "Zzz"


def test_a_library_goes_from_process_to_process(family):
    assert pickle.loads(pickle.dumps(family)).find("GrotEsk-Bold") == family.find("GrotEsk-Bold")


def test_glyphs_stand_where_the_advances_put_them(family):
    line = shape(family.find("GrotEsk-Bold"), "abc", size_px=20)
    assert [glyph.x_px for glyph in line.glyphs] == pytest.approx([0, 10, 20])
    assert [glyph.cluster for glyph in line.glyphs] == [0, 1, 2]
    assert line.width_px == pytest.approx(30)


def test_tracking_spreads_the_characters_but_not_the_end(family):
    line = shape(family.find("GrotEsk-Bold"), "abc", size_px=20, tracking=100)
    assert [glyph.x_px for glyph in line.glyphs] == pytest.approx([0, 12, 24])
    assert line.width_px == pytest.approx(34)


def test_narrow_tracking_never_gives_a_negative_width(family):
    assert shape(family.find("GrotEsk-Bold"), "abc", size_px=20, tracking=-2000).width_px == 0


def test_no_text_has_no_glyphs(family):
    assert shape(family.find("GrotEsk-Bold"), "", size_px=20) == fonts.ShapedLine(glyphs=(), width_px=0.0)


def test_clusters_count_characters_also_beyond_the_basic_plane(family):
    line = shape(family.find("GrotEsk-Bold"), "a👽b", size_px=20)
    assert [(glyph.cluster, glyph.glyph_id == 0) for glyph in line.glyphs] == [(0, False), (1, True), (2, False)]


def test_missing_glyphs_are_named_once_in_their_order(family):
    font = family.find("GrotEsk-Bold")
    assert missing_glyphs(font, "漢a字漢👽") == "漢字👽"
    assert missing_glyphs(font, LATIN) == ""
    assert missing_glyphs(font, "") == ""


def test_controls_joiners_and_spaces_are_never_missing(family):
    assert missing_glyphs(family.find("GrotEsk-Bold"), "\r\n\t\x03\u200d\ufe0f\u00a0\u2028\ud800") == ""


def test_metrics_are_in_px_of_the_size(family):
    measures = metrics(family.find("GrotEsk-Bold"), size_px=50)
    assert (measures.ascent_px, measures.descent_px, measures.line_gap_px) == pytest.approx((40, 10, 0))


def test_the_system_directories_are_searched_after_the_given_ones(tmp_path, monkeypatch):
    machine = tmp_path / "machine"
    machine.mkdir()
    save_tiny_font(machine / "font.ttf", "Machine")
    monkeypatch.setattr(fonts, "system_directories", lambda: (machine,))
    assert FontLibrary.from_directories([], system=True).installed("Machine-Regular")
    assert not FontLibrary.from_directories([], system=False).installed("Machine-Regular")


def test_space_grotesk_is_found_and_kerned(shared_data):
    library = library_of(shared_data / "fonts")
    bold = library.find("SpaceGrotesk-Bold")
    assert (bold.family, bold.style, bold.weight, bold.sans) == ("Space Grotesk", "Bold", 700, True)
    kerned = shape(bold, "AV", size_px=100).width_px
    apart = shape(bold, "A", size_px=100).width_px + shape(bold, "V", size_px=100).width_px
    assert kerned < apart
    assert not library.installed("RUSHFLOW")
