"""Compositions: their layers from the bottom up, and compositions as content of layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import skia

from rendering.drawing.layers import DrawnLayer
from rendering.drawing.sources import draw_image
from rendering.drawing.values import OverTime
from rendering.errors import FormatError

MAX_SURFACE_PIXELS = 50_000_000
MAX_DRAWS_PER_FRAME = 20_000
_KEPT_IMAGES = 3
_KEPT_SIGNATURES = 64

_numbers = itertools.count(1)


class Budget:
    """How much one frame may draw: compositions that nest each other again and again multiply."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name
        self._left = MAX_DRAWS_PER_FRAME

    def renew(self) -> None:
        self._left = MAX_DRAWS_PER_FRAME

    def spend(self, draws: int) -> None:
        self._left -= draws
        if self._left < 0:
            raise FormatError(
                self._file_name,
                f"one frame draws more than {MAX_DRAWS_PER_FRAME:,} layers.",
                "Pre-render the compositions that are nested most often.",
            )


class Composition:
    """``layers`` from the bottom up. Surfaces have the composition's size times ``scale``, in px."""

    def __init__(self, *, width_px: int, height_px: int, duration_seconds: float, scale: float, budget: Budget) -> None:
        self.width_px = width_px
        self.height_px = height_px
        self.duration_seconds = duration_seconds
        self.scale = surface_scale(width_px, height_px, scale)
        self.layers: Sequence[DrawnLayer] = ()
        self._budget = budget
        self._moments: dict[float, int] = {}
        self._signatures: dict[tuple[Any, ...], int] = {}
        self._images: dict[int, skia.Image] = {}
        self._base: tuple[tuple[Any, ...], skia.Image] | None = None
        self._last: tuple[Any, ...] = ()

    def shrunk(self, max_side_px: int) -> Composition:
        """The same layers on a smaller surface."""
        shrunk = Composition(
            width_px=self.width_px,
            height_px=self.height_px,
            duration_seconds=self.duration_seconds,
            scale=max_side_px / max(self.width_px, self.height_px),
            budget=self._budget,
        )
        shrunk.layers = self.layers
        return shrunk

    @property
    def animated(self) -> bool:
        return any(
            layer.animated or layer.start_seconds > 0 or layer.end_seconds < self.duration_seconds
            for layer in self.layers
        )

    @property
    def surface_size_px(self) -> tuple[int, int]:
        return (max(1, round(self.width_px * self.scale)), max(1, round(self.height_px * self.scale)))

    def signature(self, time_seconds: float) -> int:
        """The same number for moments that look the same, as far as it remembers."""
        number = self._moments.get(time_seconds)
        if number is None:
            self._budget.spend(len(self.layers))
            number = self._number(tuple(layer.signature(time_seconds) for layer in self.layers))
            _bound(self._moments, _KEPT_SIGNATURES)
            self._moments[time_seconds] = number
        return number

    def image(self, time_seconds: float) -> skia.Image:
        """All layers over transparency."""
        number = self.signature(time_seconds)
        image = self._images.get(number)
        if image is None:
            surface = skia.Surface(*self.surface_size_px)
            self.draw_on(surface, time_seconds)
            image = surface.makeImageSnapshot()
            _bound(self._images, _KEPT_IMAGES)
            self._images[number] = image
        return image

    def draw_on(self, surface: skia.Surface, time_seconds: float) -> None:
        """Draws over the surface; the lowest layers, where they stay as they were, are drawn once for many frames."""
        signatures = tuple(layer.signature(time_seconds) for layer in self.layers)
        pairs = zip(signatures, self._last, strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._last = signatures
        canvas = surface.getCanvas()
        canvas.save()
        width_px, height_px = self.surface_size_px
        canvas.scale(width_px / self.width_px, height_px / self.height_px)
        first = 0
        if self._base is not None and self._base[0] == signatures[: len(self._base[0])]:
            first = len(self._base[0])
            _draw_base(canvas, self._base[1])
        elif 0 < same < len(signatures):
            self._draw_range(canvas, surface, time_seconds, 0, same)
            first = same
            self._base = (signatures[:same], surface.makeImageSnapshot())
        self._draw_range(canvas, surface, time_seconds, first, len(self.layers))
        canvas.restore()

    def draw_collapsed(self, canvas: skia.Canvas, time_seconds: float) -> None:
        """Draws the layers one by one into the canvas, as if they were the outer composition's own."""
        self._draw_range(canvas, None, time_seconds, 0, len(self.layers))

    def _draw_range(
        self, canvas: skia.Canvas, surface: skia.Surface | None, time_seconds: float, first: int, last: int
    ) -> None:
        self._budget.spend(last - first)
        for layer in self.layers[first:last]:
            layer.draw(canvas, surface, time_seconds)

    def _number(self, signature: tuple[Any, ...]) -> int:
        number = self._signatures.get(signature)
        if number is None:
            number = next(_numbers)
            _bound(self._signatures, _KEPT_SIGNATURES)
            self._signatures[signature] = number
        return number


class Nested:
    """A composition as the content of a layer: its own picture, or its layers one by one when collapsed."""

    def __init__(self, composition: Composition, source_time: OverTime, *, collapsed: bool) -> None:
        self._composition = composition
        self._source_time = source_time
        self._collapsed = collapsed
        self._box = skia.Rect.MakeWH(composition.width_px, composition.height_px)
        self.single = not collapsed
        self.animated = composition.animated

    def signature(self, time_seconds: float) -> Any:
        moment = self._source_time.at(time_seconds)
        return self._composition.signature(moment) if self._shows(moment) else None

    def bounds(self, time_seconds: float) -> skia.Rect | None:
        return None if self._collapsed else self._box

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        moment = self._source_time.at(time_seconds)
        if not self._shows(moment):
            return
        if self._collapsed:
            self._composition.draw_collapsed(canvas, moment)
        else:
            draw_image(canvas, self._composition.image(moment), self._box, paint)

    def _shows(self, moment: float) -> bool:
        return -1e-5 <= moment < self._composition.duration_seconds + 1e-5


def surface_scale(width_px: int, height_px: int, scale: float) -> float:
    """The scale, or the largest one that keeps the surface within ``MAX_SURFACE_PIXELS``."""
    return min(scale, math.sqrt(MAX_SURFACE_PIXELS / max(1, width_px * height_px)))


def _draw_base(canvas: skia.Canvas, image: skia.Image) -> None:
    canvas.save()
    canvas.resetMatrix()
    canvas.drawImage(image, 0, 0, skia.SamplingOptions(), skia.Paint(BlendMode=skia.BlendMode.kSrc))
    canvas.restore()


def _bound(cache: dict[Any, Any], limit: int) -> None:
    while len(cache) >= limit:
        cache.pop(next(iter(cache)))
