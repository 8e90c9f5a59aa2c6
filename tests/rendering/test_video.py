"""Videos are written whole or not at all, and play for as long as they should."""

from __future__ import annotations

import os

import av
import numpy as np
import pytest
from PIL import Image

from rendering.errors import FormatError
from rendering.video import (
    fitted_scale,
    probe_video,
    side_by_side_frames,
    write_preview_videos,
    write_video,
)
from tests.rendering.drawing.stage import RED, WHITE, Stage


def plain(width, height, color=(200, 40, 40)):
    return np.full((height, width, 4), (*color, 255), np.uint8)


def decoded(path, index=0):
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return frames[index].to_ndarray(format="rgb24")


def test_a_video_has_the_frames_that_were_written(tmp_path):
    done = []
    info = write_video(
        (plain(64, 48) for _ in range(30)), tmp_path / "a.mp4", frame_rate=10.0, width_px=64, height_px=48,
        progress=done.append,
    )  # fmt: skip
    assert (info.frame_count, info.duration_seconds, info.width_px, info.height_px) == (30, 3.0, 64, 48)
    assert done == list(range(1, 31))
    probed = probe_video(tmp_path / "a.mp4")
    assert (probed.frame_count, probed.duration_seconds) == (30, 3.0)
    assert (probed.size_bytes, probed.lit_share) == (info.size_bytes, 1.0)


def test_colours_survive_the_way_through_yuv(tmp_path):
    write_video([plain(64, 48)], tmp_path / "a.mp4", frame_rate=25.0, width_px=64, height_px=48)
    assert np.abs(decoded(tmp_path / "a.mp4").astype(int) - (200, 40, 40)).max() <= 6


def test_odd_sizes_are_padded_to_even_ones(tmp_path):
    info = write_video([plain(51, 33)], tmp_path / "a.mp4", frame_rate=25.0, width_px=51, height_px=33)
    assert (info.width_px, info.height_px) == (52, 34)
    assert np.abs(decoded(tmp_path / "a.mp4")[-1, -1].astype(int) - (200, 40, 40)).max() <= 6


def test_a_browser_can_play_it_while_it_loads(tmp_path):
    write_video([plain(64, 48)] * 5, tmp_path / "a.mp4", frame_rate=29.97, width_px=64, height_px=48)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert abs(float(stream.average_rate) - 29.97) < 0.001
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)


def test_no_frames_are_no_video(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_video([], tmp_path / "a.mp4", frame_rate=25.0, width_px=64, height_px=48)
    assert os.listdir(tmp_path) == []


def test_a_failure_half_way_leaves_nothing_behind_and_the_old_file_alone(tmp_path):
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")

    def frames():
        yield plain(64, 48)
        raise RuntimeError("drawing failed")

    with pytest.raises(RuntimeError, match="drawing failed"):
        write_video(frames(), target, frame_rate=25.0, width_px=64, height_px=48)
    assert os.listdir(tmp_path) == ["a.mp4"]
    assert target.read_bytes() == b"old"


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="another size"):
        write_video([plain(64, 50)], tmp_path / "a.mp4", frame_rate=25.0, width_px=64, height_px=48)


@pytest.mark.parametrize(("rate", "width", "height"), [(0.0, 64, 48), (1000.0, 64, 48), (25.0, 0, 48), (25.0, 64, -1)])
def test_videos_that_cannot_be_are_refused(tmp_path, rate, width, height):
    with pytest.raises(ValueError, match="no video has"):
        write_video([plain(64, 48)], tmp_path / "a.mp4", frame_rate=rate, width_px=width, height_px=height)


def test_black_frames_are_told_from_lit_ones(tmp_path):
    frames = [plain(64, 48, (0, 0, 0))] * 3 + [plain(64, 48)]
    write_video(frames, tmp_path / "a.mp4", frame_rate=10.0, width_px=64, height_px=48)
    assert probe_video(tmp_path / "a.mp4").lit_share == 0.25


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\0\0\0\x18ftypmp42" + b"\0" * 40])
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(FormatError, match=r"bad\.mp4"):
        probe_video(tmp_path / "bad.mp4")


def test_a_truncated_video_is_refused(tmp_path):
    write_video([plain(64, 48)] * 5, tmp_path / "a.mp4", frame_rate=10.0, width_px=64, height_px=48)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:300])
    with pytest.raises(FormatError, match=r"cut\.mp4"):
        probe_video(tmp_path / "cut.mp4")


