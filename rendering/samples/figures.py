"""Figures, punctuation and marks of our typeface. See ``letters`` for how a shape is registered."""

from __future__ import annotations

import skia

from rendering.samples.glyphs import (
    Brush,
    across,
    clip,
    cut,
    dot,
    ellipse,
    flipped,
    join,
    mirrored,
    moved,
    polygon,
    rect,
    scaled,
    slant,
    stroke,
    transformed,
    turned,
    wedge,
)
from rendering.samples.letters import CAP, LETTERS, OPEN, ROUND, STRAIGHT, XH, Drawing, O, letter

# The height of the middle of + - = and their kin, so that they stand well beside figures.
MATH = 340


@letter("0", ROUND)
def _(b: Brush) -> skia.Path:
    return b.ring(0, -O, 540 + b.x, CAP + O)


@letter("1", OPEN, STRAIGHT)
def _(b: Brush) -> skia.Path:
    left = 166.0
    flag = polygon((0, 560), (0, 560 - b.h * 1.12), (left + 4, CAP - b.h * 1.5), (left + 4, CAP))
    return join(b.stem(left, 0, CAP), flag)


@letter("2", OPEN)
def _(b: Brush) -> skia.Path:
    right = 490 + b.x
    t = (b.w + b.h) / 2

    def draw(path: skia.Path) -> None:
        x0, x1, top, low = t / 2, right - t / 2 - 6, CAP + O - t / 2, b.h / 2
        cx = (x0 + x1) / 2
        path.moveTo(x0 + 4, top - 190)
        path.cubicTo(x0 + 4, top - 80, cx - 110, top, cx, top)
        path.cubicTo(cx + 120, top, x1, top - 80, x1, top - 190)
        path.cubicTo(x1, top - 330, cx + 60, top - 400, x0 - t * 0.1, low)

    body = clip(stroke(t, draw), rect(0, 0, right, CAP + O))
    return join(body, b.bar(0, right, 0))


@letter("3", OPEN)
def _(b: Brush) -> skia.Path:
    right, middle = 500 + b.x, 366 + b.h / 2
    upper = cut(b.ring(26, middle - b.h, right - 22, CAP + O), wedge(right / 2, (middle + CAP) / 2, 152, 266))
    lower = cut(b.ring(0, -O, right, middle), wedge(right / 2, middle / 2, 94, 206))
    return join(upper, lower, rect(right / 2 - 70, middle - b.h, right / 2 + 30, middle))


@letter("4", OPEN - 8)
def _(b: Brush) -> skia.Path:
    right, low = 550 + b.x, 140.0
    upright = right - 96 - b.w
    level = across(upright, CAP - low, b.w)
    diagonal = slant(0, low, upright + b.w * 0.6 - level * 0.6, CAP, b.w)
    left = clip(diagonal, rect(0, low, upright + b.w, CAP))
    return join(b.stem(upright, 0, CAP), b.bar(0, right, low), left)


@letter("5", OPEN + 4, OPEN)
def _(b: Brush) -> skia.Path:
    right, top = 490 + b.x, 452 + b.h * 0.3
    bowl = cut(b.ring(-30, -O, right, top), wedge(right / 2 - 40, top / 2, 118, 208))
    bowl = clip(bowl, rect(0, -O - 9, right + 9, top + 9))
    waist = rect(40, 330, 40 + b.w, CAP)
    shoulder = clip(b.ring(-30, -O, right, top), rect(44, top - b.h * 1.35, right / 2, top))
    return join(bowl, waist, b.bar(40, right - 40, CAP - b.h), shoulder)


@letter("6", ROUND - 4)
def _(b: Brush) -> skia.Path:
    right, top = 530 + b.x, 456 + b.h * 0.2
    level = across(220, 460, b.w)

    def draw(path: skia.Path) -> None:
        path.moveTo(b.w / 2, top / 2)
        path.cubicTo(b.w / 2, top / 2 + 180, 150, 470, 330 + b.x * 0.6, CAP + 30)

    tail = clip(stroke(b.w, draw), rect(-9, 0, right + level, CAP))
    return join(b.ring(0, -O, right, top), tail)


