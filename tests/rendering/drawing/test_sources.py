"""Stills, videos and fillings: the pixels that come from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import py_aep
import pytest
from PIL import Image

from rendering.video import write_video
from tests.rendering.drawing.stage import BLACK, BLUE, GREEN, RED, Stage, at, box_of, filling


@pytest.fixture
def stage() -> Stage:
    return Stage()


def picture(path: Path, color: tuple[int, ...], size: tuple[int, int] = (20, 20)) -> Path:
    Image.new("RGBA", size, (*color[:3], color[3] if len(color) > 3 else 255)).save(path)
    return path


def imported(stage: Stage, path: Path):
    footage = stage.app.project.import_file(py_aep.ImportOptions(str(path)))
    return footage, stage.comp.add(footage)


def test_a_still_is_drawn_from_the_file_that_the_caller_names(stage, tmp_path):
    footage, _ = imported(stage, picture(tmp_path / "template.png", RED))
    elsewhere = picture(tmp_path / "found.png", GREEN)
    pixels = stage.pixels(footage={footage.id: elsewhere})
    assert box_of(pixels, lambda rgb: rgb[..., 1] > 128) == (40, 30, 60, 50)


def test_footage_that_nobody_resolved_is_transparent_and_never_opened(stage, tmp_path):
    footage, _ = imported(stage, picture(tmp_path / "template.png", RED))
    assert not stage.pixels()[..., :3].any()
    (note,) = stage.compositor().notes
    assert (note.code, note.object) == ("missing_footage", footage.name)


def test_a_still_of_another_size_fills_the_place_of_its_item(stage, tmp_path):
    footage, _ = imported(stage, picture(tmp_path / "template.png", RED))
    pixels = stage.pixels(footage={footage.id: picture(tmp_path / "big.jpg.png", GREEN, (80, 40))})
    assert box_of(pixels, lambda rgb: rgb[..., 1] > 128) == (40, 30, 60, 50)


def test_a_half_transparent_still_lets_the_background_through(stage, tmp_path):
    footage, _ = imported(stage, picture(tmp_path / "template.png", RED))
    stage.comp.bg_color = [0.0, 0.0, 1.0]
    pixels = stage.pixels(footage={footage.id: picture(tmp_path / "thin.png", (255, 0, 0, 128))})
    red, green, blue = at(pixels, 50, 40)
    assert abs(red - 128) <= 1
    assert green == 0
    assert abs(blue - 127) <= 1


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_broken_still_is_noted_and_left_out(stage, tmp_path, content):
    footage, _ = imported(stage, picture(tmp_path / "template.png", RED))
    broken = tmp_path / "broken.png"
    broken.write_bytes(content)
    compositor = stage.compositor(footage={footage.id: broken})
    assert [note.code for note in compositor.notes] == ["footage_unreadable"]
    assert not compositor.frame(0.0)[..., :3].any()


def test_an_image_filling_takes_the_place_of_the_layers_pixels(stage, tmp_path):
    footage, layer = imported(stage, picture(tmp_path / "template.png", RED))
    layer.transform.position.value = [20.0, 20.0, 0.0]
    choice = filling(stage.comp, layer, image=picture(tmp_path / "chosen.png", BLUE))
    pixels = stage.pixels(footage={footage.id: tmp_path / "template.png"}, fillings=[choice])
    assert box_of(pixels, lambda rgb: rgb[..., 2] > 128) == (10, 10, 30, 30)
    assert not pixels[..., 0].any()


def test_an_image_filling_may_replace_a_nested_comp(stage, tmp_path):
    inner = stage.add_comp("photo", 30, 20)
    stage.solid(RED, 30, 20, comp=inner)
    layer = stage.comp.add(inner)
    choice = filling(stage.comp, layer, image=picture(tmp_path / "chosen.png", BLUE, (30, 20)))
    assert box_of(stage.pixels(fillings=[choice]), lambda rgb: rgb[..., 2] > 128) == (35, 30, 65, 50)


def test_video_footage_plays_in_the_layers_time(stage, tmp_path):
    video = tmp_path / "clip.mp4"
    colors = [RED] * 5 + [GREEN] * 5
    frames = (np.full((20, 20, 4), (*color, 255), np.uint8) for color in colors)
    write_video(frames, video, frame_rate=10.0, width_px=20, height_px=20)
    footage, layer = imported(stage, video)
    layer.start_time = 0.5
    compositor = stage.compositor(footage={footage.id: video})
    shown = [at(compositor.frame(moment), 50, 40) for moment in (0.4, 0.6, 1.2, 0.6, 1.7)]
    assert shown[0] == shown[4] == BLACK
    assert shown[1][0] > 200 > shown[1][1] + 100
    assert shown[2][1] > 200 > shown[2][0] + 100
    assert shown[3] == shown[1]


def test_a_file_that_is_no_video_is_noted(stage, tmp_path):
    footage, _ = imported(stage, picture(tmp_path / "template.png", RED))
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(b"not a video")
    assert stage.codes(footage={footage.id: fake}) == ["footage_unreadable"]
