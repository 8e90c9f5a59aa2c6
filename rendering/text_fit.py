"""Measures whether a text fits the box of its layer, with the font that will draw it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from rendering.fonts import Font, metrics, missing_glyphs, shape

AUTO_LEADING = 1.2
_TOLERANCE_PX = 0.05

_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
# A line may end after white space, after a hyphen and after an ideograph; the white space itself hangs.
_PIECE = re.compile(rf"[{_IDEOGRAPH}]\s*|[^\s\-{_IDEOGRAPH}]*-+\s*|[^\s\-{_IDEOGRAPH}]+\s*|\s+")
_LINE_END = re.compile(r"\r\n|[\r\n\x03\u2028\u2029]")


@dataclass(frozen=True, kw_only=True)
class TextFit:
    """``height_px`` reaches from the top of the first line to the lowest descender. ``lines`` as they are wrapped.

    ``overflows``: there are more lines than the box shows, or it is narrower than one character. The first line counts
    as shown always, a further one when its baseline is inside the box.
    """

    width_px: float
    height_px: float
    lines: tuple[str, ...]
    overflows: bool
    missing_glyphs: str


def fit_text(
    text: str,
    *,
    font: Font,
    size_px: float,
    tracking: float,
    leading_px: float | None,
    box_size_px: tuple[float, float] | None,
) -> TextFit:
    """Sets the text as After Effects does: words wrap at the box's width, a word that is wider alone is broken.

    Without a box (point text) only line ends break it and nothing overflows. ``leading_px`` None is auto leading;
    ``tracking`` is in thousandths of an em. The text is taken as it is: capitals are the caller's.
    """
    paragraphs = _LINE_END.sub("\n", text).rstrip().split("\n")
    if paragraphs == [""]:
        return TextFit(width_px=0.0, height_px=0.0, lines=(), overflows=False, missing_glyphs="")
    style = _Style(font, size_px, tracking)
    room_px = inf if box_size_px is None else box_size_px[0] + _TOLERANCE_PX
    lines = tuple(line for paragraph in paragraphs for line in _wrapped(paragraph, style, room_px))
    width_px = max(style.width_px(line) for line in lines)
    measures = metrics(font, size_px=size_px)
    last_baseline_px = measures.ascent_px + (len(lines) - 1) * (leading_px or size_px * AUTO_LEADING)
    too_low = box_size_px is not None and len(lines) > 1 and last_baseline_px > box_size_px[1] + _TOLERANCE_PX
    return TextFit(
        width_px=width_px,
        height_px=last_baseline_px + measures.descent_px,
        lines=lines,
        overflows=too_low or width_px > room_px,
        missing_glyphs=missing_glyphs(font, text),
    )


@dataclass(frozen=True)
class _Style:
    font: Font
    size_px: float
    tracking: float

    def width_px(self, line: str) -> float:
        """Without the white space at its end, which hangs over the edge."""
        return shape(self.font, line.rstrip(), size_px=self.size_px, tracking=self.tracking).width_px


def _wrapped(paragraph: str, style: _Style, room_px: float) -> Iterator[str]:
    if style.width_px(paragraph) <= room_px:
        yield paragraph.rstrip()
        return
    line = ""
    for piece in _PIECE.findall(paragraph):
        if style.width_px(line + piece) <= room_px:
            line += piece
            continue
        if line.strip():
            yield line.rstrip()
        *broken, line = _broken(piece, style, room_px)
        yield from broken
    yield line.rstrip()


def _broken(word: str, style: _Style, room_px: float) -> Iterator[str]:
    """The word in parts that fit, each with one character at least."""
    while style.width_px(word[:_SPAN]) > room_px or len(word) > _SPAN:
        length = _longest(word, style, room_px)
        if length >= len(word.rstrip()):
            break
        yield word[:length]
        word = word[length:]
    yield word


_SPAN = 64


def _longest(word: str, style: _Style, room_px: float) -> int:
    """How many characters fit. Doubles before it halves, so that the cost depends on the line and not on the word."""
    high = 1
    while high < len(word) and style.width_px(word[:high]) <= room_px:
        high *= 2
    low, high = 1, min(high, len(word))
    while low < high:
        middle = (low + high + 1) // 2
        if style.width_px(word[:middle]) <= room_px:
            low = middle
        else:
            high = middle - 1
    return low
