"""The matching page's content: every PSD layer, every slot, which layer goes where, with the pictures made for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.models import Asset, Match
from jobs.states import Stage
from review.prepared import Prepared

PART_NAMES = {
    "geometry": "Place and size",
    "order": "Reading order",
    "pixels": "Picture",
    "sheet": "Named in the sheet",
}


@dataclass(frozen=True, kw_only=True)
class LayerCard:
    """A PSD layer. ``slot_kind`` is the kind of slot it could fill, None for groups and adjustments."""

    layer_id: int
    name: str
    kind: str
    slot_kind: str | None
    depth: int
    text: str
    visible: bool
    picture: Asset | None
    fills: str

    @property
    def icon(self) -> str:
        return {"text": "text", "image": "image"}.get(self.slot_kind or "", "layers")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A layer that may go into a slot, with its score there (None: not stored)."""

    layer_id: int
    name: str
    score: float | None
    chosen: bool
    visible: bool


@dataclass(frozen=True, kw_only=True)
class SlotRow:
    """A slot with what fills it. ``parts`` are points of the score by their names, biggest first."""

    number: int
    match: Match
    kind: str
    comp_name: str
    reason: str
    text: str
    font: str
    picture: Asset | None
    layer_picture: Asset | None
    layer_text: str
    comparison: Asset | None
    choices: tuple[Choice, ...]
    parts: tuple[tuple[str, float], ...]

    @property
    def anchor(self) -> str:
        return f"slot-{self.number}"


@dataclass(frozen=True, kw_only=True)
class Board:
    layers: tuple[LayerCard, ...]
    rows: tuple[SlotRow, ...]
    kept: tuple[LayerCard, ...]
    compositions: tuple[dict[str, Any], ...]
    render_comp: dict[str, Any]
    document: dict[str, Any]
    composite: Asset | None
    comp_frame: Asset | None

    @property
    def filled(self) -> int:
        return sum(1 for row in self.rows if row.match.layer_id is not None)

    def only(self, changed: set[str], touched: set[int]) -> tuple[tuple[SlotRow, ...], tuple[LayerCard, ...]]:
        """The rows of these slots and the cards of these layers."""
        rows = tuple(row for row in self.rows if row.match.slot_id in changed)
        return rows, tuple(card for card in self.layers if card.layer_id in touched)


def read_board(prepared: Prepared) -> Board:
    """Rows without a layer come first, then in the template's order; numbers follow the template's order alone."""
    facts = prepared.result(Stage.INGESTION)
    pictures = _Pictures(prepared)
    matches = list(prepared.job.matches.select_related("changed_by").order_by("order", "id"))
    filling: dict[int | None, str] = {m.layer_id: m.slot_name for m in matches if m.layer_id is not None}
    cards = tuple(_card(layer, pictures, filling) for layer in facts.get("layers", []))
    by_id = {card.layer_id: card for card in cards}
    slots = {slot["id"]: slot for slot in facts.get("slots", [])}
    fitting = {kind: [card for card in cards if card.slot_kind == kind] for kind in ("text", "image")}
    rows = [
        _row(number, match, slots.get(match.slot_id, {}), by_id, fitting, facts.get("scores", {}), pictures)
        for number, match in enumerate(matches, start=1)
    ]
    result = prepared.result(Stage.MATCHING)
    return Board(
        layers=cards,
        rows=tuple(sorted(rows, key=lambda row: row.match.layer_id is not None)),
        kept=tuple(card for card in cards if card.slot_kind and card.visible and not card.fills),
        compositions=tuple(facts.get("compositions", [])),
        render_comp=facts.get("render_comp") or {},
        document=facts.get("document", {}),
        composite=pictures.named(result.get("composite_preview")),
        comp_frame=pictures.named(result.get("comp_preview")),
    )


class _Pictures:
    def __init__(self, prepared: Prepared) -> None:
        self._result = prepared.result(Stage.MATCHING)
        self._assets = prepared.named(Stage.MATCHING)

    def named(self, name: str | None) -> Asset | None:
        return self._assets.get(name) if name else None

    def layer(self, layer_id: int | None) -> Asset | None:
        return self.named(self._result.get("layer_previews", {}).get(str(layer_id)))

    def slot(self, slot_id: str) -> Asset | None:
        return self.named(self._result.get("slot_previews", {}).get(slot_id))

    def comparison(self, match: Match) -> Asset | None:
        return self.named(self._result.get("comparisons", {}).get(match.slot_id, {}).get(str(match.layer_id)))


def _card(layer: Mapping[str, Any], pictures: _Pictures, filling: Mapping[int | None, str]) -> LayerCard:
    return LayerCard(
        layer_id=layer["layer_id"],
        name=layer["name"],
        kind=layer["kind"].replace("_", " "),
        slot_kind=layer["slot_kind"],
        depth=min(len(layer["path"]), 5),
        text=layer["text"] or "",
        visible=layer["visible"],
        picture=pictures.layer(layer["layer_id"]),
        fills=filling.get(layer["layer_id"], ""),
    )


def _row(
    number: int,
    match: Match,
    slot: Mapping[str, Any],
    cards: Mapping[int, LayerCard],
    fitting: Mapping[str, list[LayerCard]],
    scores: Mapping[str, Mapping[str, float]],
    pictures: _Pictures,
) -> SlotRow:
    card = cards.get(match.layer_id or -1)
    return SlotRow(
        number=number,
        match=match,
        kind=match.slot_kind,
        comp_name=slot.get("comp_name", ""),
        reason=slot.get("reason", ""),
        text=slot.get("text") or "",
        font=slot.get("font") or "",
        picture=pictures.slot(match.slot_id),
        layer_picture=pictures.layer(match.layer_id),
        layer_text=card.text if card else "",
        comparison=pictures.comparison(match),
        choices=_choices(match, fitting.get(match.slot_kind, []), scores.get(match.slot_id, {})),
        parts=tuple(
            (PART_NAMES.get(name, name.replace("_", " ").capitalize()), points)
            for name, points in sorted(match.parts.items(), key=lambda part: -part[1])
        ),
    )


def _choices(match: Match, cards: list[LayerCard], scores: Mapping[str, float]) -> tuple[Choice, ...]:
    choices = [
        Choice(
            layer_id=card.layer_id,
            name=card.name,
            score=scores.get(str(card.layer_id)),
            chosen=card.layer_id == match.layer_id,
            visible=card.visible,
        )
        for card in cards
    ]
    return tuple(sorted(choices, key=lambda choice: -(choice.score or 0)))
