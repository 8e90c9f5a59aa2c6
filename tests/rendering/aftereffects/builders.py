"""Small After Effects projects, made by py-aep for one test each.

Items and layers are typed loosely: py-aep's property trees are unions that every test would have to take apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import py_aep
from PIL import Image


class ProjectBuilder:
    """``comp`` is a 1000x800 composition of 10 s at 25 fps named Main; layers are added on top."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = py_aep.new()
        self.project = self.app.project
        self.comp = self.add_comp("Main")

    def add_comp(self, name: str, *, width: int = 1000, height: int = 800, seconds: float = 10.0) -> Any:
        return self.project.root_folder.add_comp(name, width, height, 1.0, seconds, 25.0)

    def add_picture(self, file_name: str, *, size: tuple[int, int] = (200, 100)) -> Any:
        path = self.folder / "footage" / file_name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGBA", size, (200, 30, 30, 255)).save(path)
        return self.project.import_file(py_aep.ImportOptions(str(path)))

    def save(self, name: str = "template.aep") -> Path:
        path = self.folder / name
        self.project.save(str(path))
        return path


def name_layer(layer: Any, name: str) -> Any:
    layer.name = name
    return layer


def place(layer: Any, *, position: list[float], scale: list[float] | None = None) -> Any:
    layer.transform["ADBE Position"].value = [*position, 0.0]
    if scale is not None:
        layer.transform["ADBE Scale"].value = [*scale, 100.0]
    return layer
