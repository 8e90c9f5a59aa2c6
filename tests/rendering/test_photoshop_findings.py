from __future__ import annotations

import pytest

from rendering.fonts import FontLibrary
from rendering.geometry import Box
from rendering.photoshop import Document, Layer, TextRun, read_document
from rendering.photoshop_findings import findings_of_document


def layer(name, layer_id=1, **features):
    values = {
        "kind": "pixel",
        "path": (),
        "parent_id": None,
        "order": layer_id,
        "box": Box(0, 0, 10, 10),
        "visible": True,
        "opacity": 1.0,
        "blend_mode": "normal",
        "clipping": False,
        "has_mask": False,
    }
    return Layer(name=name, layer_id=layer_id, **values | features)


def typed(name, font, layer_id=1, text="text", **features):
    run = TextRun(text=text, font=font, size_px=12, color_rgb=None, tracking=0, leading_px=None)
    return layer(name, layer_id, kind="type", text=text, runs=(run,), **features)


def findings(*layers, installed=()):
    document = Document(file_name="card.psd", width_px=10, height_px=10, color_mode="rgb", depth_bits=8, layers=layers)
    return findings_of_document(document, installed=lambda name: name in installed)


def codes(*layers, **options):
    return [finding.code for finding in findings(*layers, **options)]


def test_a_sound_document_gives_no_finding():
    assert codes(layer("a", 1), typed("b", "Grot-Bold", 2), installed=["Grot-Bold"]) == []


def test_a_missing_font_is_one_finding_with_the_layers_that_use_it():
    (finding,) = findings(typed("a", "Lost", 1), typed("b", "Lost", 2), typed("c", "Grot", 3), installed=["Grot"])
    assert (finding.code, finding.severity, finding.object) == ("missing_font", "warning", "Lost")
    assert finding.evidence == "Used by a, b."


def test_many_users_of_a_font_are_counted():
    (finding,) = findings(*(typed(f"layer {number}", "Lost", number) for number in range(8)))
    assert finding.evidence == "Used by layer 0, layer 1, layer 2, layer 3, layer 4 and 3 more."


def test_a_font_of_white_space_or_without_a_name_or_of_a_hidden_layer_is_not_missed():
    assert codes(typed("a", "Lost", 1, text=" \n"), typed("b", "", 2), typed("c", "Lost", 3, visible=False)) == []


def test_visible_layers_of_one_name_are_told_with_their_places():
    (finding,) = findings(layer("same", 1, path=("group",)), layer("same", 2), layer("other", 3))
    assert (finding.code, finding.object) == ("duplicate_names", "same")
    assert finding.evidence == "group / same (id 1), same (id 2)"


@pytest.mark.parametrize(
    "second", [{"visible": False}, {"box": Box(0, 0, 0, 0)}, {"kind": "group"}, {"kind": "artboard"}]
)
def test_a_name_that_only_a_hidden_or_empty_layer_or_a_group_shares_is_no_duplicate(second):
    assert codes(layer("same", 1), layer("same", 2, **second)) == []


@pytest.mark.parametrize(
    "layers",
    [
        (),
        (layer("hidden", visible=False),),
        (layer("empty", box=Box(5, 5, 5, 9)),),
        (layer("group", kind="group"),),
    ],
)
def test_a_document_without_visible_content_is_critical(layers):
    (finding,) = findings(*layers)
    assert (finding.code, finding.severity, finding.object) == ("empty_document", "critical", "card.psd")


def test_an_adjustment_is_no_content_and_is_not_drawn():
    assert codes(layer("curves", kind="adjustment")) == ["empty_document", "effect_not_drawn"]


def test_effects_that_are_not_drawn_are_told_and_the_others_are_not():
    (finding,) = findings(
        layer("a", effects=("Drop Shadow", "Color Overlay", "Satin")), layer("b", 2, effects=("Stroke",))
    )
    assert (finding.severity, finding.object, finding.evidence) == ("info", "a", "Drop Shadow, Satin")


def test_no_effect_of_a_group_is_drawn_on_its_layers():
    (finding,) = findings(layer("group", 1, kind="group", effects=("Stroke",)), layer("a", 2, path=("group",)))
    assert (finding.object, finding.evidence) == ("group", "Stroke")


def test_a_hidden_effect_is_no_finding():
    assert codes(layer("a"), layer("b", 2, effects=("Satin",), visible=False)) == []


def test_the_player_card_with_its_font_gives_no_finding(shared_data):
    document = read_document(shared_data / "psd" / "player-card.psd")
    fonts = FontLibrary.from_directories([shared_data / "fonts"], system=False)
    assert findings_of_document(document, installed=fonts.installed) == ()
    (finding,) = findings_of_document(document, installed=lambda _: False)
    assert (finding.code, finding.object) == ("missing_font", "SpaceGrotesk-Bold")
