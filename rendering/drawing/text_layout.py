"""Breaks text into lines and puts every glyph in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from rendering.drawing.text_reading import TextBlock, TextStyle
from rendering.drawing.typefaces import ascent_share
from rendering.fonts import Font, shape

_SPACES = frozenset(" \t\u2003\u2002\u2009\u3000")
# Rounding in the file must not push a word that just fits to the next line.
_SLACK_PX = 0.01

FontChoice = Callable[[str], Font | None]


@dataclass(frozen=True)
class PlacedRun:
    """Glyphs of one font and style; ``points`` are their origins in px of the layer."""

    font: Font
    style: TextStyle
    glyphs: tuple[int, ...]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    """``hidden_lines`` counts the lines that do not fit into the box: After Effects does not show them."""

    runs: tuple[PlacedRun, ...]
    line_count: int
    hidden_lines: int


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    first_of_paragraph: bool
    last_of_paragraph: bool


def lay_out(block: TextBlock, fonts: FontChoice) -> Layout:
    """Text in fonts that ``fonts`` does not know is left out."""
    lines = list(_lines(block, fonts))
    baselines = _baselines(block, lines, fonts)
    shown = [
        (line, baseline)
        for line, baseline in zip(lines, baselines, strict=True)
        if block.box is None or baseline <= block.box.bottom + _SLACK_PX
    ]
    runs = [run for line, baseline in shown for run in _placed(block, line, baseline, fonts)]
    return Layout(tuple(runs), len(lines), len(lines) - len(shown))


def _lines(block: TextBlock, fonts: FontChoice) -> Iterator[_Line]:
    start = 0
    for paragraph in block.text.split("\n"):
        end = start + len(paragraph)
        cuts = _cuts(block, start, end, fonts) if block.box is not None else [end]
        begin = start
        for cut in cuts:
            yield _Line(begin, cut, begin == start, cut == end)
            begin = cut
        start = end + 1


def _cuts(block: TextBlock, start: int, end: int, fonts: FontChoice) -> list[int]:
    """Where the lines of one paragraph end: after spaces, or inside a word that is wider than the box."""
    advances = _advances(block, start, end, fonts)
    cuts: list[int] = []
    begin = start
    while begin < end:
        limit = _width_limit_px(block, first=begin == start) + _SLACK_PX
        used = 0.0
        after_space = None
        position = begin
        while position < end:
            used += advances[position - start]
            if block.text[position] in _SPACES:
                after_space = position + 1
            elif used - _gap_px(block.styles[position]) > limit and position > begin:
                break
            position += 1
        if position < end and after_space is not None and after_space <= position:
            position = after_space
        cuts.append(position)
        begin = position
    return cuts or [end]


def _width_limit_px(block: TextBlock, *, first: bool) -> float:
    assert block.box is not None
    indent = block.start_indent_px + block.end_indent_px + (block.first_line_indent_px if first else 0.0)
    return block.box.width - 2 * block.inset_px - indent


def _advances(block: TextBlock, start: int, end: int, fonts: FontChoice) -> list[float]:
    advances = [0.0] * (end - start)
    for first, last, style in _spans(block, start, end):
        font = fonts(style.font)
        if font is None:
            continue
        line = shape(
            font, block.text[first:last], size_px=style.size_px * style.horizontal_scale, tracking=style.tracking
        )
        for glyph in line.glyphs:
            advances[first - start + glyph.cluster] += glyph.advance_px
    return advances


def _gap_px(style: TextStyle) -> float:
    return style.tracking / 1000 * style.size_px * style.horizontal_scale


def _spans(block: TextBlock, start: int, end: int) -> Iterator[tuple[int, int, TextStyle]]:
    for style, positions in groupby(range(start, end), key=block.styles.__getitem__):
        places = list(positions)
        yield places[0], places[-1] + 1, style


def _baselines(block: TextBlock, lines: list[_Line], fonts: FontChoice) -> list[float]:
    baselines: list[float] = []
    for line in lines:
        styles = _styles_of(block, line)
        if baselines:
            baselines.append(baselines[-1] + max((style.leading_px for style in styles), default=0.0))
        elif block.box is None:
            baselines.append(0.0)
        else:
            baselines.append(block.box.top + max((_ascent_px(style, fonts) for style in styles), default=0.0))
    if block.box is not None and block.vertical in {"CENTER", "BOTTOM"} and baselines:
        room = block.box.bottom - baselines[-1] - block.inset_px
        shift = max(0.0, room) / (2 if block.vertical == "CENTER" else 1)
        baselines = [baseline + shift for baseline in baselines]
    return baselines


def _styles_of(block: TextBlock, line: _Line) -> tuple[TextStyle, ...]:
    # An empty line is as high as the text before it.
    return block.styles[line.start : line.end] or block.styles[max(line.start - 1, 0) : line.start]


def _ascent_px(style: TextStyle, fonts: FontChoice) -> float:
    font = fonts(style.font)
    return ascent_share(font) * style.size_px * style.vertical_scale if font is not None else style.size_px


def _placed(block: TextBlock, line: _Line, baseline: float, fonts: FontChoice) -> Iterator[PlacedRun]:
    end = line.end
    while end > line.start and block.text[end - 1] in _SPACES and block.box is not None:
        end -= 1
    shaped = []
    pen = 0.0
    gap = 0.0
    for first, last, style in _spans(block, line.start, end):
        font = fonts(style.font)
        if font is None:
            continue
        run = shape(
            font, block.text[first:last], size_px=style.size_px * style.horizontal_scale, tracking=style.tracking
        )
        gap = _gap_px(style)
        shaped.append((pen, font, style, first, run))
        pen += run.width_px + (gap if run.glyphs else 0.0)
    left, per_space = _alignment(block, line, end, pen - gap)
    spaces = 0
    for offset, font, style, first, run in shaped:
        points = []
        for glyph in run.glyphs:
            points.append(
                (left + offset + glyph.x_px + spaces * per_space, baseline + glyph.y_px - style.baseline_shift_px)
            )
            spaces += block.text[first + glyph.cluster] in _SPACES
        yield PlacedRun(font, style, tuple(glyph.glyph_id for glyph in run.glyphs), tuple(points))


def _alignment(block: TextBlock, line: _Line, end: int, width_px: float) -> tuple[float, float]:
    """Where the line starts, and how much wider each of its spaces gets, in px."""
    alignment = block.alignment
    if alignment.startswith("FULL_JUSTIFY"):
        spaces = sum(character in _SPACES for character in block.text[line.start : end])
        if block.box is not None and spaces and (not line.last_of_paragraph or alignment.endswith("_FULL")):
            spare = _width_limit_px(block, first=line.first_of_paragraph) - width_px
            return _left_px(block, line), max(0.0, spare) / spaces
        alignment = alignment.rpartition("_")[2]
    share = 0.5 if alignment.startswith("CENTER") else 1.0 if alignment.startswith("RIGHT") else 0.0
    if block.box is None:
        return -width_px * share, 0.0
    spare = _width_limit_px(block, first=line.first_of_paragraph) - width_px
    return _left_px(block, line) + spare * share, 0.0


def _left_px(block: TextBlock, line: _Line) -> float:
    assert block.box is not None
    indent = block.first_line_indent_px if line.first_of_paragraph else 0.0
    return block.box.left + block.inset_px + block.start_indent_px + indent
