"""rendering.matching_findings: what is said of a matching is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rendering.aftereffects.project import LayerText
from rendering.filling import covers_frame
from rendering.fonts import FontLibrary
from rendering.geometry import Box
from rendering.matching import match_layers
from rendering.matching_findings import enlargement, findings_of_matching
from rendering.samples import build_fonts
from tests.rendering.labelled_designs import EASY, labelled_designs

FONT = "AeprojectSans-Bold"


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")
    build_fonts(folder)
    return FontLibrary.from_directories([folder], system=False)


@pytest.fixture
def design():
    return next(labelled_designs(1, EASY, seed=3))


def styled(design, **style):
    """The design with that style on every text layer of the template."""
    text = LayerText(
        **{
            "text": "x",
            "font": FONT,
            "size_px": 40.0,
            "leading_px": None,
            "tracking": 0.0,
            "justification": "left",
            "fill_rgb": None,
            "box_size_px": None,
            "all_caps": False,
            **style,
        }
    )
    comp = design.project.compositions[0]
    layers = tuple(replace(layer, text=text if layer.kind == "text" else None) for layer in comp.layers)
    return replace(design.project, compositions=(replace(comp, layers=layers),))


def codes(design, project, fonts, **options):
    matching = match_layers(design.document, project, design.slots, **options)
    findings = findings_of_matching(design.document, project, design.slots, matching, fonts=fonts)
    return {finding.code for finding in findings} - {"aspect_mismatch", "low_resolution"}


def test_texts_that_fit_raise_nothing(design, fonts):
    assert codes(design, styled(design), fonts) == set()
    assert codes(design, styled(design, box_size_px=(4000.0, 400.0)), fonts) == set()


def test_a_text_that_overflows_its_box_is_told(design, fonts):
    assert codes(design, styled(design, box_size_px=(30.0, 45.0)), fonts) == {"text_overflow"}


def test_nothing_is_said_of_texts_whose_font_is_missing(design, fonts):
    project = styled(design, box_size_px=(30.0, 45.0), font="RUSHFLOW")
    assert codes(design, project, fonts) == set()
    assert codes(design, project, None) == set()


def test_characters_that_the_font_lacks_are_told(design, fonts):
    layers = tuple(replace(layer, text="李小龙") if layer.kind == "type" else layer for layer in design.document.layers)
    foreign = replace(design, document=replace(design.document, layers=layers))
    assert "missing_glyphs" in codes(foreign, styled(design), fonts)


def test_a_slot_without_a_layer_is_told(design, fonts):
    matching = match_layers(design.document, design.project, design.slots, threshold=101)
    findings = findings_of_matching(design.document, design.project, design.slots, matching, fonts=fonts)
    unfilled = [finding.object for finding in findings if finding.code == "unfilled_slot"]
    assert sorted(unfilled) == sorted(slot.name for slot in design.slots)


@pytest.mark.parametrize(
    ("layer", "slot_box", "source", "in_place", "times"),
    [
        # The whole frame shows the document: nothing is enlarged, however small the layer.
        (Box(515, 20, 1167, 1500), Box(0, 0, 1200, 1500), (1200, 1500), True, 1.0),
        # The same aspect in a small slot: the layer is fitted, not the document.
        (Box(0, 0, 600, 750), Box(0, 0, 240, 300), (1200, 1500), False, 0.4),
        (Box(0, 0, 100, 100), Box(0, 0, 400, 300), (400, 300), False, 3.0),
        (Box(0, 0, 0, 0), Box(0, 0, 400, 300), (400, 300), False, 0.0),
        (Box(0, 0, 10, 10), None, None, False, 0.0),
    ],
)
def test_enlargement_follows_the_fitting(design, layer, slot_box, source, in_place, times):
    slot = replace(design.slots[0], kind="image", box=slot_box, source_size_px=source)
    assert enlargement(layer, slot, document_size_px=(1200, 1500), in_place=in_place) == pytest.approx(times)


def test_a_slot_shows_the_document_in_place_only_when_it_covers_the_frame(design):
    comp = design.project.compositions[0]
    slot = design.slots[0]
    whole = Box(0, 0, comp.width_px, comp.height_px)
    assert covers_frame(replace(slot, box=whole), design.project)
    assert covers_frame(replace(slot, box=Box(-50, -50, comp.width_px, comp.height_px)), design.project)
    assert not covers_frame(replace(slot, box=Box(0, 0, comp.width_px / 2, comp.height_px)), design.project)
    assert not covers_frame(replace(slot, box=None), design.project)


def test_an_enlarged_picture_is_told(design, fonts):
    slot = next(slot for slot in design.slots if slot.kind == "image")
    layer = next(layer for layer in design.document.layers if layer.layer_id == design.right[slot.id])
    small = replace(layer, box=Box(layer.box.left, layer.box.top, layer.box.left + 4, layer.box.top + 4))
    layers = tuple(small if each is layer else each for each in design.document.layers)
    document = replace(design.document, layers=layers)
    matching = match_layers(design.document, design.project, design.slots)
    findings = findings_of_matching(document, design.project, design.slots, matching, fonts=fonts)
    assert small.name in {finding.object for finding in findings if finding.code == "low_resolution"}


def test_designs_of_another_shape_are_told(design, fonts):
    document = replace(design.document, width_px=design.document.width_px * 2)
    matching = match_layers(document, design.project, design.slots)
    findings = findings_of_matching(document, design.project, design.slots, matching, fonts=fonts)
    assert "aspect_mismatch" in {finding.code for finding in findings}
