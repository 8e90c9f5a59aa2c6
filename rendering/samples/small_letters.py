"""The small letters of our typeface. See ``letters`` for how a shape is registered."""

from __future__ import annotations

import skia

from rendering.samples.glyphs import Brush, across, clip, cut, dot, join, mirrored, polygon, rect, slant, wedge
from rendering.samples.letters import (
    ASC,
    DESC,
    DIAGONAL,
    OPEN,
    ROUND,
    STRAIGHT,
    XH,
    O,
    arm_and_leg,
    double_vee,
    letter,
    vee,
)


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
