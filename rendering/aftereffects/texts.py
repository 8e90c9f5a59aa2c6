"""The source text of a text layer as plain values, read through py-aep."""

from __future__ import annotations

from collections.abc import Sequence

import py_aep

from rendering.aftereffects.model import LayerText

_JUSTIFICATIONS = {
    "MULTIPLE_JUSTIFICATIONS": "left",
    "LEFT_JUSTIFY": "left",
    "RIGHT_JUSTIFY": "right",
    "CENTER_JUSTIFY": "center",
    "FULL_JUSTIFY_LASTLINE_LEFT": "justify_left",
    "FULL_JUSTIFY_LASTLINE_RIGHT": "justify_right",
    "FULL_JUSTIFY_LASTLINE_CENTER": "justify_center",
    "FULL_JUSTIFY_LASTLINE_FULL": "justify_full",
}


def text_document(layer: py_aep.Layer, *, seconds: float) -> py_aep.TextDocument | None:
    """The text document before expressions at a time of the layer's comp; None where the layer has none."""
    found = layer.text["ADBE Text Document"] if layer.text is not None else None
    if not isinstance(found, py_aep.Property):
        return None
    document = found.value_at_time(seconds)
    return document if isinstance(document, py_aep.TextDocument) else None


def describe_text(layer: py_aep.Layer) -> LayerText | None:
    """What the layer says at time 0; None where it has no source text."""
    document = text_document(layer, seconds=0.0)
    return None if document is None else text_at(document)


def text_at(document: py_aep.TextDocument) -> LayerText:
    """The text with the style of its first character."""
    size = document.box_text_size if document.box_text else None
    return LayerText(
        text=plain_text(document.text or ""),
        font=document.font or "",
        size_px=float(document.font_size or 0.0),
        leading_px=float(document.leading) if document.leading is not None else None,
        tracking=float(document.tracking or 0.0),
        justification=_JUSTIFICATIONS.get(getattr(document.justification, "name", ""), "left"),
        fill_rgb=_rgb(document.fill_color) if document.apply_fill else None,
        box_size_px=(float(size[0]), float(size[1])) if size else None,
        all_caps=bool(document.all_caps),
        horizontal_scale=float(document.horizontal_scale or 1.0),
        vertical_scale=float(document.vertical_scale or 1.0),
    )


def plain_text(text: str) -> str:
    """After Effects parts paragraphs with a carriage return, and lines inside one with U+0003."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x03", "\n")


def _rgb(color: Sequence[float] | None) -> tuple[int, int, int] | None:
    if color is None or len(color) < 3:
        return None
    red, green, blue = (min(255, max(0, round(float(part) * 255))) for part in color[:3])
    return red, green, blue
