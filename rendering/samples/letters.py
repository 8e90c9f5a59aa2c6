"""Capitals and small letters of our typeface, one function each. See ``glyphs`` for the primitives and the axes."""

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
    dot,
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


def bowl(b: Brush) -> skia.Path:
    return b.ring(0, -O, 528 + b.x * 0.8, XH + O)


@letter("a", ROUND, STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    return join(bowl(b), b.stem(528 + b.x * 0.8 - b.w, 0, XH))


@letter("b", STRAIGHT - 8, ROUND)
def _(b: Brush) -> skia.Path:
    return join(bowl(b), b.stem(0, 0, ASC))


@letter("c", ROUND, OPEN - 6)
def _(b: Brush) -> skia.Path:
    ring = b.ring(0, -O, 510 + b.x * 0.8, XH + O)
    return cut(ring, wedge(244, XH / 2, -43, 43))


@letter("d", ROUND, STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    return join(bowl(b), b.stem(528 + b.x * 0.8 - b.w, 0, ASC))


@letter("e", ROUND, OPEN + 4)
def _(b: Brush) -> skia.Path:
    right, level = 520 + b.x * 0.8, XH / 2 - b.h * 0.42
    ring = cut(
        b.ring(0, -O, right, XH + O), polygon((right / 2, level), (900, level), (900, 20), (right / 2 + 40, level))
    )
    opened = cut(ring, rect(right / 2, 128 - b.h * 0.12, right + 9, level))
    return join(opened, clip(b.bar(b.w / 2, right, level), rect(0, 0, right - b.w * 0.1, XH)))


@letter("f", OPEN - 14, 10)
def _(b: Brush) -> skia.Path:
    left, right = 74.0, 74 + b.w + 146
    hook = b.arch(left, left + 2 * (right - left), 0, ASC, ASC - 160)
    return join(clip(hook, rect(left, 0, right, ASC)), b.bar(0, right - 8, XH - b.h))


@letter("g", ROUND, STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    right = 528 + b.x * 0.8
    hook = cut(b.cup(14, right, DESC, XH), rect(-9, -78, right - b.w, XH + 9))
    return join(bowl(b), hook, b.stem(right - b.w, 0, XH))


@letter("h", STRAIGHT - 8, STRAIGHT - 10)
def _(b: Brush) -> skia.Path:
    return join(b.arch(0, 464 + b.x * 0.7, 0, XH + O), b.stem(0, 0, ASC))


@letter("i", STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    radius = b.w * 0.60
    return join(b.stem(0, 0, XH), dot(b.w / 2, max(656, XH + 62 + radius), radius))


@letter("ı", STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    return b.stem(0, 0, XH)


@letter("j", -20, STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    radius, left = b.w * 0.60, 96.0
    hook = b.cup(left - 2 * 130 + 0.0, left + b.w, DESC, XH)
    tail = clip(hook, rect(left - 100, DESC - 9, left + b.w + 9, XH))
    tail = cut(tail, rect(left - 300, -60, left, XH + 9))
    return join(tail, b.stem(left, 0, XH), dot(left + b.w / 2, max(656, XH + 62 + radius), radius))


@letter("k", STRAIGHT - 8, DIAGONAL)
def _(b: Brush) -> skia.Path:
    return join(b.stem(0, 0, ASC), arm_and_leg(b, 446 + b.x, XH, 146))


@letter("l", STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    return b.stem(0, 0, ASC)


@letter("m", STRAIGHT - 8, STRAIGHT - 10)
def _(b: Brush) -> skia.Path:
    step = 356 + b.x * 0.62
    first = b.arch(0, step + b.w * 0.5 + 42, 0, XH + O)
    left = step - b.w * 0.5 + 42
    return join(first, b.arch(left, left + step + b.w * 0.5 + 42, 0, XH + O), b.stem(0, 0, XH))


@letter("n", STRAIGHT - 8, STRAIGHT - 10)
def _(b: Brush) -> skia.Path:
    return join(b.arch(0, 464 + b.x * 0.7, 0, XH + O), b.stem(0, 0, XH))


@letter("o", ROUND)
def _(b: Brush) -> skia.Path:
    return b.ring(0, -O, 540 + b.x * 0.8, XH + O)


@letter("p", STRAIGHT - 8, ROUND)
def _(b: Brush) -> skia.Path:
    return join(bowl(b), b.stem(0, DESC, XH))


@letter("q", ROUND, STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    return join(bowl(b), b.stem(528 + b.x * 0.8 - b.w, DESC, XH))


@letter("r", STRAIGHT - 8, 8)
def _(b: Brush) -> skia.Path:
    reach = b.w + 170
    arch = b.arch(0, 2 * reach - b.w + 30, 0, XH + O)
    return join(clip(arch, rect(0, 0, reach, XH + O)), b.stem(0, 0, XH))


@letter("s", OPEN - 2)
def _(b: Brush) -> skia.Path:
    return b.spine(0, -O, 404 + b.x, XH + O)


@letter("t", OPEN - 14, OPEN - 12)
def _(b: Brush) -> skia.Path:
    left, right = 78.0, 78 + b.w + 142
    hook = b.cup(left, left + 2 * (right - left), -O, XH + 150)
    return join(clip(hook, rect(left, -O, right, XH + 150)), b.bar(0, right - 4, XH - b.h))


@letter("u", STRAIGHT - 10, STRAIGHT - 8)
def _(b: Brush) -> skia.Path:
    right = 464 + b.x * 0.7
    return join(b.cup(0, right, -O, XH), b.stem(right - b.w, 0, XH))


@letter("v", DIAGONAL)
def _(b: Brush) -> skia.Path:
    return vee(b, 470 + b.x, XH)


@letter("w", DIAGONAL)
def _(b: Brush) -> skia.Path:
    return double_vee(b, 720 + b.x * 2, XH)


@letter("x", DIAGONAL + 2)
def _(b: Brush) -> skia.Path:
    right = 450 + b.x
    one = slant(0, 0, right - across(right * 0.78, XH, b.w), XH, b.w)
    return join(one, mirrored(one, right))


@letter("y", DIAGONAL)
def _(b: Brush) -> skia.Path:
    width = 470 + b.x
    level = across(width / 2, XH, b.w)
    slope = (width / 2 - level / 2) / XH
    long_leg = slant(width / 2 - level / 2 + slope * DESC, DESC, width - level, XH, b.w)
    return join(vee(b, width, XH), long_leg)


@letter("z", OPEN)
def _(b: Brush) -> skia.Path:
    right = 410 + b.x
    level = across(right * 0.75, XH, b.w)
    return join(b.bar(0, right, 0), b.bar(0, right, XH - b.h), slant(0, 0, right - level, XH, b.w))
