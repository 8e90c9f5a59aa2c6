"""Writes the sample Photoshop documents: pixel layers, real type layers, groups and the flattened composite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import Group, PixelLayer
from psd_tools.constants import Compression, Resource, Tag
from psd_tools.psd.image_resources import ImageResource, ResoulutionInfo
from psd_tools.psd.tagged_blocks import TaggedBlock

from rendering.geometry import Box
from rendering.samples.canvas import Rgba
from rendering.samples.catalog import SAMPLES, Sample
from rendering.samples.designs import Design, ImagePiece, TextPiece
from rendering.samples.fonts import BOLD_FONT, build_fonts
from rendering.samples.type_layers import TYPE_LAYER, type_layer
from rendering.samples.typesetting import SetText, Style, set_text

# 72 dpi as Photoshop's 16.16 fixed-point number: then a point is a pixel.
_DPI_72 = 72 << 16


def build_documents(directory: Path, *, fonts: Path) -> tuple[Path, ...]:
    """Writes the twelve sample documents into ``directory`` and answers their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(_build(sample, directory / sample.file_name, fonts) for sample in SAMPLES)


def tiny_document(
    path: Path, *, fonts: Path | None = None, text: str = "Hello", name: str = "Title", font: str = BOLD_FONT
) -> Path:
    """A 64 x 64 document for tests: a pixel layer "photo" under a type layer ``name``.

    ``fonts`` is the folder of ``font``; without it our own typeface is built once for this process (0.1 s).
    """
    pixels = np.zeros((32, 32, 4), dtype=np.uint8)
    pixels[...] = (200, 60, 40, 255)
    style = Style(font=font, size_px=16, rgb=(255, 255, 255))
    design = Design(
        width_px=64,
        height_px=64,
        pieces=(
            ImagePiece(role="photo", pixels=pixels, left=16, top=24),
            TextPiece(role="text", text=text, style=style, x_px=4, y_px=16),
        ),
    )
    write_document(
        path, design, names={"photo": "photo", "text": name}, groups=(), fonts=fonts or Path(_own_fonts().name)
    )
    return path


@cache
def _own_fonts() -> TemporaryDirectory[str]:
    """Goes away with the process."""
    folder = TemporaryDirectory(prefix="aeproject-fonts-")
    build_fonts(Path(folder.name))
    return folder


def _build(sample: Sample, path: Path, fonts: Path) -> Path:
    write_document(path, sample.design(fonts), names=sample.names, groups=sample.groups, fonts=fonts)
    return path


def write_document(
    path: Path,
    design: Design,
    *,
    names: Mapping[str, str],
    groups: tuple[tuple[str, tuple[str, ...]], ...],
    fonts: Path,
) -> None:
    """Writes ``design`` as an 8-bit RGB document (with an alpha channel if no layer fills it)."""
    drawn = [(piece, _draw(piece, fonts)) for piece in design.pieces]
    merged = _merged(design, [picture for _, picture in drawn])
    document = PSDImage.new("RGBA", (design.width_px, design.height_px))
    resolution: Any = ResoulutionInfo(_DPI_72, 1, 1, _DPI_72, 1, 1)
    document.image_resources[Resource.RESOLUTION_INFO] = ImageResource(key=Resource.RESOLUTION_INFO, data=resolution)
    group_of = {role: name for name, roles in groups for role in roles}
    folders: dict[str, Group] = {}
    text_indices = iter(range(len(drawn)))
    for piece, picture in drawn:
        folder = group_of.get(piece.role)
        if folder is not None and folder not in folders:
            folders[folder] = Group.new(document, folder)
        parent = document if folder is None else folders[folder]
        layer = _pixel_layer(parent, names[piece.role], picture)
        if isinstance(piece, TextPiece):
            _make_type(layer, piece, picture, next(text_indices))
    for number, member in enumerate(document.descendants(), start=2):
        member._record.tagged_blocks.set_data(Tag.LAYER_ID, number)
    _save(document, merged, path)


def _draw(piece: ImagePiece | TextPiece, fonts: Path) -> SetText:
    if isinstance(piece, ImagePiece):
        return SetText(pixels=piece.pixels, left=piece.left, top=piece.top)
    return set_text(piece.text, piece.style, x_px=piece.x_px, y_px=piece.y_px, box_px=piece.box_px, fonts=fonts)


def _merged(design: Design, pictures: list[SetText]) -> Rgba:
    """Everything laid over one another: what the document looks like, straight alpha."""
    result = Image.new("RGBA", (design.width_px, design.height_px))
    for picture in pictures:
        whole = Image.new("RGBA", result.size)
        whole.paste(Image.fromarray(picture.pixels), (picture.left, picture.top))
        result = Image.alpha_composite(result, whole)
    return np.asarray(result)


def _pixel_layer(parent: PSDImage | Group, name: str, picture: SetText) -> PixelLayer:
    image = Image.fromarray(picture.pixels)
    return PixelLayer.frompil(image, parent, name, picture.top, picture.left, Compression.RLE)


def _make_type(layer: PixelLayer, piece: TextPiece, picture: SetText, text_index: int) -> None:
    height, width = picture.pixels.shape[:2]
    ink = Box(picture.left, picture.top, picture.left + width, picture.top + height)
    settings: Any = type_layer(
        piece.text, piece.style, x_px=piece.x_px, y_px=piece.y_px, box_px=piece.box_px, ink=ink, text_index=text_index
    )
    layer.tagged_blocks[TYPE_LAYER] = TaggedBlock(key=TYPE_LAYER, data=settings)


def _save(document: PSDImage, merged: Rgba, path: Path) -> None:
    """Saves with our own composite: psd-tools would draw it anew, slower and with no better result."""
    record = document._record
    layers = record.layer_and_mask_information.layer_info
    assert layers is not None
    if merged[..., 3].min() == 255:
        record.header.channels = 3
        planes = [merged[..., channel] for channel in range(3)]
    else:
        # A negative count says that the composite's fourth channel is its transparency. Colours stand on white.
        layers.layer_count = -abs(layers.layer_count)
        planes = [*_on_white(merged), merged[..., 3]]
    record.image_data.compression = Compression.RLE
    record.image_data.set_data([plane.tobytes() for plane in planes], record.header)
    with path.open("wb") as file:
        record.write(file)


def _on_white(pixels: Rgba) -> Iterator[npt.NDArray[np.uint8]]:
    alpha = pixels[..., 3].astype(np.uint16)
    for channel in range(3):
        yield ((pixels[..., channel] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
