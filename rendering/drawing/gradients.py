"""Gradients of shape layers as Skia shaders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import skia

_RADIAL = 2

Row = tuple[tuple[float, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Gradient:
    """Two rows of stops, each (offset 0..1, parts 0..1), by offset: colours (red, green, blue) and alphas."""

    colors: Row = ()
    alphas: Row = ()


def read_gradient(gradient: Any) -> Gradient:
    colors = ((float(stop.offset), tuple(map(float, stop.color[:3]))) for stop in getattr(gradient, "color_stops", ()))
    alphas = ((float(stop.offset), (float(stop.alpha),)) for stop in getattr(gradient, "alpha_stops", ()))
    return Gradient(tuple(sorted(colors)), tuple(sorted(alphas)))


def gradient_shader(
    gradient: Gradient, kind: float, start: tuple[float, ...], end: tuple[float, ...], opacity: float
) -> skia.Shader | None:
    """None where the gradient has no colours. ``opacity`` is 0..1, points are in px."""
    if not gradient.colors:
        return None
    colors, positions = _stops(gradient, opacity)
    first, last = skia.Point(*start[:2]), skia.Point(*end[:2])
    if kind == _RADIAL:
        radius = max(math.hypot(end[0] - start[0], end[1] - start[1]), 0.01)
        return skia.GradientShader.MakeRadial(first, radius, colors, positions)
    return skia.GradientShader.MakeLinear([first, last], colors, positions)


def _stops(gradient: Gradient, opacity: float) -> tuple[list[int], list[float]]:
    positions = sorted({offset for offset, _ in (*gradient.colors, *gradient.alphas)})
    colors = []
    for position in positions:
        alpha = _between(gradient.alphas, position)[0] if gradient.alphas else 1.0
        colors.append(skia.Color4f(*_between(gradient.colors, position), alpha * opacity).toColor())
    return colors, positions


def _between(row: Row, position: float) -> tuple[float, ...]:
    before = row[0]
    for stop in row:
        if stop[0] >= position:
            span = stop[0] - before[0]
            share = (position - before[0]) / span if span > 0 else 1.0
            return tuple(a + (b - a) * share for a, b in zip(before[1], stop[1], strict=True))
        before = stop
    return before[1]
