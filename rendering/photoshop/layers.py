"""Walks the layers of an open document and says what each one is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from psd_tools import PSDImage
from psd_tools.api import layers as psd
from psd_tools.constants import Tag
from psd_tools.psd.descriptor import Bool, Descriptor

from rendering.errors import FormatError
from rendering.geometry import Box
from rendering.photoshop.document import Layer, LayerKind, TextRun

MAX_LAYERS = 5_000
MAX_DEPTH = 100
_HIGHEST_ID = 2**31 - 1
_EFFECT_TAGS = (
    Tag.OBJECT_BASED_EFFECTS_LAYER_INFO,
    Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V0,
    Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V1,
)


@dataclass(frozen=True)
class Entry:
    """A layer of psd-tools with what only a walk from the top can tell. ``base`` is what a clipped layer is cut by."""

    source: psd.Layer
    layer_id: int
    order: int
    visible: bool
    parents: tuple[Entry, ...]
    base: Entry | None

    @property
    def is_leaf(self) -> bool:
        return not self.source.is_group()


def entries_of(document: PSDImage, *, file_name: str) -> tuple[Entry, ...]:
    """Every layer at every depth, from the bottom up, groups before their content, each with an id of its own."""
    found: list[Entry] = []
    for entry in _walk(document, ()):
        found.append(replace(entry, order=len(found)))
        if len(found) > MAX_LAYERS:
            raise FormatError(file_name, f"it has more than {MAX_LAYERS:,} layers.", "Merge or delete some.")
        if len(entry.parents) > MAX_DEPTH:
            raise FormatError(file_name, f"its groups nest more than {MAX_DEPTH} deep.", "Flatten some groups.")
    return _numbered(found)


def describe(entry: Entry) -> Layer:
    """That layer as plain values."""
    source = entry.source
    text, runs = text_of(source) if isinstance(source, psd.TypeLayer) else (None, ())
    return Layer(
        layer_id=entry.layer_id,
        name=_name(source),
        kind=_kind(source),
        path=tuple(_name(parent.source) for parent in entry.parents),
        parent_id=entry.parents[-1].layer_id if entry.parents else None,
        order=entry.order,
        box=Box(*source.bbox),
        visible=entry.visible,
        opacity=source.opacity / 255,
        blend_mode=source.blend_mode.name.lower().replace("_", " "),
        clipping=source.clipping,
        has_mask=source.has_mask() or source.has_vector_mask(),
        effects=_effects(source),
        text=text,
        runs=runs,
    )


def _walk(group: Any, parents: tuple[Entry, ...]) -> Iterator[Entry]:
    base: Entry | None = None
    for source in group:
        _mark_effects_present(source)
        clipped_to = base if source.clipping else None
        visible = source.visible and (not parents or parents[-1].visible) and (not clipped_to or clipped_to.visible)
        entry = Entry(source, source.layer_id, 0, visible, parents, clipped_to)
        if not source.clipping:
            base = entry
        yield entry
        if source.is_group() and len(parents) <= MAX_DEPTH:
            yield from _walk(source, (*parents, entry))


def _numbered(found: list[Entry]) -> tuple[Entry, ...]:
    """Photoshop's ids where they are there and met first; the others get the free numbers from 1 on, in order."""
    own: dict[int, int] = {}
    for entry in found:
        if 0 < entry.layer_id <= _HIGHEST_ID:
            own.setdefault(entry.layer_id, entry.order)
    free = (number for number in range(1, _HIGHEST_ID) if number not in own)
    numbered: dict[int, Entry] = {}
    for entry in found:
        layer_id = entry.layer_id if own.get(entry.layer_id) == entry.order else next(free)
        # Parents and bases come before the layers that name them, so theirs are numbered already.
        parents = tuple(numbered[id(parent.source)] for parent in entry.parents)
        base = numbered[id(entry.base.source)] if entry.base else None
        numbered[id(entry.source)] = replace(entry, layer_id=layer_id, parents=parents, base=base)
    return tuple(numbered.values())


