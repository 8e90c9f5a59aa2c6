"""rendering.validation: each rule tells what is wrong, and nothing else."""

from __future__ import annotations

import pytest

from rendering.validation import (
    all_caps,
    layered_footage,
    missing_font,
    missing_footage,
    no_render_comp,
    non_ascii_name,
    renderer,
)
from tests.rendering.validation.projects import comp, footage, layer, project, style


def told(findings):
    return [(finding.code, finding.severity, finding.object) for finding in findings]


def test_a_text_layer_with_the_all_caps_style_is_told():
    shouting, plain = layer("shout", text=style(all_caps=True)), layer("plain", text=style())
    assert told(all_caps.check(project(comp(shouting, plain)))) == [("all_caps", "critical", "shout")]


def test_capitals_that_were_typed_are_no_finding():
    assert told(all_caps.check(project(comp(layer(text=style(text="HELLO")))))) == []


def test_a_guide_layer_in_all_caps_is_not_rendered_and_not_told():
    assert told(all_caps.check(project(comp(layer(guide=True, text=style(all_caps=True)))))) == []


@pytest.mark.parametrize(
    ("identifier", "words"), [("ADBE Calder", "Advanced 3D"), ("ADBE Ernst", "Cinema 4D"), ("ACME X", "ACME X")]
)
def test_a_renderer_other_than_classic_3d_is_told_by_its_name(identifier, words):
    findings = list(renderer.check(project(comp(), comp(id=2, name="scene", renderer=identifier))))
    assert told(findings) == [("renderer", "critical", "scene")]
    assert words in findings[0].message
    assert findings[0].evidence == identifier


@pytest.mark.parametrize("identifier", ["ADBE Advanced 3d", ""])
def test_classic_3d_and_no_renderer_at_all_are_no_finding(identifier):
    assert told(renderer.check(project(comp(renderer=identifier)))) == []


@pytest.mark.parametrize("path", ["/a/card.psd", "C:\\a\\card.PSD", "/a/card.psb", "logo.ai", "/a/logo.eps "])
def test_layered_files_are_told_whether_found_or_not(path):
    items = (footage(path, found=True), footage(path, found=False))
    assert [finding.code for finding in layered_footage.check(project(comp(), items=items))] == ["layered_footage"] * 2


@pytest.mark.parametrize("path", ["/a/card.png", "/a/psd", "/a/card.psd.png", "/ai/x.mov", ""])
def test_other_files_are_not_layered(path):
    assert told(layered_footage.check(project(comp(), items=(footage(path),)))) == []


def test_the_layer_of_a_layered_file_is_in_the_evidence():
    item = footage("/a/card.psd", psd_layer="cutout")
    (finding,) = layered_footage.check(project(comp(), items=(item,)))
    assert finding.evidence == "/a/card.psd, layer cutout"


def test_a_missing_file_is_told_once_with_all_its_references():
    items = (
        footage("/a/card.psd", id=5, psd_layer="one", found=False, references=2),
        footage("/a/card.psd", id=6, psd_layer="two", found=False),
        footage("/a/there.png", id=7),
    )
    (finding,) = missing_footage.check(project(comp(), items=items))
    assert told([finding]) == [("missing_footage", "critical", "card.psd")]
    assert "shown by 3 layers" in finding.evidence


def test_a_missing_file_on_a_windows_path_is_named_by_its_file_name():
    item = footage("C:\\jobs\\cutout.png", found=False)
    assert told(missing_footage.check(project(comp(), items=(item,)))) == [
        ("missing_footage", "critical", "cutout.png")
    ]


def test_a_missing_file_that_no_layer_shows_does_not_block():
    item = footage("/a/stray.jsx", found=False, references=0)
    assert told(missing_footage.check(project(comp(), items=(item,)))) == [("missing_footage", "warning", "stray.jsx")]


def test_a_missing_file_without_a_path_goes_by_its_item_name():
    item = footage("", name="lost", found=False)
    assert [finding.object for finding in missing_footage.check(project(comp(), items=(item,)))] == ["lost"]


def test_a_missing_font_is_told_once_with_the_layers_that_use_it():
    layers = tuple(layer(f"line {number}", text=style(font="RUSHFLOW")) for number in range(7))
    found = missing_font.check(
        project(comp(*layers), fonts=("RUSHFLOW", "Here")), installed=lambda name: name == "Here"
    )
    (finding,) = found
    assert told([finding]) == [("missing_font", "warning", "RUSHFLOW")]
    assert finding.evidence == "used by line 0, line 1, line 2, line 3, line 4 and 2 more"


def test_a_font_that_only_the_project_lists_is_told_as_such():
    (finding,) = missing_font.check(project(comp(), fonts=("Old",)), installed=lambda name: False)
    assert "no text layer" in finding.evidence


def test_a_text_without_a_font_is_no_missing_font():
    assert told(missing_font.check(project(comp(layer(text=style(font="")))), installed=lambda name: False)) == []


@pytest.mark.parametrize(
    "broken",
    [
        project(comp(name="Größe")),
        project(comp(layer("Größe"))),
        project(comp(), items=(footage("/a/b.png", name="Größe"),)),
    ],
    ids=["composition", "layer", "footage"],
)
def test_names_beyond_english_letters_are_told_with_a_plain_one(broken):
    (finding,) = non_ascii_name.check(broken)
    assert told([finding]) == [("non_ascii_name", "warning", "Größe")]
    assert "Groe" in finding.cure
    assert "U+00F6 U+00DF" in finding.evidence


def test_a_name_without_any_english_letter_still_gets_a_cure():
    (finding,) = non_ascii_name.check(project(comp(name="背景😀")))
    assert "a name in English letters" in finding.cure


def test_the_same_name_is_told_once_for_each_kind_of_thing():
    layers = layer("é"), layer("é", id=2)
    findings = non_ascii_name.check(project(comp(*layers, name="é")))
    assert [finding.evidence.split(":")[0] for finding in findings] == ["composition", "layer"]


def test_a_layer_that_shows_its_text_or_source_as_its_name_is_not_told_itself():
    by_text = layer("Zoë", renamed=False, text=style(text="Zoë"))
    by_source = layer("é.png", renamed=False, kind="image", source_id=5)
    assert told(non_ascii_name.check(project(comp(by_text, by_source)))) == []


@pytest.mark.parametrize("empty", [project(), project(comp(), render_comp_id=None), project(comp(), render_comp_id=99)])
def test_a_project_without_a_composition_to_render_is_told(empty):
    assert told(no_render_comp.check(empty)) == [("no_render_comp", "critical", "card.aep")]


def test_a_project_with_its_render_comp_is_no_finding():
    assert told(no_render_comp.check(project(comp()))) == []
