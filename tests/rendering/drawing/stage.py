"""Small After Effects projects for drawing tests, and looking at pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import py_aep

from rendering.aftereffects.slots import Slot
from rendering.drawing import Compositor
from rendering.filling import Filling
from rendering.fonts import FontLibrary

RED, GREEN, BLUE, WHITE, BLACK = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
)
NO_FONTS = FontLibrary(())


class Stage:
    """One comp of 100 x 80 px, 2 s at 10 fps, black."""

    def __init__(self) -> None:
        self.app = py_aep.new()
        self.comp = self.add_comp("stage", 100, 80)

    def add_comp(self, name: str, width: int, height: int, seconds: float = 2.0) -> Any:
        return self.app.project.root_folder.add_comp(name, width, height, 1.0, seconds, 10.0)

    def solid(self, color: tuple[int, int, int], width: int = 20, height: int = 20, comp: Any = None) -> Any:
        """A solid in the middle of the comp, on top of what is there."""
        parts = [part / 255 for part in color]
        return (comp or self.comp).add_solid(parts, f"solid {color}", width, height, 1.0)

    def compositor(self, **arguments: Any) -> Compositor:
        return Compositor(self.app, **{"comp_id": self.comp.id, "fonts": NO_FONTS, **arguments})

    def pixels(self, time_seconds: float = 0.0, **arguments: Any) -> np.ndarray:
        return self.compositor(**arguments).frame(time_seconds)

    def codes(self, **arguments: Any) -> list[str]:
        return [note.code for note in self.compositor(**arguments).notes]


def at(pixels: np.ndarray, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(part) for part in pixels[y, x, :3])


def box_of(pixels: np.ndarray, is_there: Callable[[np.ndarray], np.ndarray]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the pixels that pass."""
    rows, columns = np.nonzero(is_there(pixels[..., :3].astype(int)))
    return (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def lit(rgb: np.ndarray) -> np.ndarray:
    return rgb.sum(axis=2) > 380


def filling(comp: Any, layer: Any, **content: Any) -> Filling:
    slot = Slot(
        comp_id=comp.id,
        comp_name=comp.name,
        layer_id=layer.id,
        name=layer.name,
        kind="text" if "text" in content else "image",
        reason="named so in a test",
        box=None,
        order=0,
    )
    return Filling(slot=slot, **content)