def test_a_large_side_is_scaled_down_and_a_small_one_left_alone():
    assert fitted_scale(3840, 2160) == 0.5
    assert fitted_scale(100, 4000, max_side_px=1000) == 0.25
    assert fitted_scale(640, 480) == 1.0


def test_the_still_stands_left_of_the_frames_at_their_height():
    left = np.zeros((200, 100, 4), np.uint8)
    left[...] = (0, 0, 255, 255)
    (both,) = side_by_side_frames(left, [plain(120, 100)])
    assert both.shape[0] % 2 == both.shape[1] % 2 == 0
    assert tuple(both[100, 25, :3]) == (0, 0, 255)
    assert tuple(both[100, 50 + 8 + 60, :3]) == (200, 40, 40)
    assert (both[..., 3] == 255).all()


def test_side_by_side_never_exceeds_the_longest_side():
    for width, height in ((1200, 1500), (1920, 1080), (400, 3000)):
        (both,) = side_by_side_frames(plain(width, height), [plain(width, height)])
        assert max(both.shape[:2]) <= 1920


def test_a_transparent_still_is_laid_on_white():
    (both,) = side_by_side_frames(np.zeros((100, 100, 4), np.uint8), [plain(100, 100)])
    assert tuple(both[100, 50, :3]) == (255, 255, 255)


def moving_stage() -> Stage:
    stage = Stage()
    solid = stage.solid(WHITE, 100, 40)
    solid.transform.opacity.set_value_at_time(0.5, 100.0)
    solid.transform.opacity.set_value_at_time(1.0, 20.0)
    return stage


def test_preview_videos_play_as_long_as_the_comp(tmp_path):
    shares = []
    videos = write_preview_videos(
        moving_stage().compositor(), plain(50, 40, RED), tmp_path / "new", progress=shares.append
    )
    for path in (videos.psd, videos.ae, videos.combined):
        info = probe_video(path)
        assert (info.frame_count, info.duration_seconds, info.lit_share) == (20, 2.0, 1.0)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    metrics = videos.metrics
    assert (metrics.frame_count, metrics.drawn_frames, metrics.duration_seconds) == (20, 6, 2.0)
    assert metrics.ae_bytes == videos.ae.stat().st_size
    assert videos.notes == ()
    assert sorted(os.listdir(tmp_path / "new")) == ["ae.mp4", "combined.mp4", "poster.jpg", "psd.mp4"]


def test_the_combined_video_shows_the_design_left_and_after_effects_right(tmp_path):
    videos = write_preview_videos(moving_stage().compositor(), plain(50, 40, RED), tmp_path)
    frame = decoded(videos.combined)
    assert np.abs(frame[80, 50].astype(int) - RED).max() <= 8
    assert np.abs(frame[80, 100 + 8 + 50].astype(int) - WHITE).max() <= 8


def test_the_poster_shows_the_moment_with_most_to_see(tmp_path):
    videos = write_preview_videos(moving_stage().compositor(), plain(50, 40, RED), tmp_path)
    assert videos.poster_seconds < 0.6
    with Image.open(videos.poster) as poster:
        assert poster.size == (100, 80)
        assert min(poster.convert("RGB").getpixel((50, 40))) > 240


def test_a_very_long_comp_is_cut_and_noted(tmp_path):
    stage = Stage()
    long = stage.add_comp("long", 32, 32, seconds=7200.0)
    videos = write_preview_videos(stage.compositor(comp_id=long.id), plain(32, 32), tmp_path, max_seconds=1.0)
    assert videos.metrics.frame_count == 10
    (note,) = videos.notes
    assert (note.code, note.object) == ("preview_shortened", "long")


def test_a_large_comp_is_drawn_smaller(tmp_path):
    stage = Stage()
    large = stage.add_comp("large", 4000, 3000, seconds=0.2)
    stage.solid(WHITE, 4000, 3000, comp=large)
    videos = write_preview_videos(stage.compositor(comp_id=large.id), plain(400, 300), tmp_path)
    info = probe_video(videos.ae)
    assert (info.width_px, info.height_px) == (1920, 1440)
    assert max(probe_video(videos.combined).width_px, probe_video(videos.combined).height_px) <= 1920
