"""What we read from a Photoshop document (.psd, .psb), as plain frozen values and PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rendering.geometry import Box

LayerKind = Literal["group", "artboard", "pixel", "type", "shape", "fill", "adjustment", "smart_object"]


@dataclass(frozen=True, kw_only=True)
class TextRun:
    """A stretch of one style. ``font`` is the PostScript name; size and leading in px of the document; colour 0..255."""

    text: str
    font: str
    size_px: float
    color_rgb: tuple[int, int, int] | None
    tracking: float
    leading_px: float | None


@dataclass(frozen=True, kw_only=True)
class Layer:
    """``order`` counts from 0 at the bottom, over all depths. ``visible`` takes the groups above into account.

    ``path`` holds the names of the groups above, outermost first. ``opacity`` is 0..1.
    """

    layer_id: int
    name: str
    kind: LayerKind
    path: tuple[str, ...]
    parent_id: int | None
    order: int
    box: Box
    visible: bool
    opacity: float
    blend_mode: str
    clipping: bool
    has_mask: bool
    effects: tuple[str, ...] = ()
    text: str | None = None
    runs: tuple[TextRun, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """``layers`` from the bottom up, groups before their content."""

    file_name: str
    width_px: int
    height_px: int
    color_mode: str
    depth_bits: int
    layers: tuple[Layer, ...]
