"""How far the exported layers, stacked again, are from the picture that Photoshop itself drew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rendering.geometry import Box
from rendering.photoshop.document import CompositeImage, Document, LayerImage
from rendering.pixels import fit_image, read_png, thumbnail

COMPARED_PX = 256

_Color = NDArray[np.floating[Any]]

_BLENDS: dict[str, Callable[[_Color, _Color], _Color]] = {
    "darken": np.minimum,
    "multiply": lambda below, above: below * above,
    "lighten": np.maximum,
    "screen": lambda below, above: below + above - below * above,
    "linear dodge": lambda below, above: np.minimum(below + above, 1.0),
    "linear burn": lambda below, above: np.maximum(below + above - 1.0, 0.0),
    "overlay": lambda below, above: np.where(below <= 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above)),
    "hard light": lambda below, above: np.where(above <= 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above)),
    "difference": lambda below, above: np.abs(below - above),
}


def difference_from_composite(
    document: Document, images: Sequence[LayerImage], composite: CompositeImage, *, compared_px: int = COMPARED_PX
) -> float:
    """The mean absolute difference, 0..255, over white, on copies with no side longer than ``compared_px``.

    Layers are stacked by their order and blend mode; the rarer modes count as normal, adjustments are left out: a large
    value says that the separate layers do not add up to the design.
    """
    flat = thumbnail(read_png(composite.path), max_px=compared_px)
    size_px = (flat.shape[1], flat.shape[0])
    modes = {layer.layer_id: layer.blend_mode for layer in document.layers}
    stack: _Color = np.zeros((size_px[1], size_px[0], 3), dtype=np.float32)
    stack_alpha: _Color = np.zeros((size_px[1], size_px[0], 1), dtype=np.float32)
    for image in images:
        color, alpha = _at_scale(image, document, size_px)
        blend = _BLENDS.get(modes[image.layer_id])
        # A layer blends only with what is below it; over nothing it shows its own colour. ``stack`` is premultiplied.
        below = stack / np.maximum(stack_alpha, 1 / 255)
        above = color if blend is None else color * (1 - stack_alpha) + blend(below, color) * stack_alpha
        stack = stack * (1 - alpha) + above * alpha
        stack_alpha = stack_alpha + alpha * (1 - stack_alpha)
    flat_alpha = flat[..., 3:] / np.float32(255)
    expected = flat[..., :3] / np.float32(255) * flat_alpha + (1 - flat_alpha)
    return float(np.abs(stack + (1 - stack_alpha) - expected).mean() * 255)


def _at_scale(image: LayerImage, document: Document, size_px: tuple[int, int]) -> tuple[_Color, _Color]:
    rgba = fit_image(
        read_png(image.path),
        size_px=size_px,
        placement=Box(*image.box),
        document_size_px=(document.width_px, document.height_px),
    )
    scaled = rgba.astype(np.float32) / 255
    return scaled[..., :3], scaled[..., 3:]
