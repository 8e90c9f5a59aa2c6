"""The pixels of solids and footage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import skia
from PIL import Image

from rendering.drawing.movies import MOVIE_SUFFIXES, Movie, open_movie
from rendering.drawing.notes import NoteBook
from rendering.drawing.values import OverTime
from rendering.errors import is_the_machines

MAX_STILL_PIXELS = 120_000_000
STILL_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "TGA")
# Between the mip levels Skia's fast path does not blend: 3 ms instead of 11 for a full frame.
_SMOOTH = skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kNearest)


class Solid:
    """A rectangle of one colour (parts 0..1)."""

    single = True
    animated = False

    def __init__(self, color: tuple[float, float, float], width_px: float, height_px: float) -> None:
        self._color = color
        self._box = skia.Rect.MakeWH(width_px, height_px)

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return ()

    def bounds(self, time_seconds: float) -> skia.Rect | None:
        return self._box

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        painted = skia.Paint(paint)
        painted.setColor4f(skia.Color4f(*self._color, paint.getAlphaf()))
        painted.setAntiAlias(True)
        canvas.drawRect(self._box, painted)


class Still:
    """An image, drawn as large as its item says whatever the file's own size."""

    single = True
    animated = False

    def __init__(self, image: skia.Image, width_px: float, height_px: float) -> None:
        self._image = image
        self._box = skia.Rect.MakeWH(width_px, height_px)

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return ()

    def bounds(self, time_seconds: float) -> skia.Rect | None:
        return self._box

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        draw_image(canvas, self._image, self._box, paint)


class Video:
    """The frames of a video file over the layer's source time."""

    single = True
    animated = True

    def __init__(self, movie: Movie, width_px: float, height_px: float, source_time: OverTime) -> None:
        self._movie = movie
        self._box = skia.Rect.MakeWH(width_px, height_px)
        self._source_time = source_time
        self._shown = -1
        self._image: skia.Image | None = None

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return (self._movie.index_at(self._source_time.at(time_seconds)),)

    def bounds(self, time_seconds: float) -> skia.Rect | None:
        return self._box

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        index = self._movie.index_at(self._source_time.at(time_seconds))
        if index != self._shown:
            frame = self._movie.frame(index)
            self._image = image_from_rgba(frame) if frame is not None else None
            self._shown = index
        if self._image is not None:
            draw_image(canvas, self._image, self._box, paint)


def draw_image(canvas: skia.Canvas, image: skia.Image, box: skia.Rect, paint: skia.Paint) -> None:
    painted = skia.Paint(paint)
    painted.setAntiAlias(True)
    canvas.drawImageRect(image, box, _SMOOTH, painted)


def image_from_rgba(rgba: np.ndarray[Any, np.dtype[np.uint8]]) -> skia.Image:
    """A premultiplied copy of straight RGBA pixels, uint8 (height, width, 4)."""
    straight = skia.Image.fromarray(
        np.ascontiguousarray(rgba), skia.ColorType.kRGBA_8888_ColorType, skia.AlphaType.kUnpremul_AlphaType
    )
    surface = skia.Surface(rgba.shape[1], rgba.shape[0])
    surface.getCanvas().drawImage(straight, 0, 0)
    return surface.makeImageSnapshot()


class SourceLibrary:
    """Reads every file once. Only paths that the caller gave are ever opened."""

    def __init__(self, notes: NoteBook) -> None:
        self._notes = notes
        self._stills: dict[Path, skia.Image | None] = {}

    def content(
        self, path: Path, *, subject: str, width_px: float, height_px: float, source_time: OverTime
    ) -> Still | Video | None:
        """None, and a note, for a file that cannot be read."""
        if path.suffix.lower() in MOVIE_SUFFIXES:
            movie = open_movie(path)
            if movie is not None:
                return Video(movie, width_px, height_px, source_time)
        else:
            image = self.still(path)
            if image is not None:
                return Still(image, width_px, height_px)
        self._notes.add("footage_unreadable", subject, f'"{path.name}" cannot be read; the layer is left transparent.')
        return None

    def still(self, path: Path) -> skia.Image | None:
        if path not in self._stills:
            self._stills[path] = _read_still(path)
        return self._stills[path]


def _read_still(path: Path) -> skia.Image | None:
    try:
        with Image.open(path, formats=STILL_FORMATS) as image:
            if image.width * image.height > MAX_STILL_PIXELS:
                return None
            return image_from_rgba(np.asarray(image.convert("RGBA")))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if is_the_machines(error):
            raise
        # Pillow reports broken files with all of these.
        return None