@letter("7", OPEN - 6)
def _(b: Brush) -> skia.Path:
    right = 490 + b.x
    level = across(300, CAP, b.w)
    return join(b.bar(0, right, CAP - b.h), slant(96, 0, right - level, CAP, b.w))


@letter("8", ROUND - 10)
def _(b: Brush) -> skia.Path:
    right, middle = 520 + b.x, 372 + b.h / 2
    return join(b.ring(26, middle - b.h, right - 26, CAP + O), b.ring(0, -O, right, middle))


@letter("9", ROUND - 4)
def _(b: Brush) -> skia.Path:
    six = LETTERS["6"].draw(b)
    return turned(six, (530 + b.x) / 2, CAP / 2)


def point(b: Brush, y: float = 0) -> skia.Path:
    radius = b.w * 0.62
    return dot(radius, y + radius, radius)


def tick(b: Brush, y: float = 0) -> skia.Path:
    """A comma: a dot with a tail."""
    radius = b.w * 0.62
    tail = polygon(
        (radius * 0.9, y + radius * 0.2), (radius * 2, y + radius), (radius * 0.85, y - radius * 2), (0, y - radius * 2)
    )
    return join(point(b, y), tail)


def prime(b: Brush) -> skia.Path:
    return polygon((b.w * 0.12, CAP - 260), (b.w * 0.88, CAP - 260), (b.w, CAP + 6), (0, CAP + 6))


def pair(path: skia.Path, b: Brush) -> skia.Path:
    return join(path, moved(path, b.w * 1.24 + 62))


def chevron(b: Brush) -> skia.Path:
    half, rise = b.h * 0.56, 196.0
    upper = polygon((0, MATH), (420, MATH + rise - half), (420, MATH + rise + half), (0, MATH + half * 1.1))
    lower = flipped(upper, 2 * MATH)
    return join(upper, lower, polygon((0, MATH - half), (90, MATH), (0, MATH + half)))


def bracket(b: Brush) -> skia.Path:
    return join(b.stem(0, -130, CAP + 50), b.bar(0, 190 + b.x, -130), b.bar(0, 190 + b.x, CAP + 50 - b.h))


def parenthesis(b: Brush) -> skia.Path:
    outer = ellipse(0, -170, 520, CAP + 90, 0.5523)
    return clip(cut(outer, ellipse(b.w * 0.98, -170, 560 + b.w, CAP + 90, 0.5523)), rect(0, -150, 190 + b.x, CAP + 70))


def brace(b: Brush) -> skia.Path:
    middle, t, x = 290.0, (b.w + b.h) / 2.1, 130 + b.x * 0.5

    def draw(path: skia.Path) -> None:
        path.moveTo(x + 130, CAP + 50 - t / 2)
        path.cubicTo(x + 20, CAP + 50 - t / 2, x, CAP + 30, x, CAP - 80)
        path.lineTo(x, middle + 130)
        path.cubicTo(x, middle + 40, x - 40, middle, x - 120, middle)
        path.cubicTo(x - 40, middle, x, middle - 40, x, middle - 130)
        path.lineTo(x, -40)
        path.cubicTo(x, -130 + t / 2, x + 20, -130 + t / 2, x + 130, -130 + t / 2)

    return stroke(t, draw)


def wave(b: Brush, width: float, y: float, thickness: float) -> skia.Path:
    def draw(path: skia.Path) -> None:
        path.moveTo(0, y - 30)
        path.cubicTo(width * 0.28, y + 120, width * 0.62, y - 120, width, y + 30)

    return stroke(thickness, draw)


def plus(b: Brush) -> skia.Path:
    size = 440.0
    return join(
        rect(0, MATH - b.h / 2, size, MATH + b.h / 2),
        rect(size / 2 - b.h / 2, MATH - 220, size / 2 + b.h / 2, MATH + 220),
    )


