"""manage.py inspect: the JSON that scripts read, the lines that people read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import py_aep
import pytest

from rendering.samples import tiny_project
from rendering.samples.fonts import BOLD_FONT

Ask = Callable[..., dict[str, Any]]
Shell = Callable[..., tuple[int, str, str]]


def codes(content: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((finding["code"], finding["object"]) for finding in content["findings"])


class TestProject:
    @pytest.fixture
    def content(self, ask: Ask, template: Path, font_folder: Path) -> dict[str, Any]:
        return ask("inspect", template, "--fonts", font_folder)

    def test_compositions_and_layers_are_told(self, content: dict[str, Any]) -> None:
        (comp,) = content["compositions"]
        assert {key: comp[key] for key in ("name", "width", "height", "duration", "frame_rate")} == {
            "name": "render_tiny",
            "width": 64,
            "height": 64,
            "duration": 1.0,
            "frame_rate": 25.0,
        }
        assert [(layer["index"], layer["name"], layer["kind"], layer["text"]) for layer in comp["layers"]] == [
            (1, "player_name", "text", "Name"),
            (2, "featured_photo", "image", None),
        ]
        assert [layer["source"] for layer in comp["layers"]] == [None, "tiny_photo.png"]

    def test_the_render_comp_is_a_name_with_its_id_beside_it(self, content: dict[str, Any]) -> None:
        assert content["render_comp"] == "render_tiny"
        assert content["render_comp_id"] == content["compositions"][0]["id"]
        assert content["render_comp_reason"] == "It is the only composition."

    def test_slots_name_their_comp_and_say_why(self, content: dict[str, Any]) -> None:
        assert [(slot["name"], slot["kind"], slot["comp"]) for slot in content["slots"]] == [
            ("player_name", "text", "render_tiny"),
            ("featured_photo", "image", "render_tiny"),
        ]
        assert all(slot["reason"] and slot["id"] for slot in content["slots"])

    def test_fonts_and_footage_are_looked_for(self, content: dict[str, Any]) -> None:
        assert content["fonts"] == [{"name": BOLD_FONT, "installed": True}]
        (footage,) = content["footage"]
        assert (Path(footage["path"]).name, footage["found"]) == ("tiny_photo.png", True)
        assert content["findings"] == []

    def test_a_point_text_is_measured_with_the_given_fonts(self, ask: Ask, template: Path, font_folder: Path) -> None:
        def text_layer(*fonts: object) -> dict[str, Any]:
            layers = ask("inspect", template, *fonts)["compositions"][0]["layers"]
            return dict(next(layer for layer in layers if layer["kind"] == "text"))

        measured, guessed = text_layer("--fonts", font_folder), text_layer()
        assert (measured["box_exact"], guessed["box_exact"]) == (True, False)
        assert measured["box"] != guessed["box"]

    def test_footage_that_lies_elsewhere_is_found_there(self, ask: Ask, template: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        (template.parent / "footage").rename(elsewhere)
        assert [entry["found"] for entry in ask("inspect", template)["footage"]] == [False]
        assert [entry["found"] for entry in ask("inspect", template, "--footage", elsewhere)["footage"]] == [True]

    def test_an_empty_project_has_no_render_comp_and_a_finding(self, ask: Ask, tmp_path: Path) -> None:
        path = tmp_path / "empty.aep"
        py_aep.new().project.save(str(path))
        content = ask("inspect", path)
        assert [content[key] for key in ("render_comp", "render_comp_id", "render_comp_reason")] == [None] * 3
        assert codes(content) == [("no_composition", "empty.aep")]

    def test_people_get_lines(self, shell: Shell, template: Path) -> None:
        code, out, err = shell("inspect", template)
        assert (code, err) == (0, "")
        assert "render comp render_tiny" in out
        assert f"warning, {BOLD_FONT}:" in out


class TestDocument:
    def test_layers_come_from_the_bottom_up_with_text_and_style(self, ask: Ask, psd: Path, font_folder: Path) -> None:
        content = ask("inspect", psd, "--fonts", font_folder)
        assert (content["format"], content["name"]) == ("psd", "card.psd")
        texts = [layer for layer in content["layers"] if layer["kind"] == "type"]
        assert texts
        assert all(layer["slot_kind"] == "text" and layer["runs"][0]["font"] for layer in texts)
        assert all(font["installed"] for font in content["fonts"])
        assert [layer["order"] for layer in content["layers"]] == list(range(len(content["layers"])))

    def test_people_get_lines(self, shell: Shell, psd: Path) -> None:
        code, out, err = shell("inspect", psd)
        assert (code, err) == (0, "")
        assert out.startswith("card.psd: ")


class TestRealFiles:
    def test_the_player_card_is_its_ground_truth(self, ask: Ask, shared_data: Path) -> None:
        content = ask("inspect", shared_data / "aepx" / "player-card.aepx")
        assert content["render_comp"] == "test-aep"
        assert {(slot["name"], slot["kind"]) for slot in content["slots"]} == {
            ("player1fullname", "text"),
            ("player2fullname", "text"),
            ("player3fullname", "text"),
            ("featuredimage1", "image"),
        }
        assert content["fonts"] == [{"name": "RUSHFLOW", "installed": False}]
        assert [entry["found"] for entry in content["footage"]] == [False] * 3
        assert sum(entry["references"] for entry in content["footage"]) == 8
        assert codes(content) == [
            ("layered_footage", "test-photoshop-doc.psd"),
            ("missing_font", "RUSHFLOW"),
            ("missing_footage", "cutout.png"),
            ("missing_footage", "green_yellow_bg.png"),
            ("missing_footage", "test-photoshop-doc.psd"),
            ("shared_default_text", "player1fullname"),
        ]

    def test_a_font_that_is_given_is_installed(self, ask: Ask, shared_data: Path, settings: Any) -> None:
        settings.SYSTEM_FONTS = False
        psd = shared_data / "psd" / "player-card.psd"
        assert codes(ask("inspect", psd)) == [("missing_font", "SpaceGrotesk-Bold")]
        assert codes(ask("inspect", psd, "--fonts", shared_data / "fonts")) == []

    def test_every_real_file_is_read(self, ask: Ask, shared_data: Path) -> None:
        files = sorted([*(shared_data / "aepx").glob("*.aep*"), *(shared_data / "psd").rglob("*.ps[db]")])
        assert len(files) > 25
        for path in files:
            assert ask("inspect", path)["name"] == path.name

    def test_both_forms_of_a_project_say_the_same(self, ask: Ask, tmp_path: Path) -> None:
        one = ask("inspect", tiny_project(tmp_path / "card.aep"))
        other = ask("inspect", tiny_project(tmp_path / "card.aepx"))
        assert {**one, "name": ""} == {**other, "name": ""}
