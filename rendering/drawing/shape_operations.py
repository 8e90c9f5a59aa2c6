"""Path operations of shape layers: trim, merge, round corners, repeater."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import skia

from rendering.drawing.shape_items import Content, Item, joined, mapped, painted_group, read_repetition
from rendering.drawing.values import PropertyReader, child

MAX_COPIES = 200
MAX_PATHS = 5000
_ONE_AFTER_THE_OTHER = 2
_MERGES = {2: skia.kUnion_PathOp, 3: skia.kDifference_PathOp, 4: skia.kIntersect_PathOp, 5: skia.kXOR_PathOp}


def _trim(entry: Any, reader: PropertyReader) -> Item:
    start = reader.number(entry, "ADBE Vector Trim Start", 0.0)
    end = reader.number(entry, "ADBE Vector Trim End", 100.0)
    offset = reader.number(entry, "ADBE Vector Trim Offset", 0.0)
    order = reader.number(entry, "ADBE Vector Trim Type", 1.0)

    def apply(content: Content, time_seconds: float) -> None:
        low, high = sorted((start.at(time_seconds) / 100, end.at(time_seconds) / 100))
        turn = offset.at(time_seconds) / 360
        low, high = low + turn, high + turn
        if order.at(time_seconds) == _ONE_AFTER_THE_OTHER:
            content.paths = [_trimmed(joined(content.paths), low, high)]
        else:
            content.paths = [_trimmed(path, low, high) for path in content.paths]

    return Item([start, end, offset, order], apply)


def _trimmed(path: skia.Path, low: float, high: float) -> skia.Path:
    """The stretch from low to high, in shares of the length of all its contours; may wrap around the end."""
    if high - low >= 1:
        return path
    kept = skia.Path()
    total = sum(_contour_lengths(path))
    shift = low // 1
    low, high = low - shift, high - shift
    for first, last in ((low, min(high, 1.0)), (0.0, high - 1.0)):
        _keep_stretch(path, first * total, last * total, kept)
    return kept


def _contour_lengths(path: skia.Path) -> list[float]:
    measure = skia.PathMeasure(path, False)
    lengths = [measure.getLength()]
    while measure.nextContour():
        lengths.append(measure.getLength())
    return lengths


def _keep_stretch(path: skia.Path, first: float, last: float, kept: skia.Path) -> None:
    if last <= first:
        return
    measure = skia.PathMeasure(path, False)
    passed = 0.0
    while True:
        length = measure.getLength()
        if passed < last and passed + length > first:
            # Its own path each time: Skia replaces what the path held before.
            piece = skia.Path()
            measure.getSegment(max(first - passed, 0.0), min(last - passed, length), piece, True)
            kept.addPath(piece)
        passed += length
        if not measure.nextContour():
            return


def _merge(entry: Any, reader: PropertyReader) -> Item:
    mode = reader.number(entry, "ADBE Vector Merge Type", 1.0)

    def apply(content: Content, time_seconds: float) -> None:
        operator = _MERGES.get(int(mode.at(time_seconds)))
        content.paths = [joined(content.paths) if operator is None else _merged(content.paths, operator)]

    return Item([mode], apply)


def _merged(paths: Sequence[skia.Path], operator: skia.PathOp) -> skia.Path:
    result = paths[0] if paths else skia.Path()
    for path in paths[1:]:
        try:
            result = skia.Op(result, path, operator)
        except RuntimeError:
            # Skia gives up on some degenerate curves; the plain sum is the nearest that can be drawn.
            result = joined((result, path))
    return result


def _round_corners(entry: Any, reader: PropertyReader) -> Item:
    radius = reader.number(entry, "ADBE Vector RoundCorner Radius", 10.0)
    reader.notes.add("shape_approximated", f"{reader.subject} / {entry.name}", "Round corners come out slightly off.")

    def apply(content: Content, time_seconds: float) -> None:
        if radius.at(time_seconds) > 0:
            content.paths = [_rounded(path, radius.at(time_seconds)) for path in content.paths]

    return Item([radius], apply)


def _rounded(path: skia.Path, radius_px: float) -> skia.Path:
    rounded = skia.Path()
    skia.Paint(PathEffect=skia.CornerPathEffect.Make(radius_px)).getFillPath(path, rounded)
    return rounded


def _repeater(entry: Any, reader: PropertyReader) -> Item:
    copies = reader.number(entry, "ADBE Vector Repeater Copies", 3.0)
    offset = reader.number(entry, "ADBE Vector Repeater Offset", 0.0)
    order = reader.number(entry, "ADBE Vector Repeater Order", 1.0)
    transform = child(entry, "ADBE Vector Repeater Transform")
    values, matrix_at = read_repetition(transform, reader)
    fades = (
        reader.number(transform, "ADBE Vector Repeater Opacity 1", 100.0),
        reader.number(transform, "ADBE Vector Repeater Opacity 2", 100.0),
    )

    def apply(content: Content, time_seconds: float) -> None:
        count = min(max(round(copies.at(time_seconds)), 0), MAX_COPIES)
        count = min(count, MAX_PATHS // max(len(content.paths), 1))
        paths, painted = content.paths, content.painted
        content.paths, content.painted = [], []
        first, last = (fade.at(time_seconds) / 100 for fade in fades)
        for index in range(count):
            matrix = matrix_at(time_seconds, index + offset.at(time_seconds))
            opacity = first + (last - first) * (index / (count - 1) if count > 1 else 0.0)
            content.paths += [mapped(path, matrix) for path in paths]
            content.painted.append(painted_group(painted, matrix, opacity))
        if order.at(time_seconds) == 1:
            # "Above": each copy lies over the one before it, and what comes first here is drawn last.
            content.painted.reverse()

    return Item([copies, offset, order, *values, *fades], apply)


OPERATION_READERS: dict[str, Callable[[Any, PropertyReader], Item]] = {
    "ADBE Vector Filter - Trim": _trim,
    "ADBE Vector Filter - Merge": _merge,
    "ADBE Vector Filter - RC": _round_corners,
    "ADBE Vector Filter - Repeater": _repeater,
}
