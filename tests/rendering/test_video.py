"""Preview videos play as long as their comp, show both sides, and stay within bounds."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from rendering.video import write_preview_videos
from rendering.video_files import probe_video
from tests.rendering.drawing.stage import RED, WHITE, Stage
from tests.rendering.test_video_files import decoded, plain


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
