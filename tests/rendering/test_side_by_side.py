"""The still and the frames share one picture."""

from __future__ import annotations

import numpy as np
import pytest

from rendering.side_by_side import fitted_scale, flattened, lay_out_pair


def plain(width, height, color=(0, 0, 255, 255)):
    return np.full((height, width, 4), color, np.uint8)


def test_the_still_stands_left_at_the_height_of_the_frames():
    pair = lay_out_pair(plain(100, 200), frame_size_px=(120, 100))
    assert pair.size_px == (50 + 8 + 120, 40 + 100)
    assert pair.frame_box == (58, 40, 178, 140)
    assert tuple(pair.background[90, 25]) == (0, 0, 255, 255)
    assert (pair.background[..., 3] == 255).all()


def test_the_captions_are_there():
    caption = lay_out_pair(plain(300, 200), frame_size_px=(300, 200)).background[:40]
    assert (caption[:, :150, :3].min(axis=2) > 200).any()
    assert (caption[:, 310:460, :3].min(axis=2) > 200).any()


@pytest.mark.parametrize("size", [(1200, 1500), (1920, 1080), (400, 3000), (51, 33), (1, 1)])
def test_everything_is_even_and_within_the_limit(size):
    pair = lay_out_pair(plain(*size), frame_size_px=size)
    assert max(pair.size_px) <= 1920
    assert not any(round(edge) % 2 for edge in (*pair.size_px, *pair.frame_box))


def test_a_transparent_still_is_laid_on_white():
    assert tuple(flattened(plain(4, 4, (0, 0, 0, 0)))[0, 0]) == (255, 255, 255, 255)
    assert tuple(lay_out_pair(plain(100, 100, (0, 0, 0, 0)), frame_size_px=(100, 100)).background[90, 50, :3]) == (
        255, 255, 255,
    )  # fmt: skip


def test_a_large_side_is_scaled_down_and_a_small_one_left_alone():
    assert fitted_scale(3840, 2160) == 0.5
    assert fitted_scale(100, 4000, max_side_px=1000) == 0.25
    assert fitted_scale(640, 480) == 1.0
