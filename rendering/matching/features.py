"""Weighs what the features say: the points of every pair of a layer and a slot of one kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rendering import photoshop
from rendering.aftereffects import project as ae
from rendering.aftereffects.slots import Slot, SlotKind
from rendering.matching import contents, places
from rendering.matching.evidence import Evidence, Grid, Mask
from rendering.matching.names import Words, name_evidence, words_of

# Points out of 100 when every feature is known. A feature of a pair that is left out (pixels without pictures) gives
# its points to the others; one that is merely silent (a name that says nothing) gets the neutral share instead,
# so that little evidence never makes a high score.
WEIGHTS: Mapping[SlotKind, Mapping[str, float]] = {
    "text": {"kind": 10.0, "name": 30.0, "geometry": 30.0, "order": 20.0, "text": 10.0},
    "image": {"kind": 15.0, "name": 30.0, "geometry": 30.0, "order": 10.0, "pixels": 15.0},
}
NEUTRAL: Mapping[str, float] = {"name": 0.45, "geometry": 0.4, "order": 0.5, "text": 0.4}

# How well a kind of layer suits a kind of slot; what is not here is impossible.
KINDS: Mapping[SlotKind, Mapping[photoshop.LayerKind, float]] = {
    "text": {"type": 1.0},
    "image": {"pixel": 1.0, "smart_object": 1.0, "shape": 0.8, "fill": 0.6},
}
BACKGROUND_MISMATCH = 0.25


@dataclass(frozen=True)
class Points:
    """All (layers, slots); ``parts`` and ``total`` in points out of 100; ``used``: where a feature was not left out."""

    parts: Mapping[str, Grid]
    used: Mapping[str, Mask]
    total: Grid


def frame_of(document: photoshop.Document, project: ae.Project) -> tuple[int, int]:
    """Size of the render comp in px; of the document when the project has no composition."""
    if project.render_comp_id is None:
        return document.width_px, document.height_px
    comp = project.composition(project.render_comp_id)
    return comp.width_px, comp.height_px


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both sides of the question, all of one slot kind."""

    document: photoshop.Document
    project: ae.Project
    layers: Sequence[photoshop.Layer]
    slots: Sequence[Slot]
    images: Mapping[int, Path]
    slot_images: Mapping[str, Path]

    def points(self, kind: SlotKind) -> Points:
        """The points of every pair; ``layers`` and ``slots`` must hold at least one each."""
        weighted = {"name": self._names().or_neutral(NEUTRAL["name"])}
        geometry, order = self._places(kind)
        weighted["geometry"] = geometry.or_neutral(NEUTRAL["geometry"])
        weighted["order"] = order.or_neutral(NEUTRAL["order"])
        weighted["kind"] = self._kinds(kind)
        weights = {feature: np.full(self._shape, weight) for feature, weight in WEIGHTS[kind].items()}
        if kind == "text":
            texts = contents.text_evidence(
                [_text(layer) for layer in self.layers], [slot.text or "" for slot in self.slots]
            )
            weighted["text"] = texts.or_neutral(NEUTRAL["text"])
        else:
            pixels = self._pixels()
            weighted["pixels"] = pixels.or_neutral(0.0)
            weights["pixels"] = np.where(pixels.known, weights["pixels"], 0.0)
        whole: Grid = sum(weights.values(), np.zeros(self._shape))
        parts = {feature: 100 * weighted[feature] * weight / whole for feature, weight in weights.items()}
        used = {feature: weight > 0 for feature, weight in weights.items()}
        return Points(parts, used, sum(parts.values(), np.zeros(self._shape)))

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.layers), len(self.slots)

    def _kinds(self, kind: SlotKind) -> Grid:
        suits = np.array([KINDS[kind].get(layer.kind, 0.0) for layer in self.layers])[:, np.newaxis]
        kinds = np.broadcast_to(suits, self._shape)
        if kind == "text":
            return kinds
        differ = self._background_layers()[:, np.newaxis] != self._background_slots()[np.newaxis, :]
        return np.where(differ, BACKGROUND_MISMATCH * kinds, kinds)

    def _names(self) -> Evidence:
        layer_words = [words_of(layer.name) for layer in self.layers]
        by_content = np.array([_is_named_by_content(layer) for layer in self.layers], dtype=np.bool_)
        evidence = name_evidence(layer_words, [words_of(slot.name) for slot in self.slots], named_by_content=by_content)
        values, known = evidence.values, evidence.known
        for other_names in (self._source_names(), [_placeholder_name(slot) for slot in self.slots]):
            if any(other_names):
                other = name_evidence(
                    layer_words, [words_of(name) for name in other_names], named_by_content=by_content
                )
                better = other.known & (~known | (other.values > values))
                values, known = np.where(better, other.values, values), known | other.known
        return Evidence(values, known)

    def _places(self, kind: SlotKind) -> tuple[Evidence, Evidence]:
        document_frame = (float(self.document.width_px), float(self.document.height_px))
        comp_frame = frame_of(self.document, self.project)
        layers, slots = self._layer_boxes(), self._slot_boxes()
        order = places.order_evidence(layers, slots)
        if kind == "text":
            return places.text_geometry(layers, slots), order
        aspects = (document_frame[0] / max(1.0, document_frame[1]), comp_frame[0] / max(1, comp_frame[1]))
        geometry = places.image_geometry(layers, slots, frame_aspects=aspects)
        mismatch = self._background_layers()[:, np.newaxis] & ~self._background_slots()[np.newaxis, :]
        return Evidence(np.where(mismatch, 0.5 * geometry.values, geometry.values), geometry.known), order

    def _pixels(self) -> Evidence:
        return contents.pixel_evidence(
            [self.images.get(layer.layer_id) for layer in self.layers],
            [self.slot_images.get(slot.id) for slot in self.slots],
        )

    def _layer_boxes(self) -> Grid:
        frame = (float(self.document.width_px), float(self.document.height_px))
        return places.boxes_in_frame([layer.box for layer in self.layers], frame=frame)

    def _slot_boxes(self) -> Grid:
        return places.boxes_in_frame([slot.box for slot in self.slots], frame=frame_of(self.document, self.project))

    def _background_layers(self) -> Mask:
        """The lowest layer when it fills the canvas, and every layer that fills it and is named a background."""
        full = places.covers_frame(self._layer_boxes())
        lowest = min((layer.order for layer in self.document.layers if is_drawn_leaf(layer)), default=-1)
        lies_under = np.array([layer.order == lowest for layer in self.layers], dtype=np.bool_)
        return np.asarray(full & (lies_under | _named_background([words_of(layer.name) for layer in self.layers])))

    def _background_slots(self) -> Mask:
        """Slots named a background, by themselves or by their source."""
        own = _named_background([words_of(slot.name) for slot in self.slots])
        return np.asarray(own | _named_background([words_of(name) for name in self._source_names()]))

    def _source_names(self) -> list[str]:
        names = {
            (comp.id, layer.id): layer.source_name
            for comp in self.project.compositions
            for layer in comp.layers
            if layer.source_id is not None
        }
        return [names.get((slot.comp_id, slot.layer_id), "") for slot in self.slots]


def is_drawn_leaf(layer: photoshop.Layer) -> bool:
    """Whether the layer itself puts pixels on the canvas."""
    return layer.visible and layer.kind not in ("group", "artboard", "adjustment")


def _text(layer: photoshop.Layer) -> str:
    return layer.text or ""


def _named_background(names: Sequence[Words]) -> Mask:
    return np.array(["background" in name.words for name in names], dtype=np.bool_)


def _is_named_by_content(layer: photoshop.Layer) -> bool:
    """Photoshop names a type layer after the start of its text until a person names it."""
    content, name = " ".join(_text(layer).split()).casefold(), " ".join(layer.name.split()).casefold()
    return bool(content) and content.startswith(name)


def _placeholder_name(slot: Slot) -> str:
    """``first_name`` of a text such as ``{{first_name}}`` or ``[FIRST NAME]``."""
    text = (slot.text or "").strip()
    for opening, closing in (("{{", "}}"), ("[", "]"), ("{", "}"), ("<", ">"), ("%", "%")):
        if len(text) > len(opening + closing) and text.startswith(opening) and text.endswith(closing):
            return text[len(opening) : -len(closing)].strip()
    return ""
