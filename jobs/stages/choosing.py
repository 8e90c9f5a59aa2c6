"""Which layers a sheet's row names for the slots of its template, and what is to be said about its cells."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.slot_columns import name_key, titles
from rendering.aftereffects.slots import Slot
from rendering.findings import Finding
from rendering.matching import can_fill, nearest_names
from rendering.photoshop import Document, Layer

KEEP = frozenset({"-", "–", "—"})


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """``layers`` are the layers of slots by the slots' ids, None for a slot that keeps the template's content."""

    layers: dict[str, int | None] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def choose(cells: Mapping[str, str], slots: Sequence[Slot], document: Document, *, line: int) -> Chosen:
    """The layers that the cells of a row name. ``line`` is the row's, for the findings."""
    known = titles((slot.name, slot.kind) for slot in slots)
    by_key = dict(zip(map(name_key, known), slots, strict=True))
    design = _Design(document) if cells else None
    layers: dict[str, int | None] = {}
    findings: list[Finding] = []
    for title, text in cells.items():
        where = f"Line {line}, “{title}”"
        slot = by_key.get(name_key(title))
        if slot is None or design is None:
            findings.append(_unknown_slot(where, title, known))
        elif text in KEEP:
            layers[slot.id] = None
        else:
            layer, finding = design.find(where, text, slot, taken=set(layers.values()))
            findings += [finding] if finding else []
            layers |= {slot.id: layer.layer_id} if layer else {}
    return Chosen(layers=layers, findings=tuple(findings))


class _Design:
    """The layers of a design by what people call them."""

    def __init__(self, document: Document) -> None:
        self._layers = [(f"/{_path_key((*layer.path, layer.name))}", layer) for layer in document.layers]

    def find(
        self, where: str, text: str, slot: Slot, *, taken: Collection[int | None]
    ) -> tuple[Layer | None, Finding | None]:
        """The layer that a cell names, and what is to be said about it."""
        ending = f"/{_path_key(text.split('/'))}"
        named = [layer for path, layer in self._layers if path.endswith(ending)]
        if not named:
            return None, _unknown_layer(where, text, slot, [layer for _, layer in self._layers])
        fitting = [layer for layer in named if can_fill(layer, slot)]
        if not fitting:
            return None, _unfit(where, named[-1], slot)
        to_the_letter = [layer for layer in fitting if _same(layer.name, text)]
        likely = to_the_letter or fitting
        free = [layer for layer in likely if layer.layer_id not in taken]
        if not free:
            return None, _taken(where, likely[-1], slot)
        uppermost = max(free, key=lambda layer: layer.order)
        return uppermost, _ambiguous(where, uppermost, slot, len(likely)) if len(likely) > 1 else None


def _path_key(names: Sequence[str]) -> str:
    return "/".join(name_key(part) for name in names for part in name.split("/"))


def _same(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


# What is said about a cell --------------------------------------------------------------------------------------------
def _finding(code: str, slot_name: str, message: str, cure: str, evidence: str = "") -> Finding:
    return Finding(code=code, severity="warning", object=slot_name, message=message, cure=cure, evidence=evidence)


def _unknown_slot(where: str, title: str, known: Sequence[str]) -> Finding:
    return _finding(
        "unknown_slot_column",
        title,
        f"{where}: the template has no such slot, the cell is left aside.",
        _nearest("Its slots are called", title, known) or "The template has no slots.",
    )


def _unknown_layer(where: str, text: str, slot: Slot, layers: Sequence[Layer]) -> Finding:
    names = [layer.name for layer in layers if can_fill(layer, slot)]
    nearest = _nearest("The nearest are", text, names) or f"The design has no layer that can fill a {slot.kind} slot."
    return _finding(
        "unknown_layer",
        slot.name,
        f"{where}: the design has no layer {_quoted(text)}. The slot was matched as if the cell were empty.",
        f"{nearest} Choose the layer here, or correct the name in the sheet.",
    )


def _unfit(where: str, layer: Layer, slot: Slot) -> Finding:
    if not layer.visible:
        reason = "is hidden"
    elif layer.kind in ("group", "artboard", "adjustment"):
        reason = f"is a layer of the kind {layer.kind}"
    elif layer.kind == "type" or slot.kind == "text":
        reason = f"is {'a text' if layer.kind == 'type' else 'a picture'}, the slot takes {_article(slot.kind)}"
    else:
        reason = "has no pixels"
    return _finding(
        "layer_cannot_fill",
        slot.name,
        f"{where}: the layer {_quoted(layer.name)} {reason}. The slot was matched as if the cell were empty.",
        "Choose another layer here, or name another in the sheet.",
    )


def _taken(where: str, layer: Layer, slot: Slot) -> Finding:
    return _finding(
        "layer_named_twice",
        slot.name,
        f"{where}: the layer {_quoted(layer.name)} fills another slot of the row already, and fills one only.",
        "Name another layer, or copy the layer in the design.",
    )


def _ambiguous(where: str, layer: Layer, slot: Slot, count: int) -> Finding:
    path = "/".join((*layer.path, layer.name))
    return _finding(
        "ambiguous_layer",
        slot.name,
        f"{where}: {count} layers are called {_quoted(layer.name)}; the uppermost that was free was taken.",
        f"Look whether it is the right one. With its groups it is {_quoted(path)}.",
    )


def _article(kind: str) -> str:
    return "a text" if kind == "text" else "a picture"


def _nearest(words: str, text: str, names: Sequence[str]) -> str:
    return f"{words} {', '.join(map(_quoted, nearest_names(text, names)))}." if names else ""


def _quoted(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= most else line[: most - 1] + '…'}”"