def _kind(source: psd.Layer) -> LayerKind:
    kinds: tuple[tuple[type, LayerKind], ...] = (
        (psd.Artboard, "artboard"),
        (psd.Group, "group"),
        (psd.TypeLayer, "type"),
        (psd.SmartObjectLayer, "smart_object"),
        (psd.ShapeLayer, "shape"),
        (psd.FillLayer, "fill"),
        (psd.AdjustmentLayer, "adjustment"),
    )
    return next((kind for kind_class, kind in kinds if isinstance(source, kind_class)), "pixel")


def _name(source: psd.Layer) -> str:
    return source.name.replace("\x00", "").strip()


def _mark_effects_present(source: psd.Layer) -> None:
    """Older Photoshops wrote only the effects that are there and did not say so; psd-tools would pass over those."""
    for tag in _EFFECT_TAGS:
        data = source.tagged_blocks.get_data(tag)
        if isinstance(data, Descriptor):
            for effect in data.values():
                if isinstance(effect, Descriptor) and b"enab" in effect and b"present" not in effect:
                    effect[b"present"] = Bool(True)


def _effects(source: psd.Layer) -> tuple[str, ...]:
    """The names of the enabled effects in Photoshop's words, each once."""
    if not source.effects.enabled:
        return ()
    names = (type(effect).__name__ for effect in source.effects if effect.enabled)
    return tuple(dict.fromkeys(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) for name in names))


def text_of(source: psd.TypeLayer) -> tuple[str, tuple[TextRun, ...]]:
    """The whole text, and its runs: their texts make up the whole text."""
    _, _, skew_y, scale_y, _, _ = source.transform
    # The second column of the matrix is where a unit of height ends up: its length is the text's scale.
    scale = math.hypot(skew_y, scale_y)
    runs = [_run(run, scale) for paragraph in source.typesetting for run in paragraph]
    merged = [replace(style, text="".join(run.text for run in same)) for style, same in _by_style(runs)]
    text = "".join(run.text for run in merged)
    if not text:
        return _plain_text(source.text).rstrip("\n"), ()
    while merged and merged[-1].text.endswith("\n"):
        stripped = merged[-1].text.rstrip("\n")
        merged[-1:] = [replace(merged[-1], text=stripped)] if stripped else []
    return text.rstrip("\n"), tuple(merged)


def _by_style(runs: list[TextRun]) -> Iterator[tuple[TextRun, Iterator[TextRun]]]:
    return groupby(runs, key=lambda run: replace(run, text=""))


def _run(run: Any, scale: float) -> TextRun:
    style = run.style
    return TextRun(
        text=_plain_text(run.text),
        font=style.font_name,
        size_px=round(style.font_size * scale, 3),
        color_rgb=_color_rgb(style),
        tracking=float(style.tracking),
        leading_px=None if style.auto_leading else round(style.leading * scale, 3),
        all_caps=style.font_caps.name == "ALL_CAPS",
    )


def _plain_text(text: str) -> str:
    """Photoshop ends paragraphs with a carriage return and lines within them with an end-of-text character."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x03", "\n").replace("\x00", "")


def _color_rgb(style: Any) -> tuple[int, int, int] | None:
    """The fill as RGB; None where there is none or where it is in an ink space that has no one RGB value."""
    values = style.fill_color if style.fill_flag else None
    if values is None or len(values) not in (2, 4):
        return None
    inks = values[1:] * (3 if len(values) == 2 else 1)
    red, green, blue = (min(255, max(0, round(ink * 255))) for ink in inks)
    return (red, green, blue)


def fill_opacity(source: psd.Layer) -> int:
    """0..255: the opacity that leaves the effects alone."""
    return int(source.tagged_blocks.get_data(Tag.BLEND_FILL_OPACITY, 255))
