"""Draws a composition of an After Effects project, moment by moment, without After Effects."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import skia

from rendering.aftereffects.project import foreign_input
from rendering.drawing.compositions import Budget, Composition, surface_scale
from rendering.drawing.notes import FidelityNote, NoteBook
from rendering.drawing.reading import ProjectReader
from rendering.errors import FormatError
from rendering.filling import Filling
from rendering.fonts import FontLibrary
from rendering.pixels import Rgba

MAX_SCALE = 4.0


class Compositor:
    """Frames of one composition with its slots filled.

    ``project`` is py-aep's application or an ``OpenProject``. ``footage`` maps item ids to files on disk; no other
    file is ever opened, and items without one are left transparent. Sizes are the composition's, in px, times
    ``scale``. Raises ``FormatError`` when the project cannot be read, ``KeyError`` for an unknown composition.
    """

    def __init__(
        self,
        project: Any,
        *,
        comp_id: int,
        fonts: FontLibrary,
        fillings: Sequence[Filling] = (),
        footage: Mapping[int, Path] | None = None,
        scale: float = 1.0,
    ) -> None:
        if not 0 < scale <= MAX_SCALE:
            raise ValueError(f"scale must be above 0 and at most {MAX_SCALE}, not {scale}")
        app = getattr(project, "app", project)
        self._file_name = str(getattr(project, "file_name", None) or Path(str(app.project.file or "project")).name)
        self._notes = NoteBook()
        self._budget = Budget(self._file_name)
        comp = _find_comp(app, comp_id, self._file_name)
        with foreign_input(self._file_name):
            allowed = surface_scale(int(comp.width), int(comp.height), scale)
            reader = ProjectReader(
                notes=self._notes,
                fonts=fonts,
                fillings=fillings,
                footage=footage or {},
                scale=allowed,
                budget=self._budget,
            )
            self._composition: Composition = reader.read(comp)
            self.name = str(comp.name)
            self.duration_seconds = float(comp.duration)
            self.frame_rate = float(comp.frame_rate)
            self._background = skia.Color4f(*(float(part) for part in comp.bg_color[:3]), 1.0)
        if not (0 < self.frame_rate < math.inf and 0 < self.duration_seconds < math.inf):
            raise FormatError(self._file_name, f'the composition "{self.name}" has no length or no frame rate.')
        if allowed < scale:
            self._notes.add("preview_scaled", str(comp.name), "The composition is too large and drawn smaller.")
        self.width_px, self.height_px = self._composition.surface_size_px

    def within(self, max_side_px: int) -> Compositor:
        """The same composition, drawn smaller where a side is longer than that."""
        if max(self.width_px, self.height_px) <= max_side_px:
            return self
        smaller = copy.copy(self)
        smaller._composition = self._composition.shrunk(max_side_px)
        smaller.width_px, smaller.height_px = smaller._composition.surface_size_px
        return smaller

    @property
    def notes(self) -> tuple[FidelityNote, ...]:
        return self._notes.notes

    @property
    def frame_count(self) -> int:
        return max(1, round(self.duration_seconds * self.frame_rate))

    def frame(self, time_seconds: float) -> Rgba:
        """Opaque RGBA at that comp time, over the composition's background colour: a new uint8 (height, width, 4)."""
        # Skia's own order of channels: its fast paths know no other, and turning it round at the end costs 1 ms.
        surface = skia.Surface(self.width_px, self.height_px)
        self._budget.renew()
        surface.getCanvas().clear(self._background)
        self._composition.draw_on(surface, time_seconds)
        return cast(Rgba, surface.toarray(colorType=skia.ColorType.kRGBA_8888_ColorType))

    def frames(self, frame_count: int | None = None, *, frame_rate: float | None = None) -> Iterator[tuple[Rgba, bool]]:
        """Frame after frame from 0 s with whether it differs from the one before; equal frames are one array.

        The composition's own length and rate unless others are given. Nobody may write into the arrays.
        """
        shown: tuple[int, Rgba] | None = None
        for index in range(self.frame_count if frame_count is None else frame_count):
            moment = index / (frame_rate or self.frame_rate)
            self._budget.renew()
            signature = self._composition.signature(moment)
            is_new = shown is None or shown[0] != signature
            if shown is None or is_new:
                shown = (signature, self.frame(moment))
            yield shown[1], is_new


def _find_comp(app: Any, comp_id: int, file_name: str) -> Any:
    with foreign_input(file_name):
        comps = {comp.id: comp for comp in app.project.compositions}
    return comps[comp_id]
