"""Animates layers of the sample templates with keyframes and easing."""

from __future__ import annotations

from collections.abc import Sequence

import py_aep
from py_aep import KeyframeEase, KeyframeInterpolationType

POSITION, SCALE, OPACITY, ROTATION = "ADBE Position", "ADBE Scale", "ADBE Opacity", "ADBE Rotate Z"
# Influence in percent: a firm start, a long soft landing.
LEAVE_PERCENT, ARRIVE_PERCENT = 30.0, 78.0

Point = tuple[float, float]


def leaf(group: py_aep.PropertyGroup, match_name: str) -> py_aep.Property:
    """A property that holds a value."""
    found = group.property(match_name)
    assert isinstance(found, py_aep.Property), match_name
    return found


def place_of(layer: py_aep.Layer) -> Point:
    """The layer's position while it has no keyframes, px."""
    value = leaf(layer.transform, POSITION).value
    assert isinstance(value, list)
    return value[0], value[1]


def on_frame(layer: py_aep.Layer, seconds: float) -> float:
    """The nearest frame's time, as people set keyframes."""
    rate = layer.containing_comp.frame_rate
    return round(seconds * rate) / rate


def slide_in(layer: py_aep.Layer, *, start: float, seconds: float, by: Point) -> None:
    """Comes from ``by`` px beside its place."""
    place = place_of(layer)
    away = [place[0] + by[0], place[1] + by[1], 0.0]
    _key(layer, POSITION, [(start, away), (start + seconds, [*place, 0.0])])


def slide_in_and_out(layer: py_aep.Layer, *, start: float, seconds: float, end: float, by: Point) -> None:
    """Comes from ``by`` px beside its place and is gone the same way at ``end``."""
    place = place_of(layer)
    away = [place[0] + by[0], place[1] + by[1], 0.0]
    keys = [(start, away), (start + seconds, [*place, 0.0]), (end - seconds, [*place, 0.0]), (end, away)]
    _key(layer, POSITION, keys)


def fade_in(layer: py_aep.Layer, *, start: float, seconds: float) -> None:
    _key(layer, OPACITY, [(start, 0.0), (start + seconds, 100.0)])
    layer.in_point = on_frame(layer, start)


def fade_in_and_out(layer: py_aep.Layer, *, start: float, seconds: float, end: float) -> None:
    _key(layer, OPACITY, [(start, 0.0), (start + seconds, 100.0), (end - seconds, 100.0), (end, 0.0)])
    layer.in_point, layer.out_point = on_frame(layer, start), on_frame(layer, end)


def pop_in(layer: py_aep.Layer, *, start: float, seconds: float, overshoot_percent: float = 8.0) -> None:
    """Grows from nothing, a little too far, and settles."""
    peak = 100.0 + overshoot_percent
    _key_scale(layer, [(start, 0.0), (start + seconds * 0.7, peak), (start + seconds, 100.0)])
    layer.in_point = on_frame(layer, start)


def pulse(layer: py_aep.Layer, *, times: Sequence[float], percent: float) -> None:
    """Swells for 0.4 s at each moment; for layers whose scale has keys already."""
    for moment in times:
        _key_scale(layer, [(moment, 100.0), (moment + 0.2, 100.0 + percent), (moment + 0.4, 100.0)])


def grow_across(layer: py_aep.Layer, *, start: float, seconds: float) -> None:
    """Widens from nothing to its whole width, away from its anchor."""
    _key(layer, SCALE, [(start, [0.0, 100.0, 100.0]), (start + seconds, [100.0, 100.0, 100.0])])
    layer.in_point = on_frame(layer, start)


def zoom(layer: py_aep.Layer, *, seconds: float, from_percent: float, to_percent: float) -> None:
    """A slow, even push over the whole shot."""
    _key_scale(layer, [(0.0, from_percent), (seconds, to_percent)])


def drift(layer: py_aep.Layer, *, start: float, end: float, by: Point, turns: int) -> None:
    """Floats ``turns`` times from its place to ``by`` px beside it and back."""
    place = place_of(layer)
    step = (end - start) / (2 * turns)
    keys = []
    for number in range(2 * turns + 1):
        share = number % 2
        keys.append((start + number * step, [place[0] + by[0] * share, place[1] + by[1] * share, 0.0]))
    _key(layer, POSITION, keys)


def _key_scale(layer: py_aep.Layer, keys: Sequence[tuple[float, float]]) -> None:
    _key(layer, SCALE, [(time, [percent, percent, 100.0]) for time, percent in keys])


def _key(layer: py_aep.Layer, match_name: str, keys: Sequence[tuple[float, list[float] | float]]) -> None:
    target = leaf(layer.transform, match_name)
    for time, value in keys:
        target.set_value_at_time(on_frame(layer, time), value)
    for frame in target.keyframes:
        frame.in_interpolation_type = frame.out_interpolation_type = KeyframeInterpolationType.BEZIER
        # One ease for a path through space or a single value, one per axis for a scale.
        axes = len(frame.in_temporal_ease)
        frame.in_temporal_ease = [KeyframeEase(0.0, ARRIVE_PERCENT) for _ in range(axes)]
        frame.out_temporal_ease = [KeyframeEase(0.0, LEAVE_PERCENT) for _ in range(axes)]
