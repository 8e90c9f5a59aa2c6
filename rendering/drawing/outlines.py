"""The paths of shape layers: rectangle, ellipse, polystar, free path."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import skia

from rendering.drawing.paths import outline_path
from rendering.drawing.values import Outline, OverTime, PropertyReader

# Length of a Bezier handle that makes a quarter circle, as a share of the radius.
_QUARTER_CIRCLE = 4 / 3 * (math.sqrt(2) - 1)
_STAR = 1
_MAX_POINTS = 1000

PathReader = Callable[[Any, PropertyReader], tuple[list[OverTime], Callable[[float], skia.Path]]]


def _rectangle(entry: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.Path]]:
    size = reader.numbers(entry, "ADBE Vector Rect Size", (100.0, 100.0))
    center = reader.numbers(entry, "ADBE Vector Rect Position", (0.0, 0.0))
    roundness = reader.number(entry, "ADBE Vector Rect Roundness", 0.0)

    def build(time_seconds: float) -> skia.Path:
        box = _box(center.at(time_seconds), size.at(time_seconds))
        radius = min(max(roundness.at(time_seconds), 0.0), box.width() / 2, box.height() / 2)
        path = skia.Path()
        path.addRoundRect(box, radius, radius)
        return path

    return [size, center, roundness], build


def _ellipse(entry: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.Path]]:
    size = reader.numbers(entry, "ADBE Vector Ellipse Size", (100.0, 100.0))
    center = reader.numbers(entry, "ADBE Vector Ellipse Position", (0.0, 0.0))

    def build(time_seconds: float) -> skia.Path:
        path = skia.Path()
        path.addOval(_box(center.at(time_seconds), size.at(time_seconds)))
        return path

    return [size, center], build


def _polystar(entry: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.Path]]:
    kind = reader.number(entry, "ADBE Vector Star Type", 1.0)
    points = reader.number(entry, "ADBE Vector Star Points", 5.0)
    center = reader.numbers(entry, "ADBE Vector Star Position", (0.0, 0.0))
    rotation = reader.number(entry, "ADBE Vector Star Rotation", 0.0)
    # "Roundess" is how the format spells it.
    inner = (reader.number(entry, "ADBE Vector Star Inner Radius", 50.0),
             reader.number(entry, "ADBE Vector Star Inner Roundess", 0.0))  # fmt: skip
    outer = (reader.number(entry, "ADBE Vector Star Outer Radius", 100.0),
             reader.number(entry, "ADBE Vector Star Outer Roundess", 0.0))  # fmt: skip

    def build(time_seconds: float) -> skia.Path:
        rings = [tuple(value.at(time_seconds) for value in outer)]
        if kind.at(time_seconds) == _STAR:
            rings.append(tuple(value.at(time_seconds) for value in inner))
        corners = min(max(round(points.at(time_seconds)), 3), _MAX_POINTS)
        return _star_path(corners, rings, center.at(time_seconds), rotation.at(time_seconds))

    return [kind, points, center, rotation, *inner, *outer], build


def _star_path(
    corners: int, rings: list[tuple[float, ...]], center: tuple[float, ...], rotation_degrees: float
) -> skia.Path:
    handle = _QUARTER_CIRCLE * math.sin(math.pi / corners)
    count = corners * len(rings)
    vertices, before, after = [], [], []
    for index in range(count):
        radius, roundness_percent = rings[index % len(rings)]
        angle = math.radians(rotation_degrees - 90 + 360 * index / count)
        cosine, sine = math.cos(angle), math.sin(angle)
        reach = radius * roundness_percent / 100 * handle
        vertices.append((center[0] + radius * cosine, center[1] + radius * sine))
        before.append((sine * reach, -cosine * reach))
        after.append((-sine * reach, cosine * reach))
    return outline_path(Outline(tuple(vertices), tuple(before), tuple(after), True))


def _free_path(entry: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.Path]]:
    outline = reader.outline(entry, "ADBE Vector Shape")
    return [outline], lambda time_seconds: outline_path(outline.at(time_seconds))


def _box(center: tuple[float, ...], size: tuple[float, ...]) -> skia.Rect:
    width, height = abs(size[0]), abs(size[1])
    return skia.Rect.MakeXYWH(center[0] - width / 2, center[1] - height / 2, width, height)


PATH_READERS: dict[str, PathReader] = {
    "ADBE Vector Shape - Rect": _rectangle,
    "ADBE Vector Shape - Ellipse": _ellipse,
    "ADBE Vector Shape - Star": _polystar,
    "ADBE Vector Shape - Group": _free_path,
}
