"""The lines of a shape layer's contents, and the transform that groups and repeaters share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import skia

from rendering.drawing.values import OverTime, PropertyReader

MAX_TIMES = 100.0

Painter = Callable[[skia.Canvas], None]


@dataclass
class Content:
    """What one group has come to so far: its paths, and what is painted, top first."""

    paths: list[skia.Path] = field(default_factory=list)
    painted: list[Painter] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """One line of a shape layer's contents. ``apply`` adds to the content of its group or changes it."""

    values: Sequence[OverTime]
    apply: Callable[[Content, float], None]


def read_transform(group: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.Matrix]]:
    """The values of a group's transform, and its matrix over time."""
    anchor = reader.numbers(group, "ADBE Vector Anchor", (0.0, 0.0))
    position = reader.numbers(group, "ADBE Vector Position", (0.0, 0.0))
    scale = reader.numbers(group, "ADBE Vector Scale", (100.0, 100.0))
    rotation = reader.number(group, "ADBE Vector Rotation", 0.0)
    skew = reader.number(group, "ADBE Vector Skew", 0.0)
    skew_axis = reader.number(group, "ADBE Vector Skew Axis", 0.0)

    def matrix_at(time_seconds: float) -> skia.Matrix:
        axis = skew_axis.at(time_seconds)
        matrix = skia.Matrix()
        matrix.setTranslate(*position.at(time_seconds)[:2])
        matrix.preRotate(rotation.at(time_seconds) - axis)
        matrix.preConcat(_shear(skew.at(time_seconds)))
        matrix.preRotate(axis)
        matrix.preScale(*(part / 100 for part in scale.at(time_seconds)[:2]))
        matrix.preTranslate(*(-part for part in anchor.at(time_seconds)[:2]))
        return matrix

    return [anchor, position, scale, rotation, skew, skew_axis], matrix_at


def read_repetition(group: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float, float], skia.Matrix]]:
    """The values of a repeater's transform, and the matrix of its n-th copy over time."""
    anchor = reader.numbers(group, "ADBE Vector Repeater Anchor", (0.0, 0.0))
    position = reader.numbers(group, "ADBE Vector Repeater Position", (100.0, 0.0))
    scale = reader.numbers(group, "ADBE Vector Repeater Scale", (100.0, 100.0))
    rotation = reader.number(group, "ADBE Vector Repeater Rotation", 0.0)

    def matrix_at(time_seconds: float, times: float) -> skia.Matrix:
        across, down = position.at(time_seconds)[:2]
        anchor_x, anchor_y = anchor.at(time_seconds)[:2]
        matrix = skia.Matrix()
        matrix.setTranslate(across * times + anchor_x, down * times + anchor_y)
        matrix.preRotate(rotation.at(time_seconds) * times)
        matrix.preScale(*(_power(part / 100, times) for part in scale.at(time_seconds)[:2]))
        matrix.preTranslate(-anchor_x, -anchor_y)
        return matrix

    return [anchor, position, scale, rotation], matrix_at


def painted_group(painted: Sequence[Painter], matrix: skia.Matrix, opacity: float) -> Painter:
    """All of them, in one transform and one opacity (0..1)."""

    def paint(canvas: skia.Canvas) -> None:
        canvas.save()
        canvas.concat(matrix)
        if opacity < 1:
            canvas.saveLayer(None, skia.Paint(Alphaf=max(opacity, 0.0)))
        for paint_one in reversed(painted):
            paint_one(canvas)
        if opacity < 1:
            canvas.restore()
        canvas.restore()

    return paint


def mapped(path: skia.Path, matrix: skia.Matrix) -> skia.Path:
    result = skia.Path()
    path.transform(matrix, result)
    return result


def joined(paths: Sequence[skia.Path]) -> skia.Path:
    result = skia.Path()
    for path in paths:
        result.addPath(path)
    return result


def _power(base: float, times: float) -> float:
    # A negative base has no real power for a part of a copy, and zero none for a copy before the first.
    if base < 0 and times == int(times):
        return math.copysign(_power(-base, times), -1 if int(times) % 2 else 1)
    return float(max(abs(base), 1e-6) ** min(max(times, -MAX_TIMES), MAX_TIMES))


def _shear(degrees: float) -> skia.Matrix:
    # After Effects allows 85 degrees either way; at 90 the tangent has no value.
    tangent = math.tan(math.radians(min(max(degrees, -89.0), 89.0)))
    return skia.Matrix.MakeAll(1, -tangent, 0, 0, 1, 0, 0, 0, 1)
