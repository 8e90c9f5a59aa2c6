"""jobs.slot_columns and jobs.stages.choosing: which layers a row of a sheet names for the slots of its template"""

from __future__ import annotations

import pytest

from jobs.slot_columns import filled, is_slot_column, titles
from jobs.stages.choosing import choose
from rendering.aftereffects.slots import Slot
from rendering.geometry import Box
from rendering.photoshop import Document, Layer

BOX = Box(0, 0, 10, 10)


def slot(number, name, kind="text"):
    return Slot(comp_id=1, comp_name="main", layer_id=number, name=name, kind=kind, reason="", box=BOX, order=number)


def layer(number, name, kind="type", *, path=(), visible=True, box=BOX):
    return Layer(
        layer_id=number, name=name, kind=kind, path=path, parent_id=None, order=number, box=box, visible=visible,
        opacity=1.0, blend_mode="normal", clipping=False, has_mask=False, text="x" if kind == "type" else None,
    )  # fmt: skip


def document(*layers):
    return Document(
        file_name="a.psd", width_px=10, height_px=10, color_mode="RGB", depth_bits=8, has_composite=True, layers=layers
    )


DESIGN = document(
    layer(1, "Photo", "pixel"),
    layer(2, "Title", path=("Back",)),
    layer(3, "Title", path=("Front",)),
    layer(4, "Sub-Title"),
    layer(5, "Größe ①"),
    layer(6, "Old", visible=False),
    layer(7, "Photo", "group"),
    layer(8, "a/b"),
    layer(9, "Nothing", "pixel", box=Box(0, 0, 0, 0)),
)
SLOTS = (slot(1, "Headline"), slot(2, "Photo", "image"), slot(3, "headline"))


def chosen(**cells):
    named = {"head": "slot: Headline", "photo": "slot: Photo (image)", "second": "slot: headline 2"}
    return choose({named[key]: text for key, text in cells.items()}, SLOTS, DESIGN, line=7)


def codes(found):
    return [finding.code for finding in found.findings]


def test_titles_are_never_taken_for_one_another():
    names = [
        "Headline",
        "headline",
        "Headline 2",
        "HEAD LINE",
        "head_line",
        "",
        "unnamed",
        "a\n b",
        "A\u200b B",
        "x" * 500,
    ]
    made = titles((name, "text") for name in names)
    assert made[:3] == ["slot: Headline", "slot: headline 2", "slot: Headline 2 2"]
    assert made[5:7] == ["slot: unnamed", "slot: unnamed 2"]
    assert made[7:9] == ["slot: a b", "slot: A B 2"]
    assert len({title.casefold() for title in made}) == len(names)
    assert titles([("Photo", "image"), ("Photo", "text")]) == ["slot: Photo (image)", "slot: Photo"]
    assert titles([]) == []


@pytest.mark.parametrize(
    ("title", "is_one"),
    [("slot: Name", True), ("SLOT:Name", True), (" Slot: name", True), ("slot", False), ("timeslot: a", False)],
)
def test_a_slots_column_is_known_by_its_beginning(title, is_one):
    assert is_slot_column(title) is is_one


def test_only_slot_cells_that_say_something_count():
    row = {"Colour": "red", "slot: a": " Title ", "slot: b": "", "slot: c": "  ", "slot: d": 5}
    assert filled(row) == {"slot: a": "Title", "slot: d": "5"}
    assert filled({}) == {}


def test_layers_are_found_by_name_in_any_case_and_by_their_groups():
    assert chosen(head="sub title").layers == {"1:1": 4}
    assert chosen(head="GRÖSSE ①").layers == {"1:1": 5}
    assert chosen(head="Back/Title").layers == {"1:1": 2}
    assert chosen(head="front / title", photo="photo").layers == {"1:1": 3, "1:2": 1}
    assert chosen(head="a/b").layers == {"1:1": 8}
    assert not chosen(head="Back/Title", photo="Photo").findings


def test_a_dash_keeps_what_the_template_has():
    for dash in "-–—":
        assert chosen(head=dash).layers == {"1:1": None}
    assert not chosen(head="-", photo="-", second="-").findings


def test_of_several_layers_the_uppermost_free_is_taken_and_it_is_said():
    found = chosen(head="Title", second="Title")
    assert found.layers == {"1:1": 3, "1:3": 2}
    assert codes(found) == ["ambiguous_layer", "ambiguous_layer"]
    assert "“Front/Title”" in found.findings[0].cure


def test_a_layer_fills_one_slot():
    found = chosen(head="Sub-Title", second="Sub-Title")
    assert found.layers == {"1:1": 4}
    assert codes(found) == ["layer_named_twice"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"head": "Old"}, "is hidden"),
        ({"head": "Photo"}, "kind group"),
        ({"photo": "Sub-Title"}, "is a text, the slot takes a picture"),
        ({"photo": "Nothing"}, "has no pixels"),
    ],
)
def test_what_cannot_fill_the_slot_is_said_with_its_reason(cells, words):
    found = chosen(**cells)
    assert (found.layers, codes(found)) == ({}, ["layer_cannot_fill"])
    assert words in found.findings[0].message
    assert "Line 7, “slot:" in found.findings[0].message


def test_an_unknown_layer_is_told_with_the_nearest_that_would_fit():
    found = chosen(head="Sub-Titel")
    assert (found.layers, codes(found)) == ({}, ["unknown_layer"])
    assert found.findings[0].cure.startswith("The nearest are “Sub-Title”")
    assert "Photo" not in found.findings[0].cure
    empty = choose({"slot: Headline": "x" * 5000}, SLOTS, document(), line=2)
    assert "no layer that can fill" in empty.findings[0].cure
    assert len(empty.findings[0].message) < 250


def test_a_column_for_a_slot_that_the_template_lacks_is_told():
    found = choose({"slot: Heading": "Title"}, SLOTS, DESIGN, line=3)
    assert (found.layers, codes(found)) == ({}, ["unknown_slot_column"])
    assert "“slot: Headline”" in found.findings[0].cure
    assert choose({"slot: x": "y"}, (), DESIGN, line=3).findings[0].cure == "The template has no slots."


def test_a_row_without_cells_chooses_nothing():
    assert choose({}, SLOTS, DESIGN, line=3).layers == {}
