"""Frames of footage that is a video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

MOVIE_SUFFIXES = frozenset({".mov", ".mp4", ".m4v", ".webm", ".mkv", ".avi", ".mxf", ".mpg", ".mpeg", ".wmv"})
MAX_FRAME_PIXELS = 40_000_000
# Reading on is cheaper than a jump, which decodes again from the key frame before.
_READ_ON_FRAMES = 48


class Movie:
    """One decoder that reads forwards and jumps back when it must."""

    def __init__(self, container: Any, rate: float, frame_count: int) -> None:
        self._container = container
        self._rate = rate
        self._frame_count = frame_count
        self._frames: Iterator[Any] = iter(())
        self._position = -1
        self._rgba: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def index_at(self, source_seconds: float) -> int:
        """The frame shown at that time; -1 outside of the video."""
        index = int(source_seconds * self._rate + 1e-6)
        return index if source_seconds >= 0 and index < self._frame_count else -1

    def frame(self, index: int) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
        """RGBA of that frame, None outside of the video; the last good frame where the file is broken."""
        if index < 0:
            return None
        if self._position < 0 or not self._position <= index <= self._position + _READ_ON_FRAMES:
            self._jump(index)
        try:
            while self._position < index:
                frame = next(self._frames)
                self._position = self._index_of(frame)
                if self._position >= index:
                    self._rgba = frame.to_ndarray(format="rgba")
        except MemoryError:  # one of FFmpeg's errors is one
            raise
        except (StopIteration, av.FFmpegError):
            self._position = index
        return self._rgba

    def _jump(self, index: int) -> None:
        stream = self._container.streams.video[0]
        self._container.seek(int(index / self._rate / stream.time_base), stream=stream)
        self._frames = self._container.decode(stream)
        self._position = -1

    def _index_of(self, frame: Any) -> int:
        return self._position + 1 if frame.time is None else round(frame.time * self._rate)


def open_movie(path: Path) -> Movie | None:
    """None for a file without pictures that FFmpeg can decode."""
    try:
        container = av.open(str(path), options={"protocol_whitelist": "file"})
    except MemoryError:
        raise
    except (av.FFmpegError, OSError, ValueError):
        return None
    if not container.streams.video:
        return None
    stream = container.streams.video[0]
    rate = float(stream.average_rate or stream.base_rate or 0)
    seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    if not rate or stream.width * stream.height > MAX_FRAME_PIXELS:
        return None
    return Movie(container, rate, stream.frames or round(seconds * rate))
