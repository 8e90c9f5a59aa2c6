"""Property values over time: a static one is read once, an animated one once for every moment.

After Effects' interpolation (hold, linear, Bezier, spatial paths, separated dimensions) is py-aep's work. Reading is
slow beside drawing, hence the caches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rendering.drawing.notes import NoteBook


class OverTime(Protocol):
    """Anything with a value at a comp time in seconds; ``animated`` is False when the value never changes."""

    animated: bool

    def at(self, time_seconds: float) -> Any: ...


@dataclass(frozen=True)
class Outline:
    """A Bezier path: vertices, and handles relative to them."""

    vertices: tuple[tuple[float, float], ...]
    in_tangents: tuple[tuple[float, float], ...]
    out_tangents: tuple[tuple[float, float], ...]
    closed: bool


class Constant:
    """A value that the file does not store."""

    animated = False

    def __init__(self, value: Any) -> None:
        self._value = value

    def at(self, time_seconds: float) -> Any:
        return self._value


class Animated:
    """A py-aep property; values are plain and hashable (numbers, tuples, ``Outline``) or py-aep's own objects."""

    def __init__(self, prop: Any, convert: Callable[[Any], Any], on_failure: Callable[[Exception], None]) -> None:
        self._property = prop
        self._convert = convert
        self._on_failure = on_failure
        self.animated = _has_keyframes(prop)
        self._moment = 0.0
        self._value = convert(prop.value_at_time(0.0, True))

    def at(self, time_seconds: float) -> Any:
        if self.animated and time_seconds != self._moment:
            self._moment = time_seconds
            try:
                self._value = self._convert(self._property.value_at_time(time_seconds, True))
            except MemoryError:
                raise
            except Exception as error:
                # py-aep interpolates foreign keyframes: whatever it trips over, the last good value stands.
                self._on_failure(error)
        return self._value


class PropertyReader:
    """Reads the properties of one layer and notes the expressions that nobody evaluates."""

    def __init__(self, subject: str, notes: NoteBook) -> None:
        self.subject = subject
        self.notes = notes

    def number(self, group: Any, match_name: str, default: float) -> OverTime:
        return self.value(group, match_name, default, lambda value: _finite(value, default))

    def numbers(self, group: Any, match_name: str, default: tuple[float, ...]) -> OverTime:
        def convert(value: Any) -> tuple[float, ...]:
            given = tuple(_finite(part, 0.0) for part in value) if isinstance(value, list | tuple) else ()
            return given + default[len(given) :]

        return self.value(group, match_name, default, convert)

    def outline(self, group: Any, match_name: str) -> OverTime:
        return self.value(group, match_name, Outline((), (), (), False), _as_outline)

    def value(self, group: Any, match_name: str, default: Any, convert: Callable[[Any], Any]) -> OverTime:
        """``convert`` makes something hashable of what py-aep gives."""
        prop = child(group, match_name)
        if prop is None:
            return Constant(default)
        if getattr(prop, "expression_enabled", False) and getattr(prop, "expression", ""):
            self.notes.add(
                "expression_ignored",
                f"{self.subject} / {prop.name}",
                "The expression is not evaluated; the value below it is shown.",
            )
        where = f"{self.subject} / {prop.name}"
        return Animated(
            prop,
            convert,
            lambda error: self.notes.add("value_not_read", where, f"Some keyframes cannot be read ({error!r:.120})."),
        )


def child(group: Any, match_name: str) -> Any | None:
    """The property or group of that match name, None when the file has none."""
    if group is None:
        return None
    try:
        return group[match_name]
    except (KeyError, IndexError):
        return None


def _has_keyframes(prop: Any) -> bool:
    if prop.keyframes:
        return True
    if not getattr(prop, "is_separation_leader", False) or not prop.dimensions_separated:
        return False
    followers = (prop.get_separation_follower(dimension) for dimension in range(3))
    return any(follower is not None and follower.keyframes for follower in followers)


def _finite(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _as_outline(shape: Any) -> Outline:
    if shape is None or not hasattr(shape, "vertices"):
        return Outline((), (), (), False)

    def points(raw: Any) -> tuple[tuple[float, float], ...]:
        return tuple((_finite(point[0], 0.0), _finite(point[1], 0.0)) for point in raw)

    return Outline(points(shape.vertices), points(shape.in_tangents), points(shape.out_tangents), bool(shape.closed))
