"""One layer of a composition as plain values, read through py-aep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import py_aep

from rendering.aftereffects.model import Layer, LayerKind
from rendering.aftereffects.placement import place
from rendering.aftereffects.texts import describe_text
from rendering.fonts import FontLibrary


def describe_layer(layer: py_aep.Layer, *, index: int, fonts: FontLibrary | None = None) -> Layer:
    """``index`` counts from 1 at the top. Point text is measured with ``fonts``."""
    source = getattr(layer, "source", None)
    kind = kind_of(layer)
    text = describe_text(layer) if kind == "text" else None
    placement = place(layer, kind=kind, fonts=fonts)
    effects = list(layer.effects.properties) if layer.effects is not None else []
    return Layer(
        id=layer.id,
        index=index,
        name=layer.name,
        kind=kind,
        enabled=bool(layer.enabled),
        shy=bool(layer.shy),
        guide=bool(getattr(layer, "guide_layer", False)),
        three_d=bool(layer.is_3d),
        renamed=source is not None and bool(layer.is_name_set) and layer.name != source.name,
        parent_id=layer.parent.id if layer.parent is not None else None,
        source_id=source.id if source is not None else None,
        source_name=source.name if source is not None else "",
        in_seconds=float(layer.in_point),
        out_seconds=float(layer.out_point),
        blend_mode=_blend_mode(layer),
        box=placement.box,
        text=text,
        effects=tuple(effect.name for effect in effects),
        effect_match_names=tuple(effect.match_name for effect in effects),
        expressions=tuple(expressions_of(layer)),
        comment=layer.comment,
        disabled_effects=tuple(effect.name for effect in effects if not effect.enabled),
        shown_seconds=placement.shown_seconds,
        to_comp=placement.to_comp,
        box_exact=placement.exact,
        source_size_px=(int(source.width), int(source.height)) if source is not None else None,
    )


def kind_of(layer: py_aep.Layer) -> LayerKind:
    if isinstance(layer, py_aep.CameraLayer):
        return "camera"
    if isinstance(layer, py_aep.LightLayer):
        return "light"
    if not isinstance(layer, py_aep.AVLayer):
        return "other"
    if layer.null_layer:
        return "null"
    if layer.adjustment_layer:
        return "adjustment"
    if isinstance(layer, py_aep.TextLayer):
        return "text"
    if isinstance(layer, py_aep.ShapeLayer):
        return "shape"
    return _source_kind(layer.source)


def _source_kind(source: Any) -> LayerKind:
    if isinstance(source, py_aep.CompItem):
        return "comp"
    if not isinstance(source, py_aep.FootageItem):
        return "other"
    main = source.main_source
    if isinstance(main, py_aep.SolidSource):
        return "solid"
    if source.has_video:
        return "image" if main.is_still else "video"
    return "audio" if source.has_audio else "other"


def _blend_mode(layer: py_aep.Layer) -> str:
    mode = getattr(layer, "blending_mode", None)
    return str(mode.name).lower() if mode is not None else "normal"


def expressions_of(group: py_aep.PropertyGroup) -> Iterator[str]:
    """The names of all properties below that an enabled expression drives."""
    for child in group.properties:
        if isinstance(child, py_aep.PropertyGroup):
            yield from expressions_of(child)
        elif isinstance(child, py_aep.Property) and child.expression_enabled and child.expression:
            yield child.name
