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
        return _rectangle_path(center.at(time_seconds), size.at(time_seconds), roundness.at(time_seconds))

    return [size, center, roundness], build


def _ellipse(entry: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.Path]]:
    size = reader.numbers(entry, "ADBE Vector Ellipse Size", (100.0, 100.0))
    center = reader.numbers(entry, "ADBE Vector Ellipse Position", (0.0, 0.0))

    def build(time_seconds: float) -> skia.Path:
        (x, y), (across, down) = center.at(time_seconds)[:2], (part / 2 for part in size.at(time_seconds)[:2])
        bow_x, bow_y = across * _QUARTER_CIRCLE, down * _QUARTER_CIRCLE
        vertices = ((x, y - down), (x + across, y), (x, y + down), (x - across, y))
        outward = ((bow_x, 0.0), (0.0, bow_y), (-bow_x, 0.0), (0.0, -bow_y))
        inward = ((-bow_x, 0.0), (0.0, -bow_y), (bow_x, 0.0), (0.0, bow_y))
        return outline_path(Outline(vertices, inward, outward, True))

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


def _rectangle_path(center: tuple[float, ...], size: tuple[float, ...], roundness: float) -> skia.Path:
    """Clockwise from the top right corner, as After Effects draws it: trimming depends on where a path starts."""
    across, down = abs(size[0]) / 2, abs(size[1]) / 2
    radius = min(max(roundness, 0.0), across, down)
    x, y = center[:2]
    corners = ((x + across, y - down), (x + across, y + down), (x - across, y + down), (x - across, y - down))
    still = ((0.0, 0.0),) * 4
    if not radius:
        return outline_path(Outline(corners, still, still, True))
    # The sides' directions: down, left, up, right. Each corner becomes the end of one side and the start of the next.
    steps = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0))
    bow = radius * _QUARTER_CIRCLE
    vertices, inward, outward = [], [], []
    for index, (corner_x, corner_y) in enumerate(corners):
        (from_x, from_y), (to_x, to_y) = steps[index - 1], steps[index]
        vertices += [
            (corner_x - from_x * radius, corner_y - from_y * radius),
            (corner_x + to_x * radius, corner_y + to_y * radius),
        ]
        inward += [(0.0, 0.0), (-to_x * bow, -to_y * bow)]
        outward += [(from_x * bow, from_y * bow), (0.0, 0.0)]
    # The path starts where the right side starts.
    order = [*range(1, 8), 0]
    return outline_path(
        Outline(
            tuple(vertices[place] for place in order),
            tuple(inward[place] for place in order),
            tuple(outward[place] for place in order),
            True,
        )
    )


PATH_READERS: dict[str, PathReader] = {
    "ADBE Vector Shape - Rect": _rectangle,
    "ADBE Vector Shape - Ellipse": _ellipse,
    "ADBE Vector Shape - Star": _polystar,
    "ADBE Vector Shape - Group": _free_path,
}
