"""Slots: the layers of a template that are meant to be filled, each with the rule that says so.

The walk starts at the render comp and goes down through every nested comp that is rendered. Not entered, not slots:
layers that are switched off, guide layers, and shy nested comps whose name says that they are the designer's
reference.

A layer is a slot when one of these holds, the first that does giving the reason:

1. an Essential Graphics panel exposes its text or media;
2. it carries Dataclay Templater's settings effect, switched on;
3. its name begins with one of Plainly's prefixes (``txt_`` for text, ``img_`` for pictures);
4. it is a picture layer that was renamed, and the name tells that it is content (featured, photo, logo, ...);
5. it is a text layer.

Static in spite of 4 and 5: a name or comment that says so (``static_``, ``label_``, ``lbl_``, ``fixed_``, ``deco_``,
the word "static"), a Templater effect that is switched off, a text that an expression writes, a picture named as
background without a word that asks for replacement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rendering.aftereffects.model import Affine, Composition, Layer, Project
from rendering.geometry import Box

SlotKind = Literal["text", "image"]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A layer that is meant to be filled.

    ``box`` is where it shows in the render comp's frame, px, at the moment it is best seen (None: never shown).
    ``source_size_px`` is the size of an image slot's source item (width, height); None for text slots.
    ``order`` counts from 0 in reading order: down the layer stack, nested comps where their layer stands.
    """

    comp_id: int
    comp_name: str
    layer_id: int
    name: str
    kind: SlotKind
    reason: str
    box: Box | None
    order: int
    text: str | None = None
    font: str | None = None
    source_size_px: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        """Stable within one project: ``<comp id>:<layer id>``."""
        return f"{self.comp_id}:{self.layer_id}"


MAX_NESTED = 300
"""How many nested comps are walked at most: nobody fills more, and a hostile file could nest without end."""

_STATIC_PREFIXES = ("static", "label_", "lbl_", "fixed_", "deco_")
_REFERENCE_WORDS = frozenset({"ref", "reference", "psd", "photoshop", "original", "guide", "mockup"})
_BACKGROUND_WORDS = frozenset({"bg", "background", "backdrop", "overlay", "texture", "vignette", "grain"})
_TELLING_WORDS = frozenset({"img", "pic", "pfp", "logo", "face"})
_REPLACE_STEMS = ("placeholder", "replace", "featured")
_TELLING_STEMS = (
    *_REPLACE_STEMS,
    "logo",
    *(
        "image",
        "photo",
        "picture",
        "portrait",
        "headshot",
        "player",
        "product",
        "avatar",
        "thumbnail",
        "cutout",
        "logo",
    ),
)
_PLACEHOLDER_TEXT = re.compile(r"\{\{[^{}]+\}\}|\[[A-Z][A-Z0-9 _-]*\]")
_TEMPLATER = ("tmpl_settings", "templater settings")
_PICTURES = frozenset({"image", "video"})


def find_slots(project: Project, *, comp_id: int | None = None) -> tuple[Slot, ...]:
    """The slots below the render comp, or below ``comp_id``; none when the project has no composition.

    Raises KeyError when there is no composition with that id.
    """
    start = project.render_comp_id if comp_id is None else comp_id
    if start is None:
        return ()
    comps = {comp.id: comp for comp in project.compositions}
    slots: list[Slot] = []
    for comp, layer, outer in _rendered(comps[start], comps, outer=_IDENTITY, entered=set()):
        judged = _judge(comp, layer)
        if judged is None:
            continue
        kind, reason = judged
        slot = Slot(
            comp_id=comp.id,
            comp_name=comp.name,
            layer_id=layer.id,
            name=layer.name,
            kind=kind,
            reason=reason,
            box=_box(layer, outer),
            order=len(slots),
            text=layer.text.text if layer.text is not None else None,
            font=layer.text.font if layer.text is not None else None,
            source_size_px=layer.source_size_px if kind == "image" else None,
        )
        slots.append(slot)
    return tuple(slots)


