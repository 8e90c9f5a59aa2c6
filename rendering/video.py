"""Preview videos of a filled template: the flat design, After Effects, and both side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from PIL import Image

from rendering.drawing.compositor import Compositor
from rendering.drawing.notes import FidelityNote
from rendering.pixels import Rgba, scaled
from rendering.side_by_side import MAX_SIDE_PX, fitted_scale, flattened, lay_out_pair
from rendering.video_files import MovingPair, VideoInfo, VideoWriter, probe_video, write_video

__all__ = [
    "PreviewMetrics",
    "PreviewVideos",
    "VideoInfo",
    "VideoWriter",
    "fitted_scale",
    "probe_video",
    "write_preview_videos",
    "write_video",
]

MAX_SECONDS = 30.0
Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class PreviewMetrics:
    render_seconds: float
    encode_seconds: float
    frame_count: int
    drawn_frames: int
    duration_seconds: float
    psd_bytes: int
    ae_bytes: int
    combined_bytes: int
    poster_bytes: int


@dataclass(frozen=True, kw_only=True)
class PreviewVideos:
    """Paths of the files; ``poster_seconds`` is the moment that the poster shows."""

    psd: Path
    ae: Path
    combined: Path
    poster: Path
    poster_seconds: float
    metrics: PreviewMetrics
    notes: tuple[FidelityNote, ...] = ()


def write_preview_videos(
    compositor: Compositor,
    still_rgba: Rgba,
    directory: Path,
    *,
    progress: Progress | None = None,
    max_seconds: float = MAX_SECONDS,
) -> PreviewVideos:
    """Writes ``psd.mp4``, ``ae.mp4``, ``combined.mp4`` and ``poster.jpg``; every moment is drawn once.

    ``still_rgba`` is the flat PSD, uint8 (height, width, 4), straight alpha. ``progress`` hears shares from 0 to 1.
    Compositions beyond ``max_seconds`` are cut there and noted; large ones are drawn smaller, so that no side of any
    video exceeds ``MAX_SIDE_PX``. Memory does not grow with the length.
    """
    compositor = compositor.within(MAX_SIDE_PX)
    rate = min(compositor.frame_rate, 60.0)
    seconds = min(compositor.duration_seconds, max_seconds)
    count = max(1, round(seconds * rate))
    still = _still_for_video(still_rgba)
    pair = MovingPair(lay_out_pair(still, frame_size_px=(compositor.width_px, compositor.height_px)))
    paths = {name: directory / f"{name}.mp4" for name in ("psd", "ae", "combined")}
    sizes = {
        "psd": (still.shape[1], still.shape[0]),
        "ae": (compositor.width_px, compositor.height_px),
        "combined": pair.size_px,
    }
    watch = _Watch()
    poster = _Poster()
    drawn = 0
    with _writers(paths, sizes, rate) as (psd, ae, combined):
        frames = compositor.frames(count, frame_rate=rate)
        for index in range(count):
            with watch.time("render"):
                frame, is_new = next(frames)
            drawn += is_new
            poster.offer(frame, index / rate, seconds)
            with watch.time("encode"):
                psd.add(still)
                ae.add(frame)
                combined.add_converted(pair.frame(ae.last_converted))
            if progress is not None:
                progress((index + 1) / count)
    poster_path = directory / "poster.jpg"
    poster.write(poster_path)
    metrics = PreviewMetrics(
        render_seconds=round(watch.seconds["render"], 3),
        encode_seconds=round(watch.seconds["encode"], 3),
        frame_count=count,
        drawn_frames=drawn,
        duration_seconds=count / rate,
        psd_bytes=paths["psd"].stat().st_size,
        ae_bytes=paths["ae"].stat().st_size,
        combined_bytes=paths["combined"].stat().st_size,
        poster_bytes=poster_path.stat().st_size,
    )
    return PreviewVideos(
        psd=paths["psd"],
        ae=paths["ae"],
        combined=paths["combined"],
        poster=poster_path,
        poster_seconds=poster.seconds,
        metrics=metrics,
        notes=_length_notes(compositor, seconds),
    )


class _Watch:
    """Adds up the seconds spent on each kind of work."""

    def __init__(self) -> None:
        self.seconds = {"render": 0.0, "encode": 0.0}

    @contextmanager
    def time(self, work: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[work] += time.perf_counter() - start


class _Poster:
    """Keeps the middle frame, or the one that shows most where the middle shows clearly less."""

    _MIDDLE_IS_FINE = 0.8

    def __init__(self) -> None:
        self._best: tuple[float, float, Rgba] | None = None
        self._middle: tuple[float, float, Rgba] | None = None

    def offer(self, frame: Rgba, seconds: float, duration_seconds: float) -> None:
        thin = frame[::16, ::16, :3].astype(np.float32)
        score = float(thin.std())
        if self._best is None or score > self._best[0]:
            self._best = (score, seconds, frame)
        if seconds <= duration_seconds / 2 + 1e-6:
            self._middle = (score, seconds, frame)

    @property
    def _chosen(self) -> tuple[float, float, Rgba]:
        assert self._best is not None
        assert self._middle is not None
        return self._middle if self._middle[0] >= self._best[0] * self._MIDDLE_IS_FINE else self._best

    @property
    def seconds(self) -> float:
        return self._chosen[1]

    def write(self, path: Path) -> None:
        with NamedTemporaryFile(dir=path.parent, prefix=".poster-", suffix=".jpg", delete=False) as file:
            Image.fromarray(self._chosen[2]).convert("RGB").save(file, "JPEG", quality=88)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)


@contextmanager
def _writers(
    paths: dict[str, Path], sizes: dict[str, tuple[int, int]], frame_rate: float
) -> Iterator[tuple[VideoWriter, VideoWriter, VideoWriter]]:
    psd, ae, combined = (
        VideoWriter(paths[name], frame_rate=frame_rate, width_px=sizes[name][0], height_px=sizes[name][1])
        for name in ("psd", "ae", "combined")
    )
    with psd, ae, combined:
        yield psd, ae, combined


def _still_for_video(still_rgba: Rgba) -> Rgba:
    opaque = flattened(still_rgba)
    scale = fitted_scale(opaque.shape[1], opaque.shape[0])
    if scale == 1.0:
        return opaque
    size = (max(1, round(opaque.shape[1] * scale)), max(1, round(opaque.shape[0] * scale)))
    return scaled(opaque, size_px=size)


def _length_notes(compositor: Compositor, seconds: float) -> tuple[FidelityNote, ...]:
    if seconds >= compositor.duration_seconds:
        return ()
    message = f"The preview shows the first {seconds:g} of {compositor.duration_seconds:g} seconds."
    return (FidelityNote(code="preview_shortened", object=compositor.name, message=message),)
