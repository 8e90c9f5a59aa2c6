"""Real projects, drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rendering.aftereffects.project import open_project
from rendering.aftereffects.slots import Slot
from rendering.drawing import Compositor
from rendering.errors import FormatError
from rendering.filling import Filling
from rendering.fonts import FontLibrary
from tests.rendering.drawing.stage import box_of

NAMES = {43: "BEN FORMAN", 45: "ELOISE GRACE", 47: "EMMA LOUISE"}
AMBER = (255, 184, 28)


def player_card(shared_data: Path, texts: dict[int, str], **footage: str) -> Compositor:
    fillings = []
    for layer_id, text in texts.items():
        slot = Slot(
            comp_id=1, comp_name="test-aep", layer_id=layer_id, name=text, kind="text", reason="", box=None, order=0
        )
        fillings.append(Filling(slot=slot, text=text))
    return Compositor(
        open_project(shared_data / "aepx" / "player-card.aepx"),
        comp_id=1,
        fonts=FontLibrary.from_directories([shared_data / "fonts"], system=False),
        fillings=fillings,
        footage={int(item[1:]): shared_data / "footage" / name for item, name in footage.items()},
    )


def amber(rgb: np.ndarray) -> np.ndarray:
    return np.abs(rgb - AMBER).max(axis=2) < 12


@pytest.mark.parametrize(("seconds", "rate"), [(0.0, 25.0), (2.0, 0.0), (float("inf"), 25.0), (2.0, float("nan"))])
def test_a_comp_without_length_or_rate_is_refused_by_name(seconds, rate):
    comp = SimpleNamespace(
        id=1, name="broken", width=10, height=10, duration=seconds, frame_rate=rate, bg_color=[0.0, 0.0, 0.0],
        layers=[], solo_layers=[],
    )  # fmt: skip
    app = SimpleNamespace(project=SimpleNamespace(compositions=[comp], file="broken.aep"))
    with pytest.raises(FormatError, match=r"broken\.aep: the composition .broken. has no length"):
        Compositor(app, comp_id=1, fonts=FontLibrary(()))


def test_the_three_names_stand_in_their_boxes(shared_data):
    frame = player_card(shared_data, NAMES).frame(0.0)
    assert frame.shape == (1500, 1200, 4)
    for top in (262, 387, 502):
        left, _, right, bottom = box_of(frame[top : top + 62], amber)
        assert 70 <= left < 90
        assert right <= 549
        assert bottom <= 62
    assert not amber(frame[600:, :, :3].astype(int)).any()


def test_the_notes_name_the_font_and_the_footage_that_are_missing(shared_data):
    notes = {(note.code, note.object) for note in player_card(shared_data, NAMES).notes}
    assert notes == {
        ("missing_font", "RUSHFLOW"),
        ("missing_footage", "cutout.png"),
        ("missing_footage", "green_yellow_bg.png"),
    }


def test_footage_that_is_at_hand_fills_the_card(shared_data):
    compositor = player_card(shared_data, NAMES, i41="cutout.png", i13="green_yellow_bg.png")
    assert [note.code for note in compositor.notes] == ["missing_font"]
    assert (compositor.frame(0.0)[5, 5, :3] > 100).all()


def test_a_card_without_movement_is_drawn_once(shared_data):
    compositor = player_card(shared_data, NAMES)
    assert compositor.frame_count == 300
    assert sum(is_new for _, is_new in compositor.frames()) == 1


def test_layers_move_along_their_keyframes(shared_data):
    compositor = Compositor(
        open_project(shared_data / "aepx" / "layer-kinds.aepx"),
        comp_id=24,
        fonts=FontLibrary(()),
        footage={1: shared_data / "footage" / "cutout.png"},
        scale=0.1,
    )
    tops = [box_of(compositor.frame(moment), lambda rgb: rgb.sum(axis=2) < 740)[1] for moment in (0.0, 30.0, 90.0)]
    assert tops[0] < tops[2]
    assert abs((tops[2] - tops[0]) - 42.6) <= 2
    assert {note.code for note in compositor.notes} == {"layer_drawn_flat"}


@pytest.mark.parametrize("name", ["nm05ae12.aepx", "layer-kinds.aepx", "1layer.aepx", "2layers1image.aepx"])
def test_every_comp_of_the_real_projects_can_be_drawn(shared_data, name):
    project = open_project(shared_data / "aepx" / name)
    for comp in project.app.project.compositions:
        compositor = Compositor(project, comp_id=comp.id, fonts=FontLibrary(()), scale=0.1)
        assert compositor.frame(0.0).shape[2] == 4
        assert not [note for note in compositor.notes if note.code in {"layer_not_read", "value_not_read"}]
