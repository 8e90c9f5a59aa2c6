"""manage.py render_preview: pictures and videos, judged by their pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import py_aep
import pytest
from PIL import Image

from rendering.pixels import read_png
from rendering.samples import tiny_project
from rendering.video import probe_video
from tests.rendering.aftereffects.builders import ProjectBuilder, name_layer

Shell = Callable[..., tuple[int, str, str]]
PHOTO = (slice(26, 54), slice(18, 46))
"""Where the photo of the tiny project shows, inside its edges."""


@pytest.fixture
def draw(shell: Shell, template: Path, font_folder: Path, tmp_path: Path) -> Callable[..., np.ndarray]:
    def run(*arguments: object) -> np.ndarray:
        out = tmp_path / "drawn.png"
        out.unlink(missing_ok=True)
        code, _, err = shell("render_preview", template, "--fonts", font_folder, "--out", out, *arguments)
        assert (code, err) == (0, "")
        return read_png(out)

    return run


def test_a_picture_shows_the_composition(draw: Callable[..., np.ndarray]) -> None:
    drawn = draw("--comp", "render_tiny")
    assert drawn.shape == (64, 64, 4)
    assert (drawn[PHOTO] == 255).all()


def test_a_text_slot_shows_its_text(draw: Callable[..., np.ndarray]) -> None:
    own, other = draw(), draw("--set", "player_name=Ada")
    assert (own[:20] != other[:20]).any()
    assert (own[PHOTO] == other[PHOTO]).all()
    assert draw("--set", "player_name=").any(axis=2)[:20].all()
    assert (draw("--set", "player_name=Name") == own).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_an_image_slot_shows_the_file(draw: Callable[..., np.ndarray], tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"red.{suffix}"
    Image.new("RGB", (90, 90), (200, 0, 0)).save(picture)
    drawn = draw("--set", f"featured_photo={picture}")
    assert np.abs(drawn[PHOTO].astype(int) - (200, 0, 0, 255)).max() <= 4


def test_a_picture_of_another_shape_is_not_distorted(draw: Callable[..., np.ndarray], tmp_path: Path) -> None:
    picture = tmp_path / "tall.png"
    Image.new("RGBA", (10, 20), (0, 200, 0, 255)).save(picture)
    green = (draw("--set", f"featured_photo={picture}")[..., 1] > 150).sum(axis=1)
    assert green[40] == pytest.approx(16, abs=1)


def test_scale_and_time_are_obeyed(draw: Callable[..., np.ndarray]) -> None:
    assert draw("--scale", "0.5").shape == (32, 32, 4)
    assert draw("--scale", "2", "--time", "0").shape == (128, 128, 4)
    assert (draw("--time", "1") == draw("--time", "0.96")).all()


def test_a_video_has_every_frame(shell: Shell, template: Path, tmp_path: Path, font_folder: Path) -> None:
    out = tmp_path / "card.mp4"
    code, printed, err = shell("render_preview", template, "--out", out, "--fonts", font_folder)
    assert (code, err) == (0, "")
    info = probe_video(out)
    assert (info.frame_count, info.width_px, info.height_px, info.lit_share) == (25, 64, 64, 1.0)
    assert "25 frames" in printed
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".aepx", ".mp4"]


def test_a_long_video_is_cut_and_says_so(
    shell: Shell, template: Path, tmp_path: Path, font_folder: Path, settings: Any
) -> None:
    settings.PREVIEW_MAX_SECONDS = 0.2
    out = tmp_path / "card.mp4"
    _, _, err = shell("render_preview", template, "--out", out, "--fonts", font_folder)
    assert err == "note: the video shows the first 0.2 of 1 seconds\n"
    assert probe_video(out).frame_count == 5


def test_what_is_not_drawn_as_it_should_be_is_noted(shell: Shell, template: Path, tmp_path: Path) -> None:
    (template.parent / "footage" / "tiny_photo.png").unlink()
    code, _, err = shell("render_preview", template, "--out", tmp_path / "a.png")
    assert code == 0
    assert "note: tiny_photo.png: " in err
    assert all(line.startswith("note: ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--out", "a.gif"], ".mp4 or .png"),
        (["--out", "taken.png"], "exists already"),
        (["--out", "gone/a.png"], "there is no folder"),
        (["--out", "a.png", "--comp", "nope"], "There are: render_tiny."),
        (["--out", "a.png", "--time", "1.01"], "0 to 1 s"),
        (["--out", "a.png", "--time", "-1"], "0 to 1 s"),
        (["--out", "a.png", "--time", "nan"], "no number"),
        (["--out", "a.png", "--scale", "inf"], "no number"),
        (["--out", "a.png", "--scale", "0"], "between 0.05 and 4"),
        (["--out", "a.mp4", "--time", "0"], "--time"),
        (["--out", "a.png", "--set", "nope=x"], "Slots: player_name, featured_photo."),
        (["--out", "a.png", "--set", "player_name"], "SLOT=TEXT-OR-FILE"),
        (["--out", "a.png", "--set", "player_name=a", "--set", "player_name=b"], "set twice"),
        (["--out", "a.png", "--set", "featured_photo=gone.png"], "gone.png"),
        (["--out", "a.png", "--set", "featured_photo=note.txt"], "note.txt"),
        (["--out", "a.png", "--footage", "gone"], "gone"),
        ([], "--out"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_leaves_nothing(
    shell: Shell, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], cause: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.png").write_bytes(b"mine")
    Path("note.txt").write_text("hello")
    before = sorted(tmp_path.iterdir())
    code, out, err = shell("render_preview", template.name, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert cause in err
    assert sorted(tmp_path.iterdir()) == before
    assert Path("taken.png").read_bytes() == b"mine"


def test_names_that_repeat_are_told_apart_by_id(shell: Shell, tmp_path: Path) -> None:
    builder = ProjectBuilder(tmp_path)
    other = builder.add_comp("Main", width=50, height=40, seconds=1.0)
    for _ in range(2):
        name_layer(other.add_text("{{x}}"), "title")
    path = builder.save()
    code, _, err = shell("render_preview", path, "--out", tmp_path / "a.png", "--comp", "Main")
    assert code == 2
    assert f"Give an id: {min(builder.comp.id, other.id)}, {max(builder.comp.id, other.id)}." in err
    by_id = ["--out", tmp_path / "a.png", "--comp", other.id]
    code, _, err = shell("render_preview", path, *by_id, "--set", "title=A")
    assert code == 2
    assert "2 slots are named title" in err
    assert shell("render_preview", path, *by_id, "--set", f"{other.id}:{other.layers[0].id}=A")[0] == 0
    assert read_png(tmp_path / "a.png").shape == (40, 50, 4)


def test_a_project_without_a_composition_is_refused(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "empty.aep"
    py_aep.new().project.save(str(path))
    code, _, err = shell("render_preview", path, "--out", tmp_path / "a.png")
    assert (code, err) == (2, "error: empty.aep: it has no composition.\n")


def test_the_player_card_shows_a_name_and_the_cutout_where_the_slots_are(
    shell: Shell, shared_data: Path, tmp_path: Path
) -> None:
    def drawn(name: str, *more: object) -> np.ndarray:
        out = tmp_path / name
        arguments = ("--comp", "test-aep", "--out", out, "--footage", shared_data / "footage", *more)
        assert shell("render_preview", shared_data / "aepx" / "player-card.aepx", *arguments)[0] == 0
        return read_png(out)

    red = tmp_path / "red.png"
    Image.new("RGBA", (1200, 1500), (255, 0, 0, 255)).save(red)
    plain = drawn("plain.png")
    filled = drawn("filled.png", "--set", "player2fullname=Grace", "--set", f"featuredimage1={red}")
    changed = (plain != filled).any(axis=2)
    assert changed[385:440, 72:400].any()
    assert (filled[700:1400, 300:900, :3] == (255, 0, 0)).all()


def test_both_forms_of_a_project_look_the_same(shell: Shell, tmp_path: Path, font_folder: Path) -> None:
    pictures = []
    for suffix in ("aep", "aepx"):
        path = tiny_project(tmp_path / f"card.{suffix}")
        out = tmp_path / f"{suffix}.png"
        assert shell("render_preview", path, "--out", out, "--fonts", font_folder)[0] == 0
        pictures.append(read_png(out))
    assert (pictures[0] == pictures[1]).all()
