"""manage.py match: names for scripts, ids beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import py_aep
import pytest

Ask = Callable[..., dict[str, Any]]


def test_every_match_names_layer_slot_score_and_parts(ask: Ask, psd: Path, template: Path) -> None:
    content = ask("match", psd, template)
    assert content["matches"]
    slots = {slot["id"]: slot["name"] for slot in ask("inspect", template)["slots"]}
    layers = {layer["id"]: layer["name"] for layer in ask("inspect", psd)["layers"]}
    for match in content["matches"]:
        assert slots[match["slot_id"]] == match["slot"]
        assert layers[match["psd_layer_id"]] == match["psd_layer"]
        assert match["score"] == pytest.approx(sum(match["parts"].values()), abs=0.05)
        assert match["runner_up"] is None or layers[match["runner_up"]["psd_layer_id"]]


def test_layers_without_a_slot_are_kept(ask: Ask, psd: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.aep"
    py_aep.new().project.save(str(empty))
    content = ask("match", psd, empty)
    assert (content["matches"], content["unfilled"]) == ([], [])
    assert len(content["kept"]) == len(content["kept_ids"]) > 0
    assert "no_composition" in {finding["code"] for finding in content["findings"]}


def test_the_player_card_is_matched_as_its_ground_truth_says(ask: Ask, shared_data: Path) -> None:
    template = shared_data / "aepx" / "player-card.aepx"
    for more in ((), ("--footage", shared_data / "footage", "--fonts", shared_data / "fonts")):
        content = ask("match", shared_data / "psd" / "player-card.psd", template, *more)
        assert {match["psd_layer"]: match["slot"] for match in content["matches"]} == {
            "BEN FORMAN": "player1fullname",
            "ELOISE GRACE": "player2fullname",
            "EMMA LOUISE": "player3fullname",
            "cutout": "featuredimage1",
        }
        assert sorted(content["kept"]) == ["Background", "green_yellow_bg"]
        assert content["unfilled"] == []
        codes = {finding["code"] for finding in content["findings"]}
        assert codes <= {"missing_font", "missing_footage", "layered_footage", "shared_default_text"}
