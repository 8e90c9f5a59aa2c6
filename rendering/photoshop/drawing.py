"""The pixels of one layer, or of the whole document, as straight RGBA."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api import layers as psd
from psd_tools.api import pil_io
from psd_tools.api.effects import Stroke
from psd_tools.composite import composite
from psd_tools.constants import Clipping, ColorMode, Resource, StrokePosition

from rendering.geometry import Box
from rendering.photoshop.layers import Entry, fill_opacity
from rendering.photoshop.structure import check_pixels

Rgba = NDArray[np.uint8]


def layer_pixels(document: PSDImage, entry: Entry, *, file_name: str) -> tuple[Rgba, Box] | None:
    """What the layer shows on its own, with its masks, effects and opacity and those of its groups.

    A clipped layer is cut by the one that it is clipped to; a base comes without what is clipped to it. Blending with
    the layers below is not part of it. The box may be larger than the layer's by the width of an outer stroke.
    None where there is nothing to draw: an empty layer or an adjustment.
    """
    source = entry.source
    if isinstance(source, psd.AdjustmentLayer) or source.width <= 0 or source.height <= 0:
        return None
    reach_px = _stroke_reach_px(source)
    left, top, right, bottom = source.bbox
    box = (left - reach_px, top - reach_px, right + reach_px, bottom + reach_px)
    check_pixels(file_name, f"layer {source.name!r}", box[2] - box[0], box[3] - box[1])
    if _is_plain(document, entry):
        image = source.topil()
        if image is not None:
            return np.asarray(image.convert("RGBA")), Box(*box)
    with _as_own_base(source):
        rgba = _draw(document, entry, box)
    if entry.base is not None:
        rgba = _cut(rgba, _draw(document, entry.base, box)[..., 3])
    return rgba, Box(*box)


def embedded_composite(document: PSDImage) -> Rgba | None:
    """Photoshop's own flattened image; None where the file was saved without one."""
    image = document.topil() if document.has_preview() else None
    return None if image is None else np.asarray(_to_rgb(image, alpha=None))


def drawn_composite(document: PSDImage) -> Rgba:
    """The whole document as psd-tools draws it."""
    color, _, alpha = composite(document, color=1.0, alpha=0.0)
    return _rgba_of(document, color, alpha)


def _is_plain(document: PSDImage, entry: Entry) -> bool:
    """Whether the stored pixels are all there is to it: reading them is far faster than compositing, and exact."""
    source = entry.source
    return (
        isinstance(source, psd.PixelLayer | psd.TypeLayer | psd.SmartObjectLayer)
        and document.color_mode in (ColorMode.RGB, ColorMode.GRAYSCALE)
        and document.depth == 8
        and source.has_pixels()
        and source.opacity == 255
        and fill_opacity(source) == 255
        and not source.has_mask()
        and not source.has_vector_mask()
        and not source.has_effects()
        and entry.base is None
        and not _changing_groups(entry)
    )


def _changing_groups(entry: Entry) -> bool:
    return any(
        parent.source.has_mask() or parent.source.has_vector_mask() or parent.source.opacity < 255
        for parent in entry.parents
    )


def _draw(document: PSDImage, entry: Entry, box: tuple[int, int, int, int]) -> Rgba:
    """The layer alone; by way of the whole document where its groups have a say."""
    shown = {id(entry.source)}
    target: Any = entry.source
    if _changing_groups(entry):
        shown |= {id(parent.source) for parent in entry.parents}
        target = document
    if isinstance(entry.source, psd.Group):
        shown |= {id(layer) for layer in entry.source.descendants() if layer.is_visible()}
    color, _, alpha = composite(
        target, viewport=box, color=1.0, alpha=0.0, layer_filter=lambda layer: id(layer) in shown
    )
    return _rgba_of(document, color, alpha)


@contextmanager
def _as_own_base(source: psd.Layer) -> Iterator[None]:
    """psd-tools draws a clipped layer only through its base, in one piece with it; we want it by itself."""
    record = source._record
    clipping = record.clipping
    record.clipping = Clipping.BASE
    try:
        yield
    finally:
        record.clipping = clipping


def _rgba_of(document: PSDImage, color: NDArray[np.float32], alpha: NDArray[np.float32]) -> Rgba:
    mode = pil_io.get_pil_mode(document.color_mode)
    mode = "RGB" if mode == "P" else "L" if mode == "1" else mode
    planes = color[..., : pil_io.get_pil_channels(mode)]
    pixels = np.rint(np.clip(planes, 0.0, 1.0) * 255).astype(np.uint8)
    image = _image(pixels, mode)
    icc_profile = document.image_resources.get_data(Resource.ICC_PROFILE)
    # Little CMS makes no transform from Lab with the profile of an output device.
    image = pil_io.post_process(image, None, None if mode == "LAB" else icc_profile)
    coverage = np.rint(np.clip(alpha[..., 0], 0.0, 1.0) * 255).astype(np.uint8)
    return np.asarray(_to_rgb(image, alpha=Image.fromarray(coverage)))


def _to_rgb(image: Image.Image, *, alpha: Image.Image | None) -> Image.Image:
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        image = converted
    rgba = image.convert("RGBA")
    if alpha is not None:
        rgba.putalpha(alpha)
    return rgba


def _cut(rgba: Rgba, coverage: NDArray[np.uint8]) -> Rgba:
    cut = rgba.copy()
    cut[..., 3] = (rgba[..., 3].astype(np.uint16) * coverage + 127) // 255
    return cut


def _stroke_reach_px(source: psd.Layer) -> int:
    """How far a stroke effect paints beyond the layer's box."""
    shares = {StrokePosition.OUTSIDE: 1.0, StrokePosition.CENTER: 0.5}
    return max(
        (
            math.ceil(float(stroke.size) * (shares.get(stroke.position, 0.0) if stroke.position else 0.0))
            for stroke in source.effects.find("stroke")
            if isinstance(stroke, Stroke)
        ),
        default=0,
    )


def _image(pixels: NDArray[np.uint8], mode: str) -> Image.Image:
    height_px, width_px = pixels.shape[:2]
    return Image.frombytes(mode, (width_px, height_px), pixels.tobytes())
