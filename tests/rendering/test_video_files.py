"""Videos are written whole or not at all, and play for as long as they should."""

from __future__ import annotations

import os

import av
import numpy as np
import pytest

from rendering.errors import FormatError
from rendering.video_files import probe_video, write_video


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
