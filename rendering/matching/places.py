"""How much the places of layers and slots agree: position, size, aspect, and reading order."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from rendering.geometry import Box
from rendering.matching.evidence import Evidence, Grid, Mask

FULL_SHARE = 0.9  # of the frame; from here on a box counts as "the whole frame"
REACH = 0.20  # of the frame; at this distance a position counts little
SIDEWAYS = 0.6  # a text's own width depends on its words, so x says less than y
FULL_SLOT = 0.6  # a picture that fills the frame may be transparent around what it shows
FULL_LAYER = 0.3


def boxes_in_frame(boxes: Sequence[Box | None], *, frame: tuple[float, float]) -> Grid:
    """(n, 4) in shares of the frame, left, top, right, bottom; nan for a box that is missing, empty or endless."""
    rows = [tuple(box) if box and _is_sensible(box) else (np.nan,) * 4 for box in boxes]
    width, height = frame
    scale = np.array([width, height, width, height], dtype=np.float64)
    return np.array(rows, dtype=np.float64).reshape(len(rows), 4) / np.where(scale > 0, scale, 1.0)


def covers_frame(boxes: Grid) -> Mask:
    """(n,) whether the part of the box inside the frame is nearly all of it."""
    inside = np.clip(boxes, 0.0, 1.0)
    area = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])
    return np.nan_to_num(area) >= FULL_SHARE


def text_geometry(layers: Grid, slots: Grid) -> Evidence:
    """Agreement of type layers and text slots: nearest edge or middle, height before width."""
    left, right = layers[:, np.newaxis, :], slots[np.newaxis, :, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        sideways = np.minimum(np.abs(left[..., 0] - right[..., 0]), np.abs(left[..., 2] - right[..., 2]))
        sideways = np.minimum(sideways, np.abs(_middle(left, 0) - _middle(right, 0)))
        distance = np.hypot(SIDEWAYS * sideways, _middle(left, 1) - _middle(right, 1))
        position = np.exp(-((distance / REACH) ** 2))
        values = 0.65 * position + 0.25 * _ratio(_length(left, 1), _length(right, 1))
        values += 0.10 * _ratio(_length(left, 0), _length(right, 0))
    return Evidence(np.nan_to_num(values), ~np.isnan(values))


def image_geometry(layers: Grid, slots: Grid, *, frame_aspects: tuple[float, float]) -> Evidence:
    """Agreement of pictures and image slots. ``frame_aspects``: width / height of the document and of the comp."""
    left, right = layers[:, np.newaxis, :], slots[np.newaxis, :, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.hypot(_middle(left, 0) - _middle(right, 0), _middle(left, 1) - _middle(right, 1))
        position = np.maximum(np.exp(-((distance / REACH) ** 2)), _overlap(left, right))
        size = np.sqrt(_ratio(_length(left, 0) * _length(left, 1), _length(right, 0) * _length(right, 1)))
        aspect = _ratio(
            _length(left, 0) / _length(left, 1) * frame_aspects[0],
            _length(right, 0) / _length(right, 1) * frame_aspects[1],
        )
        values = 0.55 * position + 0.30 * size + 0.15 * aspect
    full_layer, full_slot = covers_frame(layers)[:, np.newaxis], covers_frame(slots)[np.newaxis, :]
    known = ~np.isnan(values)
    values = np.where(full_slot & ~full_layer, FULL_SLOT, np.nan_to_num(values))
    return Evidence(np.where(full_layer & ~full_slot, FULL_LAYER * values, values), known)


def order_evidence(layers: Grid, slots: Grid) -> Evidence:
    """Agreement of the places in reading order (rows from the top, left to right in a row)."""
    layer_ranks, slot_ranks = reading_ranks(layers), reading_ranks(slots)
    shape = (len(layers), len(slots))
    many, few = np.count_nonzero(~np.isnan(layer_ranks)), np.count_nonzero(~np.isnan(slot_ranks))
    if few == 0 or many == 0 or (few == 1 and many > 1):
        return Evidence(np.zeros(shape), np.zeros(shape, dtype=np.bool_))
    steps = np.abs((layer_ranks / many)[:, np.newaxis] - (slot_ranks / few)[np.newaxis, :]) * max(many, few)
    return Evidence(np.nan_to_num(1 / (1 + steps)), ~np.isnan(steps))


def reading_ranks(boxes: Grid) -> NDArray[np.float64]:
    """(n,) places in reading order, 0.5 for the first; nan where there is no box."""
    ranks = np.full(len(boxes), np.nan)
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    heights = boxes[:, 3] - boxes[:, 1]
    placed = [int(index) for index in np.lexsort((boxes[:, 0], middles)) if not np.isnan(middles[index])]
    rows: list[list[int]] = []
    for index in placed:
        first = rows[-1][0] if rows else None
        if first is not None and middles[index] - middles[first] <= 0.5 * min(heights[index], heights[first]):
            rows[-1].append(index)
        else:
            rows.append([index])
    in_order = [index for row in rows for index in sorted(row, key=lambda index: (boxes[index, 0], middles[index]))]
    ranks[in_order] = np.arange(len(in_order)) + 0.5
    return ranks


def _is_sensible(box: Box) -> bool:
    return box.width > 0 and box.height > 0 and all(map(isfinite, box))


def _middle(boxes: Grid, axis: int) -> Grid:
    middle: Grid = (boxes[..., axis] + boxes[..., axis + 2]) / 2
    return middle


def _length(boxes: Grid, axis: int) -> Grid:
    length: Grid = boxes[..., axis + 2] - boxes[..., axis]
    return length


def _ratio(one: Grid, other: Grid) -> Grid:
    ratio: Grid = np.minimum(one, other) / np.maximum(one, other)
    return ratio


def _overlap(left: Grid, right: Grid) -> Grid:
    """Intersection over union."""
    width = np.minimum(left[..., 2], right[..., 2]) - np.maximum(left[..., 0], right[..., 0])
    height = np.minimum(left[..., 3], right[..., 3]) - np.maximum(left[..., 1], right[..., 1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    total = _length(left, 0) * _length(left, 1) + _length(right, 0) * _length(right, 1) - shared
    overlap: Grid = shared / total
    return overlap
