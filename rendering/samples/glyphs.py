"""The letter shapes of our own typeface, drawn by code: geometric, one weight parameter, y up, 1000 units to the em.

Every shape is made of a few primitives (bars, slants, squircle rings, D-bowls, arches) joined by path operations.
Coordinates are outer edges, so a heavier weight grows inwards and widths stay in rhythm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import skia

CAP_HEIGHT = 700
X_HEIGHT = 512
ASCENDER = 735
DESCENDER = -205
OVERSHOOT = 11
# 0.5523 is a circle; a little more gives the fuller curves of a contemporary grotesque.
ROUNDNESS = 0.585


@dataclass(frozen=True, kw_only=True)
class Weight:
    """``stem`` is the thickness of uprights, ``bar`` of horizontals, in font units; ``extra`` widens every shape."""

    stem: float
    bar: float
    extra: float


REGULAR = Weight(stem=84, bar=76, extra=0)
BOLD = Weight(stem=152, bar=130, extra=46)


def rect(left: float, bottom: float, right: float, top: float) -> skia.Path:
    path = skia.Path()
    path.addRect(skia.Rect(left, bottom, right, top))
    return path


def polygon(*points: tuple[float, float]) -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(x, y) for x, y in points], True)
    return path


def ellipse(left: float, bottom: float, right: float, top: float, roundness: float = ROUNDNESS) -> skia.Path:
    cx, cy = (left + right) / 2, (bottom + top) / 2
    kx, ky = (right - left) / 2 * roundness, (top - bottom) / 2 * roundness
    path = skia.Path()
    path.moveTo(right, cy)
    path.cubicTo(right, cy + ky, cx + kx, top, cx, top)
    path.cubicTo(cx - kx, top, left, cy + ky, left, cy)
    path.cubicTo(left, cy - ky, cx - kx, bottom, cx, bottom)
    path.cubicTo(cx + kx, bottom, right, cy - ky, right, cy)
    path.close()
    return path


def dot(cx: float, cy: float, radius: float) -> skia.Path:
    return ellipse(cx - radius, cy - radius, cx + radius, cy + radius, 0.5523)


def join(first: skia.Path, *others: skia.Path) -> skia.Path:
    # Skia's OpBuilder loses the holes of rings, one union after the other keeps them.
    for path in others:
        first = skia.Op(first, path, skia.kUnion_PathOp)
    return first


def cut(path: skia.Path, *holes: skia.Path) -> skia.Path:
    for hole in holes:
        path = skia.Op(path, hole, skia.kDifference_PathOp)
    return path


def clip(path: skia.Path, area: skia.Path) -> skia.Path:
    return skia.Op(path, area, skia.kIntersect_PathOp)


def transformed(path: skia.Path, matrix: skia.Matrix) -> skia.Path:
    result = skia.Path()
    path.transform(matrix, result)
    return result


def moved(path: skia.Path, dx: float, dy: float = 0) -> skia.Path:
    return transformed(path, skia.Matrix.Translate(dx, dy))


def mirrored(path: skia.Path, width: float) -> skia.Path:
    return transformed(path, skia.Matrix.MakeAll(-1, 0, width, 0, 1, 0, 0, 0, 1))


def flipped(path: skia.Path, height: float) -> skia.Path:
    return transformed(path, skia.Matrix.MakeAll(1, 0, 0, 0, -1, height, 0, 0, 1))


def turned(path: skia.Path, cx: float, cy: float) -> skia.Path:
    return transformed(path, skia.Matrix.RotateDeg(180, skia.Point(cx, cy)))


def scaled(path: skia.Path, sx: float, sy: float) -> skia.Path:
    return transformed(path, skia.Matrix.Scale(sx, sy))


def slant(x_bottom: float, bottom: float, x_top: float, top: float, thickness: float) -> skia.Path:
    """A diagonal with level ends; the x values are its left edges. ``thickness`` is measured across the stroke."""
    run = across(x_top - x_bottom, top - bottom, thickness)
    return polygon((x_bottom, bottom), (x_bottom + run, bottom), (x_top + run, top), (x_top, top))


def across(dx: float, dy: float, thickness: float) -> float:
    """The level width of a diagonal stroke."""
    return thickness * math.hypot(dx, dy) / abs(dy)


def stroke(thickness: float, draw: Callable[[skia.Path], None]) -> skia.Path:
    spine, outline = skia.Path(), skia.Path()
    draw(spine)
    paint = skia.Paint(Style=skia.Paint.kStroke_Style, StrokeWidth=thickness)
    paint.setStrokeJoin(skia.Paint.kMiter_Join)
    paint.getFillPath(spine, outline)
    return skia.Simplify(outline)


def wedge(cx: float, cy: float, low_degrees: float, high_degrees: float) -> skia.Path:
    """A sector that reaches far out, to open rings."""
    far = 3000
    low, high = math.radians(low_degrees), math.radians(high_degrees)
    middle = (low + high) / 2
    return polygon(
        (cx, cy),
        (cx + far * math.cos(low), cy + far * math.sin(low)),
        (cx + far * math.cos(middle), cy + far * math.sin(middle)),
        (cx + far * math.cos(high), cy + far * math.sin(high)),
    )


class Brush:
    """The primitives that depend on the weight."""

    def __init__(self, weight: Weight) -> None:
        self.w = weight.stem
        self.h = weight.bar
        self.x = weight.extra

    def stem(self, left: float, bottom: float, top: float) -> skia.Path:
        return rect(left, bottom, left + self.w, top)

    def bar(self, left: float, right: float, bottom: float) -> skia.Path:
        return rect(left, bottom, right, bottom + self.h)

    def ring(self, left: float, bottom: float, right: float, top: float) -> skia.Path:
        inner = ellipse(left + self.w, bottom + self.h, right - self.w, top - self.h)
        return cut(ellipse(left, bottom, right, top), inner)

    def dee(self, left: float, bottom: float, right: float, top: float) -> skia.Path:
        """A bowl that is flat on its left, as in D, B and P."""
        height = top - bottom
        reach = min(right - left, height * 0.56)
        outer = self._dee_outline(left, bottom, right, top, reach)
        inner = self._dee_outline(left - 1, bottom + self.h, right - self.w, top - self.h, max(reach - self.w, 40))
        return cut(outer, inner)

    @staticmethod
    def _dee_outline(left: float, bottom: float, right: float, top: float, reach: float) -> skia.Path:
        straight, half = right - reach, (top - bottom) / 2
        path = skia.Path()
        path.moveTo(left, bottom)
        path.lineTo(straight, bottom)
        path.cubicTo(straight + reach * ROUNDNESS, bottom, right, bottom + half * (1 - ROUNDNESS), right, bottom + half)
        path.cubicTo(right, top - half * (1 - ROUNDNESS), straight + reach * ROUNDNESS, top, straight, top)
        path.lineTo(left, top)
        path.close()
        return path

    def arch(self, left: float, right: float, bottom: float, top: float, spring: float | None = None) -> skia.Path:
        """Two legs under a round top, as in n; ``spring`` is where the round begins."""
        depth = (right - left) * 0.52 if spring is None else top - spring
        middle = top - depth
        round_top = clip(self.ring(left, middle - depth, right, top), rect(left - 9, middle - 1, right + 9, top + 9))
        return join(round_top, self.stem(left, bottom, middle), self.stem(right - self.w, bottom, middle))

    def cup(self, left: float, right: float, bottom: float, top: float) -> skia.Path:
        """An arch upside down, as in u."""
        return flipped(self.arch(left, right, 0, top - bottom), top)

    def spine(self, left: float, bottom: float, right: float, top: float) -> skia.Path:
        """The S: two open rings that run into one another through a sloping middle."""
        t = self.w * 0.5 + self.h * 0.5
        x0, x1, y0, y1 = left + t / 2, right - t / 2, bottom + t / 2, top - t / 2
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2 + (y1 - y0) * 0.015
        rx, upper, lower = (x1 - x0) / 2, (y1 - cy) / 2, (cy - y0) / 2
        inset = rx * 0.06

        def draw(path: skia.Path) -> None:
            path.moveTo(x1 - inset, y1 - upper * 0.62)
            path.cubicTo(x1 - rx * 0.30, y1 - upper * 0.18, cx + rx * 0.42, y1, cx, y1)
            path.cubicTo(cx - rx * 0.58, y1, x0 + inset, y1 - upper * 0.42, x0 + inset, y1 - upper * 0.96)
            path.cubicTo(x0 + inset, cy + upper * 0.34, cx - rx * 0.44, cy + upper * 0.14, cx, cy)
            path.cubicTo(cx + rx * 0.50, cy - lower * 0.14, x1, cy - lower * 0.36, x1, y0 + lower * 0.98)
            path.cubicTo(x1, y0 + lower * 0.42, cx + rx * 0.62, y0, cx, y0)
            path.cubicTo(cx - rx * 0.46, y0, x0 + rx * 0.28, y0 + lower * 0.20, x0, y0 + lower * 0.66)

        return stroke(t, draw)
