"""Puts the pieces of a design on the layers of an After Effects composition."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import py_aep
from PIL import Image
from py_aep import ImportOptions, ParagraphJustification, Shape, TextDocument, TrackMatteType

from rendering.samples.canvas import Rgb, Rgba
from rendering.samples.designs import Design, ImagePiece, TextPiece
from rendering.samples.motion import POSITION, leaf

# Files of this version open in After Effects 2024 and later.
VERSION = "24.0x55"
# Projects record when their pictures were changed; a fixed moment makes the same project every time.
PICTURE_TIME = 1_750_000_000
_JUSTIFICATION = {
    "left": ParagraphJustification.LEFT_JUSTIFY,
    "right": ParagraphJustification.RIGHT_JUSTIFY,
    "center": ParagraphJustification.CENTER_JUSTIFY,
}


def new_project() -> py_aep.Project:
    return py_aep.new(version=VERSION).project


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One project in the making; every composition has the design's size and the same length and rate.

    Pictures are written as ``<prefix>_<role>.png`` into ``footage``.
    """

    project: py_aep.Project
    design: Design
    footage: Path
    prefix: str
    duration_seconds: float
    frame_rate: float

    def comp(self, name: str) -> py_aep.CompItem:
        size = self.design.width_px, self.design.height_px
        folder = self.project.root_folder
        return folder.add_comp(name, *size, 1.0, self.duration_seconds, self.frame_rate)

    def still(self, comp: py_aep.CompItem, role: str) -> py_aep.AVLayer:
        """Static art: the layer keeps its file's name, nobody fills it."""
        piece = self._image(role)
        path = self.footage / f"{self.prefix}_{role}.png"
        write_png(path, piece.pixels)
        layer = comp.add(self.project.import_file(ImportOptions(path)))
        height, width = piece.pixels.shape[:2]
        leaf(layer.transform, POSITION).value = [piece.left + width / 2, piece.top + height / 2, 0.0]
        return layer

    def image_slot(self, comp: py_aep.CompItem, role: str, name: str) -> py_aep.AVLayer:
        layer = self.still(comp, role)
        layer.name = name
        return layer

    def text_slot(self, comp: py_aep.CompItem, role: str, name: str) -> py_aep.TextLayer:
        piece = next(p for p in self.design.pieces if isinstance(p, TextPiece) and p.role == role)
        if piece.box_px is None:
            layer = comp.add_text(piece.text)
            place = [piece.x_px, piece.y_px, 0.0]
        else:
            width, height = piece.box_px
            layer = comp.add_box_text([float(width), float(height)], piece.text)
            # The box of a new box text is centred on the layer's origin.
            place = [piece.x_px + width / 2, piece.y_px + height / 2, 0.0]
        layer.name = name
        leaf(layer.transform, POSITION).value = place
        assert layer.text is not None
        document = leaf(layer.text, "ADBE Text Document").value
        assert isinstance(document, TextDocument)
        set_style(document, piece)
        return layer

    def nested(self, comp: py_aep.CompItem, inner: py_aep.CompItem) -> py_aep.AVLayer:
        return comp.add(inner)

    def solid(
        self, comp: py_aep.CompItem, rgb: Rgb, name: str, *, left: float, top: float, width_px: int, height_px: int
    ) -> py_aep.AVLayer:
        """A solid that is anchored at its left edge, so that it grows to the right."""
        layer = comp.add_solid([channel / 255 for channel in rgb], name, width_px, height_px)
        leaf(layer.transform, "ADBE Anchor Point").value = [0.0, height_px / 2, 0.0]
        leaf(layer.transform, POSITION).value = [left, top + height_px / 2, 0.0]
        return layer

    def _image(self, role: str) -> ImagePiece:
        return next(p for p in self.design.pieces if isinstance(p, ImagePiece) and p.role == role)


def write_png(path: Path, pixels: Rgba) -> None:
    """8-bit RGBA, not interlaced: the only kind that After Effects' PNG reader surely takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=6)
    os.utime(path, (PICTURE_TIME, PICTURE_TIME))


def set_style(document: TextDocument, piece: TextPiece) -> None:
    style = piece.style
    document.font = style.font
    document.font_size = float(style.size_px)
    document.fill_color = [channel / 255 for channel in style.rgb]
    document.justification = _JUSTIFICATION[style.justification]
    document.tracking = style.tracking
    document.leading = float(style.line_px)


def cut_out(layer: py_aep.AVLayer, *points: tuple[float, float]) -> None:
    """Adds a mask with straight sides, in the layer's own px."""
    outline = Shape()
    outline.vertices = [list(point) for point in points]
    outline.closed = True
    assert layer.masks is not None
    leaf(branch(layer.masks.add_property("ADBE Mask Atom")), "ADBE Mask Shape").value = outline


def reveal_through(layer: py_aep.AVLayer, matte: py_aep.AVLayer) -> None:
    layer.set_track_matte(matte, TrackMatteType.ALPHA)


def branch(found: py_aep.PropertyBase) -> py_aep.PropertyGroup:
    assert isinstance(found, py_aep.PropertyGroup)
    return found


def rounded_plate(
    comp: py_aep.CompItem, rgb: Rgb, name: str, *, center: tuple[float, float], size: tuple[float, float]
) -> py_aep.ShapeLayer:
    """A shape layer: one rectangle with half-round ends and a fill."""
    layer = comp.add_shape()
    layer.name = name
    leaf(layer.transform, POSITION).value = [*center, 0.0]
    root = branch(layer.property("ADBE Root Vectors Group"))
    contents = branch(branch(root.add_property("ADBE Vector Group")).property("ADBE Vectors Group"))
    rectangle = branch(contents.add_property("ADBE Vector Shape - Rect"))
    leaf(rectangle, "ADBE Vector Rect Size").value = list(size)
    leaf(rectangle, "ADBE Vector Rect Roundness").value = size[1] / 2
    paint = branch(contents.add_property("ADBE Vector Graphic - Fill"))
    leaf(paint, "ADBE Vector Fill Color").value = [*(channel / 255 for channel in rgb), 1.0]
    return layer
