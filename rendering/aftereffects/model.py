"""The frozen values that stand for an After Effects project. ``rendering.aftereffects.project`` offers them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from rendering.geometry import Box

LayerKind = Literal[
    "text", "image", "video", "audio", "comp", "solid", "shape", "null", "adjustment", "camera", "light", "other"
]


class Affine(NamedTuple):
    """Maps (x, y) to (a*x + c*y + e, b*x + d*y + f), px to px."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def box(self, box: Box) -> Box:
        """The upright box around the mapped corners."""
        corners = [
            (self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f)
            for x in (box.left, box.right)
            for y in (box.top, box.bottom)
        ]
        xs, ys = zip(*corners, strict=True)
        return Box(min(xs), min(ys), max(xs), max(ys))

    def then(self, outer: Affine) -> Affine:
        """This map first, ``outer`` after it."""
        return Affine(
            outer.a * self.a + outer.c * self.b,
            outer.b * self.a + outer.d * self.b,
            outer.a * self.c + outer.c * self.d,
            outer.b * self.c + outer.d * self.d,
            outer.a * self.e + outer.c * self.f + outer.e,
            outer.b * self.e + outer.d * self.f + outer.f,
        )


@dataclass(frozen=True, kw_only=True)
class LayerText:
    """The source text at time 0 with the style of its first character. Lengths in px, colours 0..255.

    Scales are 1.0 for 100 percent.
    """

    text: str
    font: str
    size_px: float
    leading_px: float | None
    tracking: float
    justification: str
    fill_rgb: tuple[int, int, int] | None
    box_size_px: tuple[float, float] | None
    all_caps: bool
    horizontal_scale: float = 1.0
    vertical_scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a composition. ``index`` counts from 1 at the top, as After Effects does.

    ``box`` is in the frame of the layer's own composition, px, at ``shown_seconds``: the moment, in the composition's
    time, at which the layer is best seen (None: it is never shown). ``to_comp`` maps the layer's own px there.
    ``box_exact`` is False where the box of a point text was not measured with its own font. ``disabled_effects`` names
    the effects whose switch is off. ``source_size_px`` is the size of the source item (width, height).
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
    disabled_effects: tuple[str, ...] = ()
    shown_seconds: float | None = None
    to_comp: Affine | None = None
    box_exact: bool = True
    source_size_px: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Composition:
    """``essential_layer_ids`` are the layers of this comp whose text or media any Essential Graphics panel exposes;
    ``essential_controllers`` are the names in this comp's own panel.
    """

    id: int
    name: str
    width_px: int
    height_px: int
    duration_seconds: float
    frame_rate: float
    renderer: str
    layers: tuple[Layer, ...]
    essential_layer_ids: tuple[int, ...] = ()
    essential_controllers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A footage item that is a file. ``references`` counts the layers that show it.

    ``path`` is the path the project records, in the style of the machine that saved it; items of one file share it.
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
