"""Pixels: reading and writing PNG files, scaling, and pictures of pictures. ``rgba`` is uint8 (height, width, 4).

Alpha is straight everywhere; it is premultiplied only while an image is scaled, so that edges keep their colour.
"""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from rendering.errors import FormatError, is_the_machines
from rendering.geometry import Box

Rgba = NDArray[np.uint8]
Rgb = NDArray[np.uint8]

MAX_PIXELS = 300_000_000
# Pillow only warns above this; read_png refuses.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
SAME_ASPECT = 0.01
_LIGHT, _DARK = 255, 204
_DIM, _DIMMER = 112, 88
_BRIGHT = 170
_SQUARE_PX = 12


def write_png(rgba: Rgba, path: Path) -> None:
    """Writes an 8-bit RGBA PNG, not interlaced: the only kind that After Effects reads without fail."""
    if rgba.dtype != np.uint8 or rgba.ndim != 3 or rgba.shape[2] != 4 or not rgba.size:
        raise ValueError(f"not an RGBA image of 8 bits: {rgba.dtype} {rgba.shape}")
    # Level 1 is four times as fast as the default and costs a tenth more bytes.
    Image.fromarray(rgba).save(path, "PNG", compress_level=1)


def write_rgb(rgb: Rgb, path: Path) -> None:
    """Writes an 8-bit RGB PNG, for people to look at."""
    Image.fromarray(rgb).save(path, "PNG", compress_level=1)


def read_png(path: Path) -> Rgba:
    """Any PNG as RGBA; FormatError when the file is missing, is no PNG, is cut off or has over 300 million pixels."""
    return _read(path, ("PNG",))


def read_picture(path: Path) -> Rgba:
    """Any PNG or JPEG as RGBA, turned as its camera says; FormatError as ``read_png``."""
    return _read(path, ("PNG", "JPEG"))


def _read(path: Path, formats: tuple[str, ...]) -> Rgba:
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise FormatError(
                    path.name, f"it has {image.width}x{image.height} px, over the limit.", "Make it smaller."
                )
            upright = ImageOps.exif_transpose(image) if image.format == "JPEG" else image
            return np.array(upright.convert("RGBA"))
    except FileNotFoundError as error:
        raise FormatError(path.name, "there is no such file.") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if is_the_machines(error):
            raise
        cause = f"it cannot be read as a {' or '.join(formats)} ({error})."
        raise FormatError(path.name, cause, "Export it again.") from error


def scaled(rgba: Rgba, *, size_px: tuple[int, int]) -> Rgba:
    """Exactly that size (width, height), with Lanczos' filter."""
    if (rgba.shape[1], rgba.shape[0]) == size_px:
        return rgba
    premultiplied = Image.fromarray(rgba).convert("RGBa")
    return np.array(premultiplied.resize(size_px, Image.Resampling.LANCZOS, reducing_gap=3.0).convert("RGBA"))


def thumbnail(rgba: Rgba, *, max_px: int) -> Rgba:
    """No side longer than ``max_px``; never enlarged."""
    height_px, width_px = rgba.shape[:2]
    return scaled(rgba, size_px=_contained((width_px, height_px), (min(max_px, width_px), min(max_px, height_px))))


def small_jpeg(file: IO[bytes], *, max_px: int) -> bytes:
    """A JPEG or a PNG as a JPEG with no side longer than ``max_px``. Raises FormatError."""
    try:
        with Image.open(file, formats=("JPEG", "PNG")) as image:
            image.draft("RGB", (max_px, max_px))
            image.thumbnail((max_px, max_px), Image.Resampling.LANCZOS)
            small = BytesIO()
            image.convert("RGB").save(small, "JPEG", quality=80)
            return small.getvalue()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise FormatError("picture", f"it cannot be read as a JPEG or PNG ({error}).", "Make it again.") from error


def over_checkerboard(rgba: Rgba) -> Rgb:
    """On the light and dark squares that stand for transparency; on darker ones where the picture itself is bright."""
    height_px, width_px = rgba.shape[:2]
    light, dark = (_LIGHT, _DARK) if _luminance(rgba) < _BRIGHT else (_DIM, _DIMMER)
    rows, columns = np.arange(height_px) // _SQUARE_PX, np.arange(width_px) // _SQUARE_PX
    board = np.where((rows[:, None] + columns[None, :]) % 2 == 0, light, dark).astype(np.uint8)
    return _over(rgba, np.repeat(board[..., None], 3, axis=2))


