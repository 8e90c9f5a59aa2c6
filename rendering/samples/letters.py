"""The capitals of our typeface, one function each, and the register of all its characters.

See ``glyphs`` for the primitives and the axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import skia

from rendering.samples.glyphs import (
    ASCENDER,
    CAP_HEIGHT,
    DESCENDER,
    OVERSHOOT,
    X_HEIGHT,
    Brush,
    across,
    clip,
    cut,
    join,
    mirrored,
    polygon,
    rect,
    slant,
    turned,
    wedge,
)

CAP, XH, ASC, DESC, O = CAP_HEIGHT, X_HEIGHT, ASCENDER, DESCENDER, OVERSHOOT  # noqa: E741
# Space beside a shape, by the form of its edge.
STRAIGHT, ROUND, OPEN, DIAGONAL = 82, 50, 34, 16

Drawing = Callable[[Brush], skia.Path]


@dataclass(frozen=True, kw_only=True)
class Letter:
    draw: Drawing
    left: float
    right: float


LETTERS: dict[str, Letter] = {}


def letter(character: str, left: float, right: float | None = None) -> Callable[[Drawing], Drawing]:
    def register(draw: Drawing) -> Drawing:
        LETTERS[character] = Letter(draw=draw, left=left, right=left if right is None else right)
        return draw

    return register


def vee(b: Brush, width: float, top: float) -> skia.Path:
    """Two diagonals that meet at the baseline, as in V and v."""
    level = across(width / 2, top, b.w)
    left = slant(width / 2 - level / 2, 0, 0, top, b.w)
    return join(left, mirrored(left, width))


def double_vee(b: Brush, width: float, top: float) -> skia.Path:
    half = width / 2 + across(width / 4, top, b.w * 0.96) / 2
    left = clip(vee(b, half, top), rect(-9, 0, half + 9, top))
    return join(left, mirrored(left, width))


@letter("A", DIAGONAL)
def _(b: Brush) -> skia.Path:
    width = 660 + b.x
    shape = turned(vee(b, width, CAP), width / 2, CAP / 2)
    inside = polygon((30, 0), (width - 30, 0), (width / 2, CAP))
    return join(shape, clip(b.bar(0, width, 172), inside))


@letter("B", STRAIGHT, ROUND)
def _(b: Brush) -> skia.Path:
    middle = 366 + b.h / 2
    upper = b.dee(b.w / 2, middle - b.h, 462 + b.x, CAP)
    return join(b.stem(0, 0, CAP), upper, b.dee(b.w / 2, 0, 498 + b.x, middle))


@letter("C", ROUND, OPEN)
def _(b: Brush) -> skia.Path:
    ring = b.ring(0, -O, 700 + b.x, CAP + O)
    return cut(ring, wedge(330, CAP / 2, -42, 42))


@letter("D", STRAIGHT, ROUND)
def _(b: Brush) -> skia.Path:
    return join(b.stem(0, 0, CAP), b.dee(b.w / 2, 0, 606 + b.x, CAP))


@letter("E", STRAIGHT, OPEN)
def _(b: Brush) -> skia.Path:
    right = 430 + b.x
    bars = b.bar(0, right, 0), b.bar(0, right - 34, 318), b.bar(0, right, CAP - b.h)
    return join(b.stem(0, 0, CAP), *bars)


@letter("F", STRAIGHT, OPEN)
def _(b: Brush) -> skia.Path:
    right = 420 + b.x
    return join(b.stem(0, 0, CAP), b.bar(0, right - 34, 296), b.bar(0, right, CAP - b.h))


@letter("G", ROUND, STRAIGHT - 16)
def _(b: Brush) -> skia.Path:
    right = 700 + b.x
    ring = cut(b.ring(0, -O, right, CAP + O), wedge(330, CAP / 2, 0, 42), rect(right / 2, 150, right + 9, 360))
    low = clip(b.ring(0, -O, right, CAP + O), rect(right / 2, -O - 9, right - 6, 330))
    shelf = rect(right * 0.56, 366 - b.h, right - 6, 366)
    return join(cut(ring, rect(right / 2, 0, right + 9, 370)), low, shelf, rect(right - 6 - b.w, 180, right - 6, 366))


@letter("H", STRAIGHT)
def _(b: Brush) -> skia.Path:
    right = 560 + b.x
    return join(b.stem(0, 0, CAP), b.stem(right - b.w, 0, CAP), b.bar(0, right, 316))


@letter("I", STRAIGHT)
def _(b: Brush) -> skia.Path:
    return b.stem(0, 0, CAP)


@letter("J", 26, STRAIGHT)
def _(b: Brush) -> skia.Path:
    right = 392 + b.x
    cup = b.cup(0, right, -O, CAP)
    return cut(cup, rect(-9, 150, right - b.w, CAP + 9), wedge(right / 2, 190, 168, 180))


def arm_and_leg(b: Brush, right: float, top: float, fork: float) -> skia.Path:
    """The right half of K and k: an arm from the stem at height ``fork`` and a leg that grows out of it."""
    reach = right - 14 - across(right * 0.7, top - fork, b.w)
    arm = clip(slant(b.w * 0.5, fork, reach, top, b.w), rect(b.w - 2, 0, right + 60, top))
    slope = (reach - b.w * 0.5) / (top - fork)
    right_of_arm = polygon((b.w * 0.5 - slope * fork, 0), (3000, 0), (3000, top), (reach, top))
    level = across(right * 0.52, top * 0.6, b.w)
    leg = slant(right - level, 0, right * 0.26, top * 0.7, b.w)
    return join(arm, clip(leg, right_of_arm))


@letter("K", STRAIGHT, DIAGONAL)
def _(b: Brush) -> skia.Path:
    return join(b.stem(0, 0, CAP), arm_and_leg(b, 560 + b.x, CAP, 216))


@letter("L", STRAIGHT, OPEN - 8)
def _(b: Brush) -> skia.Path:
    return join(b.stem(0, 0, CAP), b.bar(0, 404 + b.x, 0))


@letter("M", STRAIGHT)
def _(b: Brush) -> skia.Path:
    right, foot = 690 + b.x * 1.3, 150.0
    level = across(right / 2, CAP - foot, b.w * 0.95)
    diagonal = slant(right / 2 - level / 2, foot, 0, CAP, b.w * 0.95)
    return join(b.stem(0, 0, CAP), b.stem(right - b.w, 0, CAP), diagonal, mirrored(diagonal, right))


@letter("N", STRAIGHT)
def _(b: Brush) -> skia.Path:
    right = 580 + b.x
    level = across(right * 0.72, CAP, b.w)
    return join(b.stem(0, 0, CAP), b.stem(right - b.w, 0, CAP), slant(right - level, 0, 0, CAP, b.w))


@letter("O", ROUND)
def _(b: Brush) -> skia.Path:
    return b.ring(0, -O, 736 + b.x, CAP + O)


@letter("P", STRAIGHT, OPEN + 6)
def _(b: Brush) -> skia.Path:
    return join(b.stem(0, 0, CAP), b.dee(b.w / 2, 262, 492 + b.x, CAP))


@letter("Q", ROUND)
def _(b: Brush) -> skia.Path:
    right = 736 + b.x
    return join(b.ring(0, -O, right, CAP + O), slant(right - 150 - b.w * 0.4, -34, right - 330 - b.w * 0.4, 190, b.w))


@letter("R", STRAIGHT, OPEN - 8)
def _(b: Brush) -> skia.Path:
    right = 506 + b.x
    leg = slant(right - across(210, 300, b.w) + 12, 0, 206, 310, b.w)
    return join(b.stem(0, 0, CAP), b.dee(b.w / 2, 278, right - 8, CAP), leg)


@letter("S", OPEN)
def _(b: Brush) -> skia.Path:
    return b.spine(0, -O, 500 + b.x, CAP + O)


@letter("T", DIAGONAL + 8)
def _(b: Brush) -> skia.Path:
    right = 540 + b.x
    return join(b.bar(0, right, CAP - b.h), b.stem((right - b.w) / 2, 0, CAP))


@letter("U", STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    return b.cup(0, 560 + b.x, -O, CAP)


@letter("V", DIAGONAL)
def _(b: Brush) -> skia.Path:
    return vee(b, 640 + b.x, CAP)


@letter("W", DIAGONAL)
def _(b: Brush) -> skia.Path:
    return double_vee(b, 930 + b.x * 2, CAP)


@letter("X", DIAGONAL + 4)
def _(b: Brush) -> skia.Path:
    right = 580 + b.x
    level = across(right * 0.8, CAP, b.w)
    one = slant(0, 0, right - level, CAP, b.w)
    return join(one, mirrored(one, right))


@letter("Y", DIAGONAL)
def _(b: Brush) -> skia.Path:
    width, fork = 590 + b.x, 292.0
    level = across(width / 2, CAP - fork, b.w)
    left = slant(width / 2 - level / 2, fork, 0, CAP, b.w)
    return join(b.stem((width - b.w) / 2, 0, fork + b.w * 0.42), left, mirrored(left, width))


@letter("Z", OPEN)
def _(b: Brush) -> skia.Path:
    right = 510 + b.x
    level = across(right * 0.8, CAP, b.w)
    return join(b.bar(0, right, 0), b.bar(0, right, CAP - b.h), slant(0, 0, right - level, CAP, b.w))
