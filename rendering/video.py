"""Preview videos: H.264 in MP4 that every browser plays, written frame by frame."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, cast

import av
import numpy as np
from PIL import Image

from rendering.drawing.compositor import Compositor
from rendering.drawing.notes import FidelityNote
from rendering.errors import FormatError
from rendering.pixels import Rgba
from rendering.side_by_side import MAX_SIDE_PX, SideBySide, fitted_scale, flattened, resized, side_by_side_frames

__all__ = [
    "PreviewMetrics",
    "PreviewVideos",
    "VideoInfo",
    "VideoWriter",
    "fitted_scale",
    "probe_video",
    "side_by_side_frames",
    "write_preview_videos",
    "write_video",
]

MAX_SECONDS = 30.0
# Measured on 300 frames of 1200x1500, CPU seconds (still / moving) and KB: veryfast 1.9 / 3.3, 69 / 653; superfast
# without look-ahead 1.0 / 2.9, 47 / 657; ultrafast 0.6 / 2.5, 98 / 1,324. Previews are mostly still and sent often.
_X264 = {
    "preset": "superfast",
    "crf": "20",
    "x264-params": "rc-lookahead=0:sync-lookahead=0:bframes=0:mbtree=0:scenecut=0:keyint=150",
}
_BT709 = 1
_TV_RANGE = 1

Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """``lit_share`` is the share of probed frames that are not all but black; None where nothing was decoded."""

    frame_count: int
    duration_seconds: float
    size_bytes: int
    width_px: int
    height_px: int
    lit_share: float | None = None


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


class VideoWriter:
    """Writes opaque RGBA frames, uint8 (height, width, 4), all of the size that it was opened with.

    A context manager: the file appears under its name, whole, when the block ends well, and not at all otherwise.
    Odd sizes are padded by one px, as yuv420p wants them even; the pad repeats the edge.
    """

    def __init__(self, path: Path, *, frame_rate: float, width_px: int, height_px: int) -> None:
        if not 0 < frame_rate <= 240 or width_px < 1 or height_px < 1:
            raise ValueError(f"no video has {frame_rate} frames per second and {width_px}x{height_px} px")
        self.path = path
        self.width_px = width_px + width_px % 2
        self.height_px = height_px + height_px % 2
        self._frame_rate = Fraction(frame_rate).limit_denominator(1001)
        self._frame_count = 0
        self._last: tuple[Rgba, Any] | None = None

    def __enter__(self) -> VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(
            dir=self.path.parent, prefix=f".{self.path.stem}-", suffix=".mp4", delete=False
        ) as file:
            self._temporary = Path(file.name)
        self._container = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"})
        stream = cast(Any, self._container.add_stream("libx264", rate=self._frame_rate))
        stream.width, stream.height, stream.pix_fmt = self.width_px, self.height_px, "yuv420p"
        stream.options = dict(_X264)
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _TV_RANGE
        self._stream = stream
        return self

    def add(self, rgba: Rgba) -> None:
        """The next frame. The very same array again costs no conversion, so do not write into it meanwhile."""
        if self._last is None or self._last[0] is not rgba:
            self._last = (rgba, self._converted(rgba))
        frame = self._last[1]
        frame.pts = self._frame_count
        frame.time_base = 1 / self._frame_rate
        self._container.mux(self._stream.encode(frame))
        self._frame_count += 1

    def _converted(self, rgba: Rgba) -> Any:
        right, bottom = self.width_px - rgba.shape[1], self.height_px - rgba.shape[0]
        if not (0 <= right <= 1 and 0 <= bottom <= 1):
            raise ValueError(f"a frame of {rgba.shape[1]}x{rgba.shape[0]} px in a video of another size")
        if right or bottom:
            rgba = np.pad(rgba, ((0, bottom), (0, right), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
        return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._frame_count:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None and self._frame_count:
                self._temporary.chmod(0o644)
                os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
        if kind is None and not self._frame_count:
            raise ValueError("a video needs at least one frame")

    @property
    def info(self) -> VideoInfo:
        """Valid after the block has ended."""
        return VideoInfo(
            frame_count=self._frame_count,
            duration_seconds=float(self._frame_count / self._frame_rate),
            size_bytes=self.path.stat().st_size,
            width_px=self.width_px,
            height_px=self.height_px,
        )


def write_video(
    frames: Iterable[Rgba],
    path: Path,
    *,
    frame_rate: float,
    width_px: int,
    height_px: int,
    progress: Callable[[int], None] | None = None,
) -> VideoInfo:
    """Writes the frames, taking one at a time; ``progress`` hears the number of frames that are done.

    Raises ValueError for no frames at all, and for a frame of another size.
    """
    with VideoWriter(path, frame_rate=frame_rate, width_px=width_px, height_px=height_px) as writer:
        for count, frame in enumerate(frames, 1):
            writer.add(frame)
            if progress is not None:
                progress(count)
    return writer.info


def probe_video(path: Path) -> VideoInfo:
    """Decodes the whole video and counts. Raises FormatError for a file without pictures that can be decoded."""
    count = lit = 0
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.video[0]
            seconds = float((stream.duration or 0) * (stream.time_base or 0))
            width, height = stream.width, stream.height
            for frame in container.decode(stream):
                count += 1
                # A sample of the luma plane is enough to see whether anything is there; 16 is black.
                luma = np.frombuffer(memoryview(frame.planes[0]), np.uint8)[::97]
                lit += bool((luma > 24).mean() > 0.002)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise FormatError(path.name, f"not a video that can be decoded ({error}).") from error
    if not count:
        raise FormatError(path.name, "a video without a single frame.")
    return VideoInfo(
        frame_count=count,
        duration_seconds=seconds,
        size_bytes=path.stat().st_size,
        width_px=width,
        height_px=height,
        lit_share=lit / count,
    )


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
    both = SideBySide(still, frame_width_px=compositor.width_px, frame_height_px=compositor.height_px)
    paths = {name: directory / f"{name}.mp4" for name in ("psd", "ae", "combined")}
    sizes = {
        "psd": (still.shape[1], still.shape[0]),
        "ae": (compositor.width_px, compositor.height_px),
        "combined": (both.width_px, both.height_px),
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
            if is_new or index == count // 2:
                poster.offer(frame, index / rate, seconds)
            with watch.time("encode"):
                psd.add(still)
                ae.add(frame)
                combined.add(both.frame(frame))
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
    return np.asarray(resized(opaque, size))


def _length_notes(compositor: Compositor, seconds: float) -> tuple[FidelityNote, ...]:
    if seconds >= compositor.duration_seconds:
        return ()
    message = f"The preview shows the first {seconds:g} of {compositor.duration_seconds:g} seconds."
    return (FidelityNote(code="preview_shortened", object=compositor.name, message=message),)
