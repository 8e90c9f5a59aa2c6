"""Turns py-aep's project into compositions that can be drawn, and notes what cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rendering.drawing.blending import APPROXIMATED, DIRECT, has_formula
from rendering.drawing.compositions import Budget, Composition, Nested
from rendering.drawing.effects import read_effects
from rendering.drawing.layers import Content, DrawnLayer, Matte
from rendering.drawing.masks import read_masks
from rendering.drawing.notes import NoteBook
from rendering.drawing.shapes import Shapes
from rendering.drawing.sources import Solid, SourceLibrary, Still, Video
from rendering.drawing.text import Text
from rendering.drawing.transforms import MAX_PARENTS, LayerTransform
from rendering.drawing.values import OverTime, PropertyReader, child
from rendering.filling import Filling
from rendering.fonts import FontLibrary

MAX_NESTING = 50
# They paint a picture of their own over the solid that carries them: without it the bare solid would hide the rest.
_GENERATORS = ("ADBE AudSpect", "ADBE AudWave", "ADBE Laser", "ADBE Lightning", "APC Radio Waves", "CC Particle",
               "CC Rain", "CC Snow", "tc Particular", "tc Form", "VIDEOCOPILOT")  # fmt: skip
_FLAT_TYPES = {
    "CameraLayer": ("camera_ignored", "The camera is not drawn through; every layer is seen from the front."),
    "LightLayer": ("light_ignored", "Lights, and the shadows they cast, are not drawn."),
}


class SourceTime:
    """Comp time to source time: start, stretch, time remapping."""

    def __init__(self, layer: Any, reader: PropertyReader) -> None:
        self._start = float(layer.start_time)
        self._stretch = float(layer.stretch) / 100 or 1.0
        remapped = getattr(layer, "time_remap_enabled", False)
        self._remap: OverTime | None = reader.number(layer, "ADBE Time Remapping", 0.0) if remapped else None
        self.animated = True

    def at(self, time_seconds: float) -> float:
        if self._remap is not None:
            return float(self._remap.at(time_seconds))
        return (time_seconds - self._start) / self._stretch


class ProjectReader:
    """Reads every composition once, however often it is nested."""

    def __init__(
        self,
        *,
        notes: NoteBook,
        fonts: FontLibrary,
        fillings: Sequence[Filling],
        footage: Mapping[int, Path],
        scale: float,
        budget: Budget,
    ) -> None:
        self._notes = notes
        self._fonts = fonts
        self._fillings = {(filling.slot.comp_id, filling.slot.layer_id): filling for filling in fillings}
        self._unused = dict(self._fillings)
        self._footage = footage
        self._scale = scale
        self._budget = budget
        self._sources = SourceLibrary(notes)
        self._compositions: dict[int, Composition] = {}
        self._depth = 0

    def read(self, comp: Any) -> Composition:
        composition = self._composition(comp)
        for filling in self._unused.values():
            self._notes.add(
                "filling_not_shown", filling.slot.name, "The layer is not seen in this composition: nothing to fill."
            )
        return composition

    def _composition(self, comp: Any) -> Composition:
        known = self._compositions.get(comp.id)
        if known is not None:
            return known
        composition = Composition(
            width_px=int(comp.width),
            height_px=int(comp.height),
            duration_seconds=float(comp.duration),
            scale=self._scale,
            budget=self._budget,
        )
        # Kept before its layers are read: a composition that holds itself is seen as empty inside.
        self._compositions[comp.id] = composition
        if self._depth >= MAX_NESTING:
            self._notes.add("comp_not_drawn", comp.name, f"Compositions nested deeper than {MAX_NESTING} are empty.")
            return composition
        self._depth += 1
        composition.layers = CompReader(self, comp).layers()
        self._depth -= 1
        return composition

    def nested(self, comp: Any, source_time: OverTime, *, collapsed: bool) -> Nested:
        composition = self._composition(comp)
        apart = any(layer.needs_surface for layer in composition.layers)
        return Nested(composition, source_time, collapsed=collapsed and not apart)

    def filling(self, comp_id: int, layer_id: int) -> Filling | None:
        self._unused.pop((comp_id, layer_id), None)
        return self._fillings.get((comp_id, layer_id))

    def footage_content(self, source: Any, subject: str, source_time: OverTime) -> Content | None:
        main = source.main_source
        if type(main).__name__ == "SolidSource":
            red, green, blue = (float(part) for part in main.color[:3])
            return Solid((red, green, blue), source.width, source.height)
        if not source.has_video and source.id not in self._footage:
            return None
        path = self._footage.get(source.id)
        if path is None:
            self._notes.add("missing_footage", str(source.name), "The file is not at hand; it is left transparent.")
            return None
        return self._sources.content(
            path, subject=subject, width_px=source.width, height_px=source.height, source_time=source_time
        )

    def filled_image(self, path: Path, subject: str, width_px: float, height_px: float) -> Content | None:
        content: Still | Video | None = None
        image = self._sources.still(path)
        if image is not None:
            content = Still(image, width_px, height_px)
        else:
            self._notes.add("footage_unreadable", subject, f'"{path.name}" cannot be read; it is left transparent.')
        return content

    @property
    def notes(self) -> NoteBook:
        return self._notes

    @property
    def fonts(self) -> FontLibrary:
        return self._fonts


class CompReader:
    """Reads the layers of one composition."""

    def __init__(self, project: ProjectReader, comp: Any) -> None:
        self._project = project
        self._comp = comp
        self._notes = project.notes
        self._transforms: dict[int, LayerTransform] = {}

    def layers(self) -> tuple[DrawnLayer, ...]:
        """The layers that are seen, from the bottom up."""
        soloed = bool(self._comp.solo_layers)
        drawn: list[DrawnLayer] = []
        for layer in reversed(self._comp.layers):
            if layer.enabled and (layer.solo or not soloed) and not getattr(layer, "guide_layer", False):
                one = self._layer_or_note(layer)
                if one is not None:
                    drawn.append(one)
        if float(getattr(self._comp, "pixel_aspect", 1.0)) != 1.0:
            self._notes.add("pixel_aspect_ignored", str(self._comp.name), "Pixels are drawn as squares.")
        return tuple(drawn)

    def _layer_or_note(self, layer: Any) -> DrawnLayer | None:
        try:
            return self._layer(layer, with_matte=True)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, NotImplementedError) as error:
            # py-aep fails in its own ways on what it does not know; one such layer must not cost the whole preview.
            self._notes.add("layer_not_read", self._subject(layer), f"The layer cannot be read ({error!r:.120}).")
            return None

    def _subject(self, layer: Any) -> str:
        return f"{self._comp.name} / {layer.name}"

    def _layer(self, layer: Any, *, with_matte: bool) -> DrawnLayer | None:
        reader = PropertyReader(self._subject(layer), self._notes)
        flat = _FLAT_TYPES.get(type(layer).__name__)
        if flat is not None:
            self._notes.add(flat[0], reader.subject, flat[1])
            return None
        content = self._content(layer, reader)
        if content is None:
            return None
        if isinstance(content, Solid) and not layer.adjustment_layer and self._is_carrier(layer, reader):
            return None
        self._note_switches(layer, reader)
        start, end = sorted((float(layer.in_point), float(layer.out_point)))
        return DrawnLayer(
            transform=self._transform(layer),
            content=content,
            start_seconds=start,
            end_seconds=end,
            mode=self._mode(layer, reader),
            masks=read_masks(layer, reader),
            effects=read_effects(layer, reader),
            matte=self._matte(layer) if with_matte else None,
            preserve_transparency=bool(getattr(layer, "preserve_transparency", False)),
            backdrop_only=bool(layer.adjustment_layer),
        )

    def _content(self, layer: Any, reader: PropertyReader) -> Content | None:
        filling = self._project.filling(self._comp.id, layer.id)
        if layer.null_layer:
            return None
        if layer.adjustment_layer:
            return Solid((0.0, 0.0, 0.0), layer.width, layer.height)
        if filling is not None and filling.image is not None:
            return self._project.filled_image(filling.image, reader.subject, layer.width, layer.height)
        kind = type(layer).__name__
        if kind == "TextLayer":
            return Text(layer, reader, self._project.fonts, filling.text if filling is not None else None)
        if kind == "ShapeLayer":
            return Shapes(layer, reader)
        source = layer.source if kind == "AVLayer" else None
        if source is None:
            self._notes.add("layer_not_drawn", reader.subject, f"Layers of this kind ({kind}) are not drawn.")
            return None
        return self._source_content(layer, source, reader)

    def _source_content(self, layer: Any, source: Any, reader: PropertyReader) -> Content | None:
        source_time = SourceTime(layer, reader)
        if hasattr(source, "main_source"):
            return self._project.footage_content(source, reader.subject, source_time)
        overrides = child(layer, "ADBE Layer Overrides")
        if overrides is not None and overrides.properties:
            self._notes.add(
                "essential_properties_ignored", reader.subject, "Its own essential properties are not applied."
            )
        return self._project.nested(source, source_time, collapsed=bool(layer.collapse_transformation))

    def _is_carrier(self, layer: Any, reader: PropertyReader) -> bool:
        effects = layer.effects.properties if layer.effects is not None and layer.effects_active else ()
        for effect in effects:
            if effect.enabled and str(effect.match_name).startswith(_GENERATORS):
                self._notes.add(
                    "effect_not_drawn",
                    reader.subject,
                    f'The effect "{effect.name}" ({effect.match_name}), which is the whole layer, is not drawn.',
                )
                return True
        return False

    def _transform(self, layer: Any, depth: int = 0) -> LayerTransform:
        known = self._transforms.get(layer.id)
        if known is not None:
            return known
        parent = layer.parent if depth < MAX_PARENTS else None
        parent_transform = self._transform(parent, depth + 1) if parent is not None else None
        transform = LayerTransform(layer, PropertyReader(self._subject(layer), self._notes), parent_transform)
        self._transforms[layer.id] = transform
        return transform

    def _matte(self, layer: Any) -> Matte | None:
        kind = layer.track_matte_type.name
        source = layer.track_matte_layer if kind != "NO_TRACK_MATTE" else None
        if source is None or source.id == layer.id:
            return None
        matte = self._layer(source, with_matte=False)
        if matte is None:
            return None
        return Matte(matte, luma="LUMA" in kind, inverted="INVERTED" in kind)

    def _mode(self, layer: Any, reader: PropertyReader) -> str:
        mode = str(layer.blending_mode.name)
        if mode in APPROXIMATED or not (mode in DIRECT or has_formula(mode)):
            near = APPROXIMATED.get(mode, "NORMAL").replace("_", " ").lower()
            self._notes.add(
                "blend_mode_approximated",
                reader.subject,
                f"The blending mode {mode.replace('_', ' ').lower()} is drawn as {near}.",
            )
        return mode

    def _note_switches(self, layer: Any, reader: PropertyReader) -> None:
        source = getattr(layer, "source", None)
        if float(getattr(source, "pixel_aspect", 1.0) or 1.0) != 1.0:
            self._notes.add("pixel_aspect_ignored", reader.subject, "Pixels of its source are drawn as squares.")
        if getattr(layer, "adjustment_layer", False) and str(layer.blending_mode.name) != "NORMAL":
            self._notes.add(
                "blend_mode_approximated",
                reader.subject,
                "The adjustment layer is drawn in normal mode.",
            )
        if getattr(layer, "three_d_layer", False):
            self._notes.add("layer_drawn_flat", reader.subject, "A 3D layer, drawn flat and seen from the front.")
        if getattr(layer, "motion_blur", False) and getattr(self._comp, "motion_blur", False):
            self._notes.add("motion_blur_ignored", reader.subject, "Motion blur is not drawn.")
        if getattr(layer, "frame_blending", False) and getattr(self._comp, "frame_blending", False):
            self._notes.add("frame_blending_ignored", reader.subject, "Frames are not blended.")
        styles = child(layer, "ADBE Layer Styles")
        for style in styles.properties if styles is not None else ():
            if str(style.match_name).endswith("/enabled") and style.enabled:
                self._notes.add(
                    "layer_style_not_drawn", reader.subject, f'The layer style "{style.name}" is not drawn.'
                )