def fit_image(
    rgba: Rgba, *, size_px: tuple[int, int], placement: Box | None, document_size_px: tuple[int, int] | None
) -> Rgba:
    """A canvas of exactly ``size_px`` (width, height) with the image on it, never distorted.

    With a placement (the image's box in its document, px) and a document of the canvas' aspect (within 1 %), the image
    goes to its place in the document, scaled as the canvas to the document; what lies beyond the canvas is cut off.
    Otherwise it is scaled to fit inside and centred.
    """
    canvas = _canvas(size_px)
    if placement is not None and document_size_px is not None and _same_aspect(size_px, document_size_px):
        return _placed(rgba, canvas, placement, document_size_px)
    width_px, height_px = _contained((rgba.shape[1], rgba.shape[0]), size_px)
    image = scaled(rgba, size_px=(width_px, height_px))
    return _pasted(image, canvas, ((size_px[0] - width_px) // 2, (size_px[1] - height_px) // 2))


def side_by_side(left: Rgba, right: Rgba, *, cell_px: tuple[int, int] = (420, 280), gap_px: int = 16) -> Rgb:
    """Each as large as fits into a cell (width, height), centred over a checkerboard; a white gap between the cells."""
    gap = np.full((cell_px[1], gap_px, 3), 255, dtype=np.uint8)
    cells = [
        over_checkerboard(fit_image(image, size_px=cell_px, placement=None, document_size_px=None))
        for image in (left, right)
    ]
    return np.concatenate([cells[0], gap, cells[1]], axis=1)


def _contained(image_px: tuple[int, int], room_px: tuple[int, int]) -> tuple[int, int]:
    """The largest size of that aspect in that room, at least 1x1."""
    scale = min(room_px[0] / image_px[0], room_px[1] / image_px[1])
    width_px, height_px = (max(1, min(room, round(side * scale))) for side, room in zip(image_px, room_px, strict=True))
    return (width_px, height_px)


def _same_aspect(one_px: tuple[int, int], other_px: tuple[int, int]) -> bool:
    return abs(one_px[0] * other_px[1] / (one_px[1] * other_px[0]) - 1) <= SAME_ASPECT


def _placed(rgba: Rgba, canvas: Rgba, placement: Box, document_size_px: tuple[int, int]) -> Rgba:
    size_px = (canvas.shape[1], canvas.shape[0])
    # One scale for both directions: what is left of the 1 % goes to the sides.
    scale = min(size_px[0] / document_size_px[0], size_px[1] / document_size_px[1])
    offset = [(size - document * scale) / 2 for size, document in zip(size_px, document_size_px, strict=True)]
    left, top = placement.left * scale + offset[0], placement.top * scale + offset[1]
    right, bottom = left + placement.width * scale, top + placement.height * scale
    seen = (
        max(0, math.floor(left)),
        max(0, math.floor(top)),
        min(size_px[0], math.ceil(right)),
        min(size_px[1], math.ceil(bottom)),
    )
    if seen[0] >= seen[2] or seen[1] >= seen[3]:
        return canvas
    # A transparent rim lets an edge fall between two pixels. Only what is seen is scaled: a layer may be far larger
    # than its document.
    per_px = (rgba.shape[1] / (right - left), rgba.shape[0] / (bottom - top))
    rim_px = (math.ceil(per_px[0]), math.ceil(per_px[1]))
    rimmed = np.pad(rgba, ((rim_px[1], rim_px[1]), (rim_px[0], rim_px[0]), (0, 0)))
    crop = (
        (seen[0] - left) * per_px[0] + rim_px[0],
        (seen[1] - top) * per_px[1] + rim_px[1],
        (seen[2] - left) * per_px[0] + rim_px[0],
        (seen[3] - top) * per_px[1] + rim_px[1],
    )
    part = (
        Image.fromarray(rimmed)
        .convert("RGBa")
        .resize((seen[2] - seen[0], seen[3] - seen[1]), Image.Resampling.LANCZOS, box=_within(crop, rimmed))
    )
    return _pasted(np.array(part.convert("RGBA")), canvas, (seen[0], seen[1]))


def _within(crop: tuple[float, float, float, float], rgba: Rgba) -> tuple[float, float, float, float]:
    """Rounding may put an edge a hair outside of the image, which Pillow refuses."""
    height_px, width_px = rgba.shape[:2]
    return (max(0.0, crop[0]), max(0.0, crop[1]), min(float(width_px), crop[2]), min(float(height_px), crop[3]))


def _canvas(size_px: tuple[int, int]) -> Rgba:
    if min(size_px) < 1 or size_px[0] * size_px[1] > MAX_PIXELS:
        raise ValueError(f"no size for a canvas: {size_px}")
    return np.zeros((size_px[1], size_px[0], 4), dtype=np.uint8)


def _pasted(image: Rgba, canvas: Rgba, corner_px: tuple[int, int]) -> Rgba:
    left, top = corner_px
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def _luminance(rgba: Rgba) -> float:
    """The mean luminance of what is not transparent, 0..255; 0 of nothing."""
    alpha = rgba[..., 3].astype(np.float64)
    weight = float(alpha.sum())
    if not weight:
        return 0.0
    luma = rgba[..., :3].astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])
    return float((luma * alpha).sum() / weight)


def _over(rgba: Rgba, backdrop: Rgb) -> Rgb:
    alpha = rgba[..., 3:].astype(np.uint16)
    blended = rgba[..., :3] * alpha + backdrop * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)
