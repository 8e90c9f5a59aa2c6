"""rendering.matching: the right layer for every slot, with reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rendering.aftereffects.project import read_project
from rendering.aftereffects.slots import find_slots
from rendering.geometry import Box
from rendering.matching import explain, match_layers
from rendering.photoshop.opening import read_document
from rendering.pixels import write_png
from tests.rendering.labelled_designs import EASY, HARD, USUAL, labelled_designs


@pytest.fixture
def design():
    return next(labelled_designs(1, EASY, seed=3))


def pairs(matching):
    return {match.slot_id: match.layer_id for match in matching.matches}


def match(design, **options):
    return match_layers(design.document, design.project, design.slots, **options)


def test_player_card_is_matched_though_its_names_say_nothing(shared_data):
    document = read_document(shared_data / "psd" / "player-card.psd")
    project = read_project(shared_data / "aepx" / "player-card.aepx")
    matching = match_layers(document, project, find_slots(project))
    assert {match.layer_name: match.slot_name for match in matching.matches} == {
        "BEN FORMAN": "player1fullname",
        "ELOISE GRACE": "player2fullname",
        "EMMA LOUISE": "player3fullname",
        "cutout": "featuredimage1",
    }
    names = {layer.layer_id: layer.name for layer in document.layers}
    assert {names[layer_id] for layer_id in matching.kept} == {"green_yellow_bg", "Background"}
    assert matching.unfilled == ()


# Measured on 120 designs each: 1.00, 1.00, 0.95.
@pytest.mark.parametrize(("difficulty", "least"), [(EASY, 0.99), (USUAL, 0.98), (HARD, 0.90)])
def test_labelled_designs_are_matched_right(difficulty, least):
    right = total = 0
    for design in labelled_designs(60, difficulty, seed=11):
        found = pairs(match(design))
        right += sum(found.get(slot_id) == layer_id for slot_id, layer_id in design.right.items())
        total += len(design.right)
    assert right / total >= least


def test_parts_add_up_to_the_score(design):
    for found in match(design).matches:
        assert sum(found.parts.values()) == pytest.approx(found.score, abs=0.051)
        assert 0 <= found.score <= 100


def test_the_runner_up_is_the_next_best_layer_of_the_slot(design):
    matching = match(design)
    for found in matching.matches:
        others = {layer: score for layer, score in matching.scores[found.slot_id].items() if layer != found.layer_id}
        if others:
            assert found.runner_up is not None
            assert found.runner_up.score == pytest.approx(max(others.values()), abs=0.051)
        else:
            assert found.runner_up is None


def test_every_layer_and_slot_is_accounted_for_once(design):
    matching = match(design)
    leaves = {layer.layer_id for layer in design.document.layers}
    assert set(pairs(matching).values()) | set(matching.kept) == leaves
    assert not set(pairs(matching).values()) & set(matching.kept)
    assert set(pairs(matching)) | set(matching.unfilled) == {slot.id for slot in design.slots}


def test_kinds_that_do_not_go_together_are_never_paired(design):
    texts = tuple(replace(layer, kind="pixel", text=None) for layer in design.document.layers)
    document = replace(design.document, layers=texts)
    matching = match_layers(document, design.project, design.slots, threshold=0)
    kinds = {slot.id: slot.kind for slot in design.slots}
    assert {kinds[slot_id] for slot_id in pairs(matching)} == {"image"}
    assert all(not matching.scores.get(slot.id) for slot in design.slots if slot.kind == "text")


def test_below_the_threshold_nothing_is_paired(design):
    matching = match(design, threshold=100.1)
    assert matching.matches == ()
    assert len(matching.unfilled) == len(design.slots)


@pytest.mark.parametrize("part", ["layers", "slots", "both"])
def test_nothing_on_one_side_is_no_error(design, part):
    document = replace(design.document, layers=()) if part != "slots" else design.document
    slots = () if part != "layers" else design.slots
    matching = match_layers(document, design.project, slots)
    assert matching.matches == ()
    assert len(matching.unfilled) == len(slots)


def test_hidden_layers_and_groups_are_no_candidates(design):
    hidden = tuple(replace(layer, visible=False) for layer in design.document.layers)
    matching = match_layers(replace(design.document, layers=hidden), design.project, design.slots)
    assert (matching.matches, matching.kept) == ((), ())


def test_numbered_names_pair_by_their_number(design):
    base = next(layer for layer in design.document.layers if layer.kind == "type")
    box = Box(0, 0, 200, 40)
    layers = tuple(
        replace(base, layer_id=number, order=number, name=f"name {number}", text=f"Person {number}", box=box)
        for number in (3, 1, 2)
    )
    slot = next(slot for slot in design.slots if slot.kind == "text")
    slots = tuple(
        replace(slot, layer_id=10 + number, name=f"player{number}", box=box, order=number, text="Name")
        for number in (2, 3, 1)
    )
    matching = match_layers(replace(design.document, layers=layers), design.project, slots)
    assert {match.slot_name: match.layer_name for match in matching.matches} == {
        "player1": "name 1",
        "player2": "name 2",
        "player3": "name 3",
    }


def test_the_same_input_gives_the_same_answer_whatever_the_order(design):
    turned = replace(design.document, layers=tuple(reversed(design.document.layers)))
    other = match_layers(turned, design.project, tuple(reversed(design.slots)))
    assert pairs(other) == pairs(match(design))


def test_pixels_tell_twins_apart(design, tmp_path):
    base = next(layer for layer in design.document.layers if layer.kind != "type")
    slot = next(slot for slot in design.slots if slot.kind == "image")
    box = Box(10, 10, 110, 110)
    paths = []
    for number, rgba in enumerate([(250, 10, 10, 255), (10, 10, 250, 255)]):
        picture = np.full((40, 40, 4), rgba, dtype=np.uint8)
        picture[: 20 if number else 5] = (255, 255, 255, 255)
        paths.append(tmp_path / f"{number}.png")
        write_png(picture, paths[-1])
    layers = tuple(replace(base, layer_id=number, name="photo", box=box, order=0) for number in (0, 1))
    slots = tuple(replace(slot, layer_id=10 + number, name="photo", box=box, order=0) for number in (0, 1))
    matching = match_layers(
        replace(design.document, layers=layers),
        design.project,
        slots,
        images={0: paths[0], 1: paths[1]},
        slot_images={slots[0].id: paths[1], slots[1].id: paths[0]},
    )
    assert pairs(matching) == {slots[0].id: 1, slots[1].id: 0}
    assert all("pixels" in match.parts for match in matching.matches)


def test_a_pair_that_a_person_chose_is_explained(design):
    slot = design.slots[0]
    matching = match(design)
    for layer_id, score in matching.scores[slot.id].items():
        chosen = explain(design.document, design.project, design.slots, layer_id, slot.id)
        assert chosen.score == pytest.approx(score, abs=0.051)


@pytest.mark.parametrize(("layer_id", "slot_id"), [(-5, None), (None, "9:9")])
def test_an_unknown_pair_is_a_key_error(design, layer_id, slot_id):
    with pytest.raises(KeyError):
        explain(
            design.document,
            design.project,
            design.slots,
            layer_id if layer_id is not None else design.document.layers[0].layer_id,
            slot_id or design.slots[0].id,
        )


def test_a_thousand_by_a_thousand_works(design):
    base = next(layer for layer in design.document.layers if layer.kind == "type")
    slot = next(slot for slot in design.slots if slot.kind == "text")
    layers, slots = [], []
    for number in range(1000):
        box = Box(number % 40 * 30, number // 40 * 30, number % 40 * 30 + 28, number // 40 * 30 + 20)
        layers.append(replace(base, layer_id=number, name=f"text {number}", text=str(number), box=box, order=number))
        slots.append(replace(slot, layer_id=number, name=f"slot{number}", box=box, order=number, text="x"))
    document = replace(design.document, width_px=1200, height_px=750, layers=tuple(layers))
    assert len(match_layers(document, design.project, slots, threshold=0).matches) == 1000


# Measured on 200 designs: 24 % of the slots whose layer is gone take a left-over one, 98.7 % of the others stay right.
def test_a_layer_that_is_missing_leaves_the_other_slots_right():
    others = right = taken = gone = 0
    for design in labelled_designs(60, USUAL, seed=12):
        slot_id = min(design.right)
        layers = tuple(layer for layer in design.document.layers if layer.layer_id != design.right[slot_id])
        found = pairs(match_layers(replace(design.document, layers=layers), design.project, design.slots))
        rest = {other: layer for other, layer in design.right.items() if other != slot_id}
        others, right = others + len(rest), right + sum(found.get(other) == layer for other, layer in rest.items())
        gone, taken = gone + 1, taken + (slot_id in found)
    assert right / others >= 0.95
    assert taken / gone <= 0.45


@pytest.mark.parametrize("edge", [float("inf"), float("nan"), -1e30, 0.0])
def test_boxes_without_a_sensible_size_are_no_error(design, edge):
    layers = tuple(replace(layer, box=Box(0, 0, edge, edge)) for layer in design.document.layers)
    slots = tuple(replace(slot, box=Box(edge, edge, edge, edge)) for slot in design.slots)
    matching = match_layers(replace(design.document, layers=layers), design.project, slots, threshold=0)
    assert all(0 <= score <= 100 for row in matching.scores.values() for score in row.values())


def test_slots_that_are_never_shown_are_matched_by_name(design):
    slots = tuple(replace(slot, box=None) for slot in design.slots)
    assert pairs(match_layers(design.document, design.project, slots)) == design.right


def test_a_document_of_no_size_is_no_error(design):
    document = replace(design.document, width_px=0, height_px=0)
    assert match_layers(document, design.project, design.slots, threshold=0).matches


def test_kinds_that_a_person_forces_together_score_nothing(design):
    text = next(slot for slot in design.slots if slot.kind == "text")
    picture = next(layer for layer in design.document.layers if layer.kind != "type")
    chosen = explain(design.document, design.project, design.slots, picture.layer_id, text.id)
    assert chosen.score == 0
    assert set(chosen.parts.values()) == {0.0}
    assert chosen.runner_up is not None


def test_a_hidden_layer_that_a_person_chose_is_scored(design):
    slot = next(slot for slot in design.slots if slot.kind == "text")
    wanted = design.right[slot.id]
    layers = tuple(replace(layer, visible=layer.layer_id != wanted) for layer in design.document.layers)
    document = replace(design.document, layers=layers)
    assert explain(document, design.project, design.slots, wanted, slot.id).score > 50
    assert wanted not in match_layers(document, design.project, design.slots).scores[slot.id]


def test_what_was_chosen_is_settled_and_the_rest_is_matched_around_it(design):
    slots = [slot for slot in design.slots if slot.kind == "text"]
    first, second = slots[0].id, slots[1].id
    wrong = design.right[second]
    matching = match(design, chosen={first: wrong}, threshold=0)
    assert pairs(matching)[first] == wrong
    assert pairs(matching).get(second) not in (None, wrong)
    assert len(set(pairs(matching).values())) == len(matching.matches)
    assert pairs(match(design, chosen={first: wrong}, threshold=101)) == {first: wrong}


def test_a_slot_that_is_to_stay_empty_frees_its_layer(design):
    first = design.slots[0].id
    matching = match(design, chosen={first: None})
    assert first in matching.unfilled
    assert design.right[first] in matching.kept
    assert pairs(match(design, chosen={})) == pairs(match(design))
