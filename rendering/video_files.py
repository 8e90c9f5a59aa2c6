"""Writing and reading video files: H.264 in MP4 that every browser plays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from rendering.errors import FormatError
from rendering.pixels import Rgba
from rendering.side_by_side import Pair

# Measured on 300 frames of 1200x1500, CPU seconds (still / moving) and KB: veryfast 1.9 / 3.3, 69 / 653; superfast
# without look-ahead 1.0 / 2.9, 47 / 657; ultrafast 0.6 / 2.5, 98 / 1,324. Previews are mostly still and sent often.
_X264 = {
    "preset": "superfast",
    "crf": "20",
    "x264-params": "rc-lookahead=0:sync-lookahead=0:bframes=0:mbtree=0:scenecut=0:keyint=150",
}
_BT709 = 1
_TV_RANGE = 1


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """``lit_share`` is the share of probed frames that are not all but black; None where nothing was decoded."""

    frame_count: int
    duration_seconds: float
    size_bytes: int
    width_px: int
    height_px: int
    lit_share: float | None = None


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
        self._last: tuple[Rgba, av.VideoFrame] | None = None

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
        self.add_converted(self._last[1])

    def add_converted(self, frame: av.VideoFrame) -> None:
        """The next frame as yuv420p of the video's size, in Rec. 709 and TV range."""
        frame.pts = self._frame_count
        frame.time_base = 1 / self._frame_rate
        self._container.mux(self._stream.encode(frame))
        self._frame_count += 1

    @property
    def last_converted(self) -> av.VideoFrame:
        """What the last array given to ``add`` became; ValueError before the first."""
        if self._last is None:
            raise ValueError("no frame was added yet")
        return self._last[1]

    def _converted(self, rgba: Rgba) -> av.VideoFrame:
        right, bottom = self.width_px - rgba.shape[1], self.height_px - rgba.shape[0]
        if not (0 <= right <= 1 and 0 <= bottom <= 1):
            raise ValueError(f"a frame of {rgba.shape[1]}x{rgba.shape[0]} px in a video of another size")
        if right or bottom:
            rgba = np.pad(rgba, ((0, bottom), (0, right), (0, 0)), mode="edge")
        return _as_yuv(rgba)

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
    except MemoryError:  # one of FFmpeg's errors is one
        raise
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


class MovingPair:
    """Puts frames beside the still in the colours of the video: nothing is converted twice."""

    def __init__(self, pair: Pair) -> None:
        self.size_px = pair.size_px
        self._frame_size_px = pair.frame_size_px
        self._left, self._top = round(pair.frame_box.left), round(pair.frame_box.top)
        self._background = _packed(_as_yuv(pair.background))
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None

    def frame(self, right: av.VideoFrame) -> av.VideoFrame:
        """The very same frame in gives the very same frame out."""
        if self._last is None or self._last[0] is not right:
            width, height = self._frame_size_px
            small = _packed(right.reformat(width=width, height=height, interpolation="BILINEAR"))
            both = self._background.copy()
            targets = _planes(both, *self.size_px)
            for number, (target, source) in enumerate(zip(targets, _planes(small, width, height), strict=True)):
                share = 1 if number == 0 else 2
                left, top = self._left // share, self._top // share
                target[top : top + source.shape[0], left : left + source.shape[1]] = source
            combined = av.VideoFrame.from_ndarray(both, format="yuv420p")
            combined.colorspace, combined.color_range = right.colorspace, right.color_range
            self._last = (right, combined)
        return self._last[1]


def _as_yuv(rgba: Rgba) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def _packed(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return cast(NDArray[np.uint8], frame.to_ndarray())


def _planes(yuv: NDArray[np.uint8], width_px: int, height_px: int) -> tuple[NDArray[np.uint8], ...]:
    """Views of the three planes of a packed yuv420p array: brightness whole, colours at half size."""
    flat = yuv.reshape(-1)
    whole, half = width_px * height_px, (width_px // 2) * (height_px // 2)
    return (
        flat[:whole].reshape(height_px, width_px),
        flat[whole : whole + half].reshape(height_px // 2, width_px // 2),
        flat[whole + half : whole + 2 * half].reshape(height_px // 2, width_px // 2),
    )
