"""Finds the matching with the highest total score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import lap
import numpy as np

from rendering import photoshop
from rendering.aftereffects import project as ae
from rendering.aftereffects.slots import Slot, SlotKind
from rendering.matching.evidence import Grid, Mask
from rendering.matching.features import KINDS, WEIGHTS, Points, Sides, is_drawn_leaf
from rendering.matching.values import Match, Matching, RunnerUp

DEFAULT_THRESHOLD = 50.0
_NO_IMAGES: Mapping[int, Path] = MappingProxyType({})
_NO_SLOT_IMAGES: Mapping[str, Path] = MappingProxyType({})
_NOTHING_CHOSEN: Mapping[str, int | None] = MappingProxyType({})


def match_layers(
    document: photoshop.Document,
    project: ae.Project,
    slots: Sequence[Slot],
    *,
    images: Mapping[int, Path] = _NO_IMAGES,
    slot_images: Mapping[str, Path] = _NO_SLOT_IMAGES,
    threshold: float = DEFAULT_THRESHOLD,
    chosen: Mapping[str, int | None] = _NOTHING_CHOSEN,
) -> Matching:
    """Pairs visible leaf layers with slots so that the sum of the scores is the highest there can be.

    ``images`` holds PNGs by ``layer_id``, ``slot_images`` by ``slot.id``; pixels count only where both are given.
    A pair below ``threshold`` (0..100) stays unmatched: nothing has to be paired. What ``chosen`` says of slots, by
    their ids, is settled, whatever the score: the layer that fills one, which ``can_fill`` it, or None for empty.
    Raises FormatError for a picture that cannot be read.
    """
    board = _Board(document, project, slots, images=images, slot_images=slot_images)
    matches = tuple(board.match(row, column) for row, column in board.best_pairs(threshold, chosen))
    taken, filled = {match.layer_id for match in matches}, {match.slot_id for match in matches}
    return Matching(
        matches=matches,
        kept=tuple(layer.layer_id for layer in _leaves(document) if layer.layer_id not in taken),
        unfilled=tuple(slot.id for slot in board.slots if slot.id not in filled),
        scores=board.scores(),
    )


def explain(
    document: photoshop.Document,
    project: ae.Project,
    slots: Sequence[Slot],
    layer_id: int,
    slot_id: str,
    *,
    images: Mapping[int, Path] = _NO_IMAGES,
    slot_images: Mapping[str, Path] = _NO_SLOT_IMAGES,
) -> Match:
    """The match of a pair that a person chose, with the parts of its score.

    A pair of kinds that do not go together scores 0 in every part. Raises KeyError for an unknown layer or slot,
    FormatError for a picture that cannot be read.
    """
    layer = next((layer for layer in document.layers if layer.layer_id == layer_id), None)
    slot = next((slot for slot in slots if slot.id == slot_id), None)
    if layer is None or slot is None:
        raise KeyError(layer_id if layer is None else slot_id)
    board = _Board(document, project, slots, images=images, slot_images=slot_images, also=layer)
    return board.match(board.layers.index(layer), board.slots.index(slot))


class _Board:
    """Every candidate layer against every slot. Rows are ``layers``, columns ``slots``."""

    def __init__(
        self,
        document: photoshop.Document,
        project: ae.Project,
        slots: Sequence[Slot],
        *,
        images: Mapping[int, Path],
        slot_images: Mapping[str, Path],
        also: photoshop.Layer | None = None,
    ) -> None:
        self.layers = [layer for layer in _leaves(document) if _is_candidate(layer) or layer is also]
        if also is not None and also not in self.layers:
            self.layers.append(also)
        self.slots = sorted(slots, key=lambda slot: (slot.order, slot.comp_id, slot.layer_id))
        shape = (len(self.layers), len(self.slots))
        self.possible: Mask = np.zeros(shape, dtype=np.bool_)
        self.total: Grid = np.zeros(shape)
        self._blocks: dict[SlotKind, tuple[dict[int, int], dict[int, int], Points]] = {}
        for kind in KINDS:
            rows = [row for row, layer in enumerate(self.layers) if layer.kind in KINDS[kind]]
            columns = [column for column, slot in enumerate(self.slots) if slot.kind == kind]
            if not rows or not columns:
                continue
            sides = Sides(
                document=document,
                project=project,
                layers=[self.layers[row] for row in rows],
                slots=[self.slots[column] for column in columns],
                images=images,
                slot_images=slot_images,
            )
            points = sides.points(kind)
            self.possible[np.ix_(rows, columns)] = True
            self.total[np.ix_(rows, columns)] = points.total
            places = ({row: place for place, row in enumerate(line)} for line in (rows, columns))
            self._blocks[kind] = (next(places), next(places), points)
        self.rounded: Grid = np.round(self.total, 1)

    def best_pairs(self, threshold: float, chosen: Mapping[str, int | None]) -> Iterator[tuple[int, int]]:
        """The chosen pairs and those of the best assignment of the rest that reach the threshold, by slot."""
        allowed = self.possible & (self.rounded >= threshold)
        settled = self._places(chosen)
        allowed[:, [column for column, slot in enumerate(self.slots) if slot.id in chosen]] = False
        allowed[[row for row, _ in settled], :] = False
        # Pairs below the threshold are worth nothing here, so that none of them pushes out a good one.
        _, rows, columns = lap.lapjvx(np.where(allowed, -self.total - 1e-6, 0.0), extend_cost=True)
        best = [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if allowed[pair]]
        return iter(sorted([*settled, *best], key=lambda pair: pair[1]))

    def _places(self, chosen: Mapping[str, int | None]) -> list[tuple[int, int]]:
        """Row and column of each pair that was chosen."""
        rows = {layer.layer_id: row for row, layer in enumerate(self.layers)}
        columns = {slot.id: column for column, slot in enumerate(self.slots)}
        return [(rows[layer], columns[slot]) for slot, layer in chosen.items() if layer is not None]

    def match(self, row: int, column: int) -> Match:
        layer, slot = self.layers[row], self.slots[column]
        return Match(
            layer_id=layer.layer_id,
            layer_name=layer.name,
            slot_id=slot.id,
            slot_name=slot.name,
            score=float(self.rounded[row, column]),
            parts=self._parts(row, column),
            runner_up=self._runner_up(row, column),
        )

    def scores(self) -> dict[str, dict[int, float]]:
        ids = [layer.layer_id for layer in self.layers]
        scores: dict[str, dict[int, float]] = {}
        for column, slot in enumerate(self.slots):
            rows = np.flatnonzero(self.possible[:, column])
            values = self.rounded[rows, column].tolist()
            scores[slot.id] = {ids[row]: value for row, value in zip(rows.tolist(), values, strict=True)}
        return scores

    def _parts(self, row: int, column: int) -> dict[str, float]:
        kind = self.slots[column].kind
        if not self.possible[row, column]:
            return dict.fromkeys(WEIGHTS[kind], 0.0)
        row_places, column_places, points = self._blocks[kind]
        place = row_places[row], column_places[column]
        parts = {feature: float(grid[place]) for feature, grid in points.parts.items() if points.used[feature][place]}
        return _rounded_parts(parts, total=float(self.rounded[row, column]))

    def _runner_up(self, row: int, column: int) -> RunnerUp | None:
        rivals = np.where(self.possible[:, column], self.total[:, column], -1.0)
        rivals[row] = -1.0
        best = int(np.argmax(rivals))
        if rivals[best] < 0:
            return None
        layer = self.layers[best]
        return RunnerUp(layer_id=layer.layer_id, layer_name=layer.name, score=float(self.rounded[best, column]))


def _rounded_parts(parts: Mapping[str, float], *, total: float) -> dict[str, float]:
    """The parts in tenths that add up to the total: the largest rests are rounded up."""
    tenths = {feature: math.floor(points * 10) for feature, points in parts.items()}
    rest = round(total * 10) - sum(tenths.values())
    by_rest = sorted(parts, key=lambda feature: tenths[feature] - parts[feature] * 10)
    for feature in by_rest[:rest]:
        tenths[feature] += 1
    return {feature: tenth / 10 for feature, tenth in tenths.items()}


def can_fill(layer: photoshop.Layer, slot: Slot) -> bool:
    """Whether the layer is of a kind that goes into the slot, and has anything to fill it with."""
    return layer.kind in KINDS[slot.kind] and _is_candidate(layer)


def _leaves(document: photoshop.Document) -> list[photoshop.Layer]:
    """The visible layers that are no groups, from the bottom up."""
    leaves = [layer for layer in document.layers if layer.visible and layer.kind not in ("group", "artboard")]
    return sorted(leaves, key=lambda layer: layer.order)


def _is_candidate(layer: photoshop.Layer) -> bool:
    """Whether the layer has anything to fill a slot with."""
    if not is_drawn_leaf(layer):
        return False
    return layer.kind == "type" or (layer.box.width > 0 and layer.box.height > 0)
