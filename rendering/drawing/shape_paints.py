"""Fills and strokes of shape layers, plain and with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import skia

from rendering.drawing.gradients import Gradient, gradient_shader, read_gradient
from rendering.drawing.shape_items import Content, Item, joined
from rendering.drawing.values import OverTime, PropertyReader, child

_EVEN_ODD = 2
_JOINS = {1: skia.Paint.kMiter_Join, 2: skia.Paint.kRound_Join, 3: skia.Paint.kBevel_Join}
_CAPS = {1: skia.Paint.kButt_Cap, 2: skia.Paint.kRound_Cap, 3: skia.Paint.kSquare_Cap}
_DASHES = ("ADBE Vector Stroke Dash 1", "ADBE Vector Stroke Gap 1", "ADBE Vector Stroke Dash 2",
           "ADBE Vector Stroke Gap 2", "ADBE Vector Stroke Dash 3", "ADBE Vector Stroke Gap 3")  # fmt: skip

Paints = Callable[[float], skia.Paint]


def note_blend_mode(entry: Any, reader: PropertyReader) -> None:
    mode = reader.number(entry, "ADBE Vector Blend Mode", 1.0)
    if mode.at(0.0) != 1.0:
        reader.notes.add(
            "blend_mode_approximated", f"{reader.subject} / {entry.name}", "Its blending mode is drawn as normal."
        )


def _color(entry: Any, reader: PropertyReader, kind: str) -> tuple[list[OverTime], Paints]:
    color = reader.numbers(entry, f"ADBE Vector {kind} Color", (1.0, 1.0, 1.0, 1.0))
    opacity = reader.number(entry, f"ADBE Vector {kind} Opacity", 100.0)

    def paint_at(time_seconds: float) -> skia.Paint:
        red, green, blue = color.at(time_seconds)[:3]
        return skia.Paint(Color4f=skia.Color4f(red, green, blue, _share(opacity.at(time_seconds))))

    return [color, opacity], paint_at


def _gradient(entry: Any, reader: PropertyReader, kind: str) -> tuple[list[OverTime], Paints]:
    gradient = reader.value(entry, "ADBE Vector Grad Colors", Gradient(), read_gradient)
    gradient_kind = reader.number(entry, "ADBE Vector Grad Type", 1.0)
    start = reader.numbers(entry, "ADBE Vector Grad Start Pt", (0.0, 0.0))
    end = reader.numbers(entry, "ADBE Vector Grad End Pt", (100.0, 0.0))
    highlight = reader.number(entry, "ADBE Vector Grad HiLite Length", 0.0)
    opacity = reader.number(entry, f"ADBE Vector {kind} Opacity", 100.0)
    if highlight.animated or highlight.at(0.0):
        reader.notes.add("shape_approximated", f"{reader.subject} / {entry.name}", "The highlight is not drawn.")

    def paint_at(time_seconds: float) -> skia.Paint:
        shader = gradient_shader(
            gradient.at(time_seconds),
            gradient_kind.at(time_seconds),
            start.at(time_seconds),
            end.at(time_seconds),
            _share(opacity.at(time_seconds)),
        )
        return skia.Paint(Shader=shader) if shader is not None else skia.Paint(Alpha=0)

    return [gradient, gradient_kind, start, end, opacity], paint_at


def _fill(values: list[OverTime], paint_at: Paints, entry: Any, reader: PropertyReader) -> Item:
    rule = reader.number(entry, "ADBE Vector Fill Rule", 1.0)
    note_blend_mode(entry, reader)

    def apply(content: Content, time_seconds: float) -> None:
        path = joined(content.paths)
        even_odd = rule.at(time_seconds) == _EVEN_ODD
        path.setFillType(skia.PathFillType.kEvenOdd if even_odd else skia.PathFillType.kWinding)
        paint = paint_at(time_seconds)
        paint.setAntiAlias(True)
        content.painted.append(lambda canvas: canvas.drawPath(path, paint))

    return Item([*values, rule], apply)


def _stroke(values: list[OverTime], paint_at: Paints, entry: Any, reader: PropertyReader) -> Item:
    width = reader.number(entry, "ADBE Vector Stroke Width", 1.0)
    cap = reader.number(entry, "ADBE Vector Stroke Line Cap", 1.0)
    join = reader.number(entry, "ADBE Vector Stroke Line Join", 1.0)
    miter = reader.number(entry, "ADBE Vector Stroke Miter Limit", 4.0)
    dash_values, dash_at = _dashes(entry, reader)
    note_blend_mode(entry, reader)
    _note_taper(entry, reader)

    def apply(content: Content, time_seconds: float) -> None:
        if width.at(time_seconds) <= 0:
            return
        path = joined(content.paths)
        paint = paint_at(time_seconds)
        paint.setAntiAlias(True)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width.at(time_seconds))
        paint.setStrokeCap(_CAPS.get(int(cap.at(time_seconds)), skia.Paint.kButt_Cap))
        paint.setStrokeJoin(_JOINS.get(int(join.at(time_seconds)), skia.Paint.kMiter_Join))
        paint.setStrokeMiter(max(miter.at(time_seconds), 1.0))
        dashes = dash_at(time_seconds)
        if dashes is not None:
            paint.setPathEffect(dashes)
        content.painted.append(lambda canvas: canvas.drawPath(path, paint))

    return Item([*values, width, cap, join, miter, *dash_values], apply)


def _dashes(entry: Any, reader: PropertyReader) -> tuple[list[OverTime], Callable[[float], skia.PathEffect | None]]:
    group = child(entry, "ADBE Vector Stroke Dashes")
    # py-aep lists all six lengths with their defaults; only those that the file stores make dashes.
    stored = (prop for prop in (group.properties if group is not None else ()) if prop._is_live())
    present = {str(prop.match_name) for prop in stored}
    lengths = [reader.number(group, name, 0.0) for name in _DASHES if name in present]
    offset = reader.number(group, "ADBE Vector Stroke Offset", 0.0)

    def effect_at(time_seconds: float) -> skia.PathEffect | None:
        intervals = [max(length.at(time_seconds), 0.0) for length in lengths]
        if len(intervals) % 2:
            intervals.append(intervals[-1])
        if not intervals or sum(intervals) < 0.1:
            return None
        return skia.DashPathEffect.Make(intervals, offset.at(time_seconds))

    return [*lengths, offset], effect_at


def _note_taper(entry: Any, reader: PropertyReader) -> None:
    taper = child(entry, "ADBE Vector Stroke Taper")
    wave = child(entry, "ADBE Vector Stroke Wave")
    reach = (
        reader.number(taper, "ADBE Vector Taper Start Length", 0.0),
        reader.number(taper, "ADBE Vector Taper End Length", 0.0),
        reader.number(wave, "ADBE Vector Taper Wave Amount", 0.0),
    )
    if any(value.animated or value.at(0.0) for value in reach):
        reader.notes.add(
            "shape_approximated", f"{reader.subject} / {entry.name}", "The stroke's taper and wave are not drawn."
        )


def _share(percent: float) -> float:
    return min(max(percent / 100, 0.0), 1.0)


PAINT_READERS: dict[str, Callable[[Any, PropertyReader], Item]] = {
    "ADBE Vector Graphic - Fill": lambda entry, reader: _fill(*_color(entry, reader, "Fill"), entry, reader),
    "ADBE Vector Graphic - Stroke": lambda entry, reader: _stroke(*_color(entry, reader, "Stroke"), entry, reader),
    "ADBE Vector Graphic - G-Fill": lambda entry, reader: _fill(*_gradient(entry, reader, "Fill"), entry, reader),
    "ADBE Vector Graphic - G-Stroke": lambda entry, reader: _stroke(*_gradient(entry, reader, "Stroke"), entry, reader),
}