_IDENTITY = Affine(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def _rendered(
    comp: Composition, comps: dict[int, Composition], *, outer: Affine | None, entered: set[int]
) -> Iterator[tuple[Composition, Layer, Affine | None]]:
    """Every layer that is rendered, from the top down, with the map from its comp's frame to the outermost frame.

    A comp that is nested several times is walked once, where it shows first. ``entered`` grows.
    """
    entered.add(comp.id)
    for layer in comp.layers:
        if not layer.enabled or layer.guide:
            continue
        nested = comps.get(layer.source_id) if layer.kind == "comp" and layer.source_id is not None else None
        if nested is None:
            yield comp, layer, outer
        elif nested.id not in entered and len(entered) < MAX_NESTED and _is_shown(layer):
            yield from _rendered(nested, comps, outer=_through(layer, outer), entered=entered)


def _is_shown(layer: Layer) -> bool:
    return layer.shown_seconds is not None and not _is_reference(layer)


def _through(layer: Layer, outer: Affine | None) -> Affine | None:
    return layer.to_comp.then(outer) if outer is not None and layer.to_comp is not None else None


def _box(layer: Layer, outer: Affine | None) -> Box | None:
    if layer.box is None or layer.shown_seconds is None or outer is None:
        return None
    return outer.box(layer.box)


def _is_reference(layer: Layer) -> bool:
    return layer.shy and not _REFERENCE_WORDS.isdisjoint(_words(layer.name) | _words(layer.source_name))


def _judge(comp: Composition, layer: Layer) -> tuple[SlotKind, str] | None:
    if layer.kind == "text":
        reason = _mark(comp, layer, prefix="txt_") or _text_reason(layer)
        return None if reason is None else ("text", reason)
    if layer.kind in _PICTURES or (layer.kind == "solid" and layer.name.lower().startswith("img_")):
        reason = _mark(comp, layer, prefix="img_") or _picture_reason(layer)
        return None if reason is None else ("image", reason)
    return None


def _mark(comp: Composition, layer: Layer, *, prefix: str) -> str | None:
    """The template maker's own mark, which stands above all guesses."""
    if layer.id in comp.essential_layer_ids:
        return "Essential Graphics exposes it."
    if _templater(layer.effects) and not _templater(layer.disabled_effects):
        return "It carries Templater's settings effect."
    if layer.name.lower().startswith(prefix):
        return f"Its name begins with Plainly's prefix {prefix}."
    return None


def _templater(effects: tuple[str, ...]) -> bool:
    return any(mark in effect.lower() for effect in effects for mark in _TEMPLATER)


def _text_reason(layer: Layer) -> str | None:
    if _is_static(layer) or "Source Text" in layer.expressions:
        return None
    if layer.text is not None and _PLACEHOLDER_TEXT.search(layer.text.text):
        return "Its text is a placeholder in brackets."
    return "It is a text layer."


def _picture_reason(layer: Layer) -> str | None:
    if layer.kind != "image" or not layer.renamed or _is_static(layer):
        return None
    name = layer.name.lower()
    words = _words(layer.name)
    asks = any(stem in name for stem in _REPLACE_STEMS)
    if not asks and not _BACKGROUND_WORDS.isdisjoint(words):
        return None
    if asks or any(stem in name for stem in _TELLING_STEMS) or not _TELLING_WORDS.isdisjoint(words):
        return f"It shows {layer.source_name} and was renamed to a name that tells of content."
    return None


def _is_static(layer: Layer) -> bool:
    name = layer.name.lower()
    said = name.startswith(_STATIC_PREFIXES) or "static" in _words(layer.name) | _words(layer.comment)
    return said or _templater(layer.disabled_effects)


def _words(name: str) -> set[str]:
    """Lower-case words: parted at anything but letters, and where a small letter meets a capital."""
    parted = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return {word.lower() for word in re.findall(r"[^\W\d_]+", parted)}
