"""The effects that are drawn; every other one is noted by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import skia

from rendering.drawing.values import OverTime, PropertyReader

# Effects that only hold values for expressions or for other tools.
_INVISIBLE_PREFIXES = ("ADBE Slider Control", "ADBE Angle Control", "ADBE Checkbox Control", "ADBE Color Control",
                       "ADBE Point Control", "ADBE Point3D Control", "ADBE Layer Control", "ADBE Dropdown Control",
                       "Pseudo/", "TMPL_Settings")  # fmt: skip
_SIGMA_PER_BLURRINESS = 0.3
_MAX_SIGMA_PX = 500.0

Filters = Callable[[float, skia.ImageFilter | None], skia.ImageFilter | None]


@dataclass(frozen=True)
class Effect:
    """``filters(time, input)`` puts the effect behind the image filter that came before."""

    values: tuple[OverTime, ...]
    filters: Filters


class Effects:
    """The drawn effects of one layer, first to last."""

    def __init__(self, effects: tuple[Effect, ...]) -> None:
        self._effects = effects
        self.animated = any(value.animated for effect in effects for value in effect.values)

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return tuple(value.at(time_seconds) for effect in self._effects for value in effect.values)

    def image_filter(self, time_seconds: float) -> skia.ImageFilter | None:
        chained: skia.ImageFilter | None = None
        for effect in self._effects:
            chained = effect.filters(time_seconds, chained)
        return chained


def read_effects(layer: Any, reader: PropertyReader) -> Effects | None:
    """None for a layer without an effect that is drawn."""
    group = layer.effects
    if group is None or not getattr(layer, "effects_active", True):
        return None
    drawn: list[Effect] = []
    for effect in group.properties:
        match_name = str(effect.match_name)
        if not effect.enabled or match_name.startswith(_INVISIBLE_PREFIXES):
            continue
        read = _READERS.get(match_name)
        if read is None:
            reader.notes.add(
                "effect_not_drawn", reader.subject, f'The effect "{effect.name}" ({match_name}) is not drawn.'
            )
            continue
        drawn.append(read(effect, PropertyReader(f"{reader.subject} / {effect.name}", reader.notes)))
    return Effects(tuple(drawn)) if drawn else None


def _fill(effect: Any, reader: PropertyReader) -> Effect:
    color = reader.numbers(effect, "ADBE Fill-0002", (1.0, 0.0, 0.0, 1.0))
    opacity = reader.number(effect, "ADBE Fill-0005", 1.0)

    def filters(time_seconds: float, previous: skia.ImageFilter | None) -> skia.ImageFilter:
        red, green, blue = color.at(time_seconds)[:3]
        paint_color = skia.Color4f(red, green, blue, _clamped(opacity.at(time_seconds))).toColor()
        return skia.ImageFilters.ColorFilter(skia.ColorFilters.Blend(paint_color, skia.BlendMode.kSrcATop), previous)

    return Effect((color, opacity), filters)


def _tint(effect: Any, reader: PropertyReader) -> Effect:
    black = reader.numbers(effect, "ADBE Tint-0001", (0.0, 0.0, 0.0, 1.0))
    white = reader.numbers(effect, "ADBE Tint-0002", (1.0, 1.0, 1.0, 1.0))
    amount = reader.number(effect, "ADBE Tint-0003", 100.0)

    def filters(time_seconds: float, previous: skia.ImageFilter | None) -> skia.ImageFilter:
        share = _clamped(amount.at(time_seconds) / 100)
        rows: list[float] = []
        for channel in range(3):
            dark, light = black.at(time_seconds)[channel], white.at(time_seconds)[channel]
            row = [(light - dark) * share * weight for weight in (0.299, 0.587, 0.114)]
            row[channel] += 1 - share
            rows += [*row, 0.0, dark * share]
        matrix = [*rows, 0.0, 0.0, 0.0, 1.0, 0.0]
        return skia.ImageFilters.ColorFilter(skia.ColorFilters.Matrix(matrix), previous)

    return Effect((black, white, amount), filters)


def _invert(effect: Any, reader: PropertyReader) -> Effect:
    def filters(time_seconds: float, previous: skia.ImageFilter | None) -> skia.ImageFilter:
        matrix = [-1, 0, 0, 0, 1, 0, -1, 0, 0, 1, 0, 0, -1, 0, 1, 0, 0, 0, 1, 0]
        return skia.ImageFilters.ColorFilter(skia.ColorFilters.Matrix([float(part) for part in matrix]), previous)

    channel = reader.number(effect, "ADBE Invert-0001", 1.0)
    blend = reader.number(effect, "ADBE Invert-0002", 0.0)
    if channel.animated or channel.at(0.0) != 1.0 or blend.animated or blend.at(0.0):
        reader.notes.add("effect_approximated", reader.subject, "Invert is drawn in full, on all three channels.")
    return Effect((), filters)


def _drop_shadow(effect: Any, reader: PropertyReader) -> Effect:
    color = reader.numbers(effect, "ADBE Drop Shadow-0001", (0.0, 0.0, 0.0, 1.0))
    opacity = reader.number(effect, "ADBE Drop Shadow-0002", 127.5)
    direction = reader.number(effect, "ADBE Drop Shadow-0003", 135.0)
    distance = reader.number(effect, "ADBE Drop Shadow-0004", 5.0)
    softness = reader.number(effect, "ADBE Drop Shadow-0005", 0.0)
    only = reader.number(effect, "ADBE Drop Shadow-0006", 0.0)

    def filters(time_seconds: float, previous: skia.ImageFilter | None) -> skia.ImageFilter:
        angle = math.radians(direction.at(time_seconds) - 90)
        reach = distance.at(time_seconds)
        sigma = min(max(softness.at(time_seconds) / 4, 0.0), _MAX_SIGMA_PX)
        red, green, blue = color.at(time_seconds)[:3]
        shade = skia.Color4f(red, green, blue, _clamped(opacity.at(time_seconds) / 255)).toColor()
        make = skia.ImageFilters.DropShadowOnly if only.at(time_seconds) else skia.ImageFilters.DropShadow
        return make(reach * math.cos(angle), reach * math.sin(angle), sigma, sigma, shade, previous)

    return Effect((color, opacity, direction, distance, softness, only), filters)


def _blur(blurriness_name: str, dimensions_name: str, repeat_name: str | None) -> Callable[..., Effect]:
    def read(effect: Any, reader: PropertyReader) -> Effect:
        blurriness = reader.number(effect, blurriness_name, 0.0)
        return _blur_effect(effect, reader, (blurriness,), dimensions_name, repeat_name)

    return read


def _box_blur(effect: Any, reader: PropertyReader) -> Effect:
    radius = reader.number(effect, "ADBE Box Blur2-0001", 0.0)
    iterations = reader.number(effect, "ADBE Box Blur2-0002", 3.0)
    return _blur_effect(effect, reader, (radius, iterations), "ADBE Box Blur2-0003", "ADBE Box Blur2-0004")


def _blur_effect(
    effect: Any,
    reader: PropertyReader,
    strength: tuple[OverTime, ...],
    dimensions_name: str,
    repeat_name: str | None,
) -> Effect:
    dimensions = reader.number(effect, dimensions_name, 1.0)
    repeat = reader.number(effect, repeat_name or "", 0.0)

    def filters(time_seconds: float, previous: skia.ImageFilter | None) -> skia.ImageFilter | None:
        sigma = min(_sigma_px(*(value.at(time_seconds) for value in strength)), _MAX_SIGMA_PX)
        if sigma <= 0:
            return previous
        which = dimensions.at(time_seconds)
        tile = skia.TileMode.kClamp if repeat.at(time_seconds) else skia.TileMode.kDecal
        return skia.ImageFilters.Blur(0.0 if which == 3 else sigma, 0.0 if which == 2 else sigma, tile, previous)

    return Effect((*strength, dimensions, repeat), filters)


def _sigma_px(amount: float, iterations: float | None = None) -> float:
    if iterations is None:
        return max(0.0, amount) * _SIGMA_PER_BLURRINESS
    return math.sqrt(max(0.0, iterations * ((2 * amount + 1) ** 2 - 1) / 12))


def _clamped(share: float) -> float:
    return min(max(share, 0.0), 1.0)


_READERS: dict[str, Callable[[Any, PropertyReader], Effect]] = {
    "ADBE Fill": _fill,
    "ADBE Tint": _tint,
    "ADBE Invert": _invert,
    "ADBE Drop Shadow": _drop_shadow,
    "ADBE Gaussian Blur": _blur("ADBE Gaussian Blur-0001", "ADBE Gaussian Blur-0002", None),
    "ADBE Gaussian Blur 2": _blur(
        "ADBE Gaussian Blur 2-0001", "ADBE Gaussian Blur 2-0002", "ADBE Gaussian Blur 2-0003"
    ),
    "ADBE Fast Blur": _blur("ADBE Fast Blur-0001", "ADBE Fast Blur-0002", "ADBE Fast Blur-0003"),
    "ADBE Box Blur2": _box_blur,
}
