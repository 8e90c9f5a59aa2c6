"""What we read from an After Effects project (.aep, .aepx), as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rendering.geometry import Box

LayerKind = Literal[
    "text", "image", "video", "audio", "comp", "solid", "shape", "null", "adjustment", "camera", "light", "other"
]


@dataclass(frozen=True, kw_only=True)
class LayerText:
    """The source text at time 0 with the style of its first character. Lengths in px, colours 0..255."""

    text: str
    font: str
    size_px: float
    leading_px: float | None
    tracking: float
    justification: str
    fill_rgb: tuple[int, int, int] | None
    box_size_px: tuple[float, float] | None
    all_caps: bool


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a composition. ``index`` counts from 1 at the top, as After Effects does.

    ``box`` is in the frame of the layer's own composition, px.
    """

    id: int
    index: int
    name: str
    kind: LayerKind
    enabled: bool
    shy: bool
    guide: bool
    three_d: bool
    renamed: bool
    parent_id: int | None
    source_id: int | None
    source_name: str
    in_seconds: float
    out_seconds: float
    blend_mode: str
    box: Box | None
    text: LayerText | None = None
    effects: tuple[str, ...] = ()
    effect_match_names: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Composition:
    id: int
    name: str
    width_px: int
    height_px: int
    duration_seconds: float
    frame_rate: float
    renderer: str
    layers: tuple[Layer, ...]
    essential_layer_ids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A footage item that is a file. ``references`` counts the layers that show it.

    ``psd_layer`` names the layer of a layered file (.psd) that this item shows.
    """

    id: int
    name: str
    path: str
    found: bool
    width_px: int
    height_px: int
    references: int
    psd_layer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Project:
    """``render_comp_id`` is None when the project has no composition; ``render_comp_reason`` says why it was chosen."""

    file_name: str
    version: str
    compositions: tuple[Composition, ...]
    footage: tuple[Footage, ...]
    fonts: tuple[str, ...]
    render_comp_id: int | None
    render_comp_reason: str

    def composition(self, comp_id: int) -> Composition:
        """The composition with that item id; KeyError when there is none."""
        for comp in self.compositions:
            if comp.id == comp_id:
                return comp
        raise KeyError(comp_id)
