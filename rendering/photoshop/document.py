"""What we read from a Photoshop document (.psd, .psb), as plain frozen values and PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rendering.geometry import Box

LayerKind = Literal["group", "artboard", "pixel", "type", "shape", "fill", "adjustment", "smart_object"]


@dataclass(frozen=True, kw_only=True)
class TextRun:
    """A stretch of one style. ``font`` is the PostScript name; size and leading in px of the document; colour 0..255.

    ``tracking`` is in thousandths of an em; ``leading_px`` is None where Photoshop sets it itself (auto leading).
    """

    text: str
    font: str
    size_px: float
    color_rgb: tuple[int, int, int] | None
    tracking: float
    leading_px: float | None
    all_caps: bool = False


@dataclass(frozen=True, kw_only=True)
class Layer:
    """``order`` counts from 0 at the bottom, over all depths. ``visible`` takes into account the groups above and for a
    clipped layer, the layer that it is clipped to.

    ``layer_id`` is Photoshop's own where it is there and unique, otherwise a free number that depends on the order.
    ``path`` holds the names of the groups above, outermost first. ``opacity`` is 0..1. ``blend_mode`` is in words
    (``linear dodge``), as are the names of the enabled ``effects`` (``Drop Shadow``). ``text`` has "\\n" line ends.
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
    """``layers`` from the bottom up, groups before their content. ``has_composite``: Photoshop's own is in the file."""

    file_name: str
    width_px: int
    height_px: int
    color_mode: str
    depth_bits: int
    layers: tuple[Layer, ...]
    has_composite: bool = True


@dataclass(frozen=True, kw_only=True)
class LayerImage:
    """A layer as an 8-bit RGBA PNG of straight alpha. ``box`` is where its pixels lie in the document, px."""

    layer_id: int
    path: Path
    box: Box
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class CompositeImage:
    """The flattened document as an RGBA PNG: Photoshop's own (``embedded``) or, where it is absent, psd-tools'."""

    path: Path
    width_px: int
    height_px: int
    source: Literal["embedded", "drawn"]