def query(b: Brush) -> skia.Path:
    t, right = (b.w + b.h) / 2, 400 + b.x

    def draw(path: skia.Path) -> None:
        x0, x1, top = t / 2, right - t / 2, CAP + O - t / 2
        cx = (x0 + x1) / 2
        path.moveTo(x0, top - 150)
        path.cubicTo(x0 + 16, top - 60, cx - 90, top, cx, top)
        path.cubicTo(cx + 110, top, x1, top - 70, x1, top - 170)
        path.cubicTo(x1, top - 300, cx, top - 280, cx, 200)

    return join(stroke(t, draw), moved(point(b), right / 2 - b.w * 0.62))


def number_sign(b: Brush) -> skia.Path:
    thin = b.h * 0.82
    lines = [slant(x, 20, x + 110, CAP - 20, thin) for x in (70, 270 + b.x * 0.6)]
    width = 520 + b.x
    return join(*lines, rect(0, 200, width - 30, 200 + thin), rect(30, 440, width, 440 + thin))


def at_sign(b: Brush) -> skia.Path:
    thin = Thin(b)
    outer = cut(thin.ring(0, -150, 860, CAP + 10), polygon((430, 280), (640, 100), (900, 60), (900, 180)))
    inner = thin.ring(230, 90, 560, 470)
    leg = join(rect(560 - thin.w, 130, 560, 470), rect(560 - thin.w, 120, 800, 120 + thin.h))
    return join(outer, inner, leg)


class Thin(Brush):
    """The brush for crowded signs: lighter than the letters around them."""

    def __init__(self, brush: Brush) -> None:
        self.w, self.h, self.x = brush.w * 0.74, brush.h * 0.76, brush.x


def ampersand(b: Brush) -> skia.Path:
    right = 590 + b.x
    upper = b.ring(82, 372 - b.h * 0.6, 430 + b.x, CAP + O)
    lower = cut(b.ring(0, -O, 520 + b.x, 400 + b.h * 0.3), wedge(260 + b.x / 2, 200, 8, 74))
    leg = slant(right - across(360, 460, b.w), 0, 132, 480, b.w)
    return join(upper, lower, leg)


def percent(b: Brush) -> skia.Path:
    thin = Thin(b)
    small = thin.ring(0, 360, 300 + b.x * 0.5, CAP + O)
    width = 700 + b.x
    return join(small, turned(small, width / 2, CAP / 2), slant(150, 0, width - 150 - thin.w, CAP, thin.w))


def dollar(b: Brush) -> skia.Path:
    right = 500 + b.x
    middle = right / 2 - b.w * 0.36
    return join(
        b.spine(0, -O, right, CAP + O),
        rect(middle, -100, middle + b.w * 0.72, 60),
        rect(middle, CAP - 60, middle + b.w * 0.72, CAP + 100),
    )


def euro(b: Brush) -> skia.Path:
    ring = cut(b.ring(70, -O, 640 + b.x, CAP + O), wedge(360, CAP / 2, -46, 46))
    thin = b.h * 0.84
    return join(ring, rect(0, 392, 400, 392 + thin), rect(0, 308 - thin, 380, 308))


def pound(b: Brush) -> skia.Path:
    right = 500 + b.x
    hook = cut(b.arch(96, right - 10, 0, CAP + O), rect(96 + b.w, -9, right + 9, CAP - 190))
    return join(hook, b.bar(0, right, 0), b.bar(10, right - 110, 318))


def copyright_sign(b: Brush) -> skia.Path:
    thin = Thin(b)
    inner = cut(thin.ring(200, 180, 540, 520), wedge(370, 350, -45, 45))
    return join(thin.ring(0, -O, 740, CAP + O), inner)


def asterisk(b: Brush) -> skia.Path:
    arm = rect(-b.h * 0.42, 0, b.h * 0.42, 190)
    arms = [transformed(arm, skia.Matrix.RotateDeg(72 * i)) for i in range(5)]
    return moved(join(*arms), 190, CAP - 180)


def multiply(b: Brush) -> skia.Path:
    centre = skia.Point(220, MATH)
    return transformed(plus(b), skia.Matrix.RotateDeg(45, centre))


SIGNS: tuple[tuple[str, Drawing, float], ...] = (
    (".", point, 60),
    ("·", lambda b: point(b, 260), 60),
    (",", tick, 54),
    (":", lambda b: join(point(b), point(b, XH - b.w * 1.24)), 64),
    (";", lambda b: join(tick(b), point(b, XH - b.w * 1.24)), 58),
    ("…", lambda b: join(*(moved(point(b), i * (b.w * 1.24 + 130)) for i in range(3))), 62),
    (
        "!",
        lambda b: join(
            moved(point(b), 0), polygon((b.w * 0.24, 210), (b.w, 210), (b.w * 1.12, CAP), (b.w * 0.12, CAP))
        ),
        78,
    ),
    ("?", query, OPEN),
    ("'", prime, 60),
    ('"', lambda b: pair(prime(b), b), 60),
    ("’", lambda b: tick(b, CAP - b.w * 1.24), 50),
    ("‘", lambda b: turned(tick(b, CAP - b.w * 1.24), b.w * 0.62, CAP - b.w * 1.1), 50),
    ("”", lambda b: pair(tick(b, CAP - b.w * 1.24), b), 50),
    ("“", lambda b: pair(turned(tick(b, CAP - b.w * 1.24), b.w * 0.62, CAP - b.w * 1.1), b), 50),
    ("-", lambda b: rect(0, 262 - b.h / 2, 250, 262 + b.h / 2), 56),
    ("–", lambda b: rect(0, 262 - b.h / 2, 440, 262 + b.h / 2), 56),
    ("—", lambda b: rect(0, 262 - b.h / 2, 780, 262 + b.h / 2), 50),
    ("_", lambda b: rect(0, -130, 520, -130 + b.h * 0.8), 0),
    ("+", plus, 60),
    ("=", lambda b: join(rect(0, MATH + 56, 440, MATH + 56 + b.h), rect(0, MATH - 56 - b.h, 440, MATH - 56)), 60),
    ("×", multiply, 50),
    ("*", asterisk, 40),
    ("/", lambda b: slant(0, -90, 280, CAP + 50, b.w * 0.9), 20),
    ("\\", lambda b: slant(280, -90, 0, CAP + 50, b.w * 0.9), 20),
    ("|", lambda b: rect(0, -170, b.w * 0.86, CAP + 90), 90),
    ("(", parenthesis, 60),
    (")", lambda b: mirrored(parenthesis(b), 190 + b.x), 60),
    ("[", bracket, 70),
    ("]", lambda b: mirrored(bracket(b), 190 + b.x), 70),
    ("{", brace, 40),
    ("}", lambda b: mirrored(brace(b), 270 + b.x), 40),
    ("<", chevron, 56),
    (">", lambda b: mirrored(chevron(b), 420), 56),
    ("@", at_sign, ROUND),
    ("#", number_sign, 40),
    ("$", dollar, OPEN),
    ("€", euro, OPEN),
    ("£", pound, OPEN),
    ("%", percent, ROUND - 10),
    ("&", ampersand, OPEN),
    (
        "`",
        lambda b: polygon((0, CAP + 20), (b.w * 0.4 + 70, CAP - 120), (b.w + 110, CAP - 120), (b.w * 1.1, CAP + 20)),
        50,
    ),
    ("^", lambda b: moved(scaled(turned(LETTERS["v"].draw(b), 240, XH / 2), 0.9, 0.56), 0, 420), 50),
    ("~", lambda b: wave(b, 440, MATH, b.h), 60),
    ("©", copyright_sign, ROUND),
    ("°", lambda b: Thin(b).ring(0, CAP - 270, 270, CAP + O), 50),
)

for _character, _draw, _side in SIGNS:
    letter(_character, _side)(_draw)
