"""A still beside moving frames: the flat PSD on the left, After Effects on the right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rendering.geometry import Box
from rendering.pixels import Rgba, scaled

MAX_SIDE_PX = 1920
GAP_PX = 8
CAPTION_PX = 40
_GAP_RGBA = (32, 33, 36, 255)


def fitted_scale(width_px: int, height_px: int, *, max_side_px: int = MAX_SIDE_PX) -> float:
    """The scale, at most 1, at which no side exceeds the limit."""
    return min(1.0, max_side_px / max(width_px, height_px, 1))


@dataclass(frozen=True)
class Pair:
    """``background`` holds the still, the captions and the gap, opaque; frames go into ``frame_box``.

    All sizes and places are even, as the colour planes of a video want them, and no side exceeds the limit.
    """

    background: Rgba
    frame_box: Box

    @property
    def size_px(self) -> tuple[int, int]:
        return (self.background.shape[1], self.background.shape[0])

    @property
    def frame_size_px(self) -> tuple[int, int]:
        return (round(self.frame_box.width), round(self.frame_box.height))


def lay_out_pair(left: Rgba, *, frame_size_px: tuple[int, int], max_side_px: int = MAX_SIDE_PX) -> Pair:
    """The still at the height of the frames; ``left`` may be transparent, it is laid on white."""
    width_px, height_px = frame_size_px
    left_px = left.shape[1] * height_px / left.shape[0]
    scale = min(1.0, (max_side_px - GAP_PX) / (left_px + width_px), (max_side_px - CAPTION_PX) / height_px)
    height_px = _even_below(height_px * scale)
    left_width_px, right_width_px = _even_below(left_px * scale), _even_below(width_px * scale)
    x = left_width_px + GAP_PX
    background = Image.new("RGBA", (x + right_width_px, CAPTION_PX + height_px), _GAP_RGBA)
    pen = ImageDraw.Draw(background)
    font = ImageFont.load_default(size=20)
    for caption_x, caption in ((12, "Photoshop"), (x + 12, "After Effects")):
        pen.text((caption_x, CAPTION_PX / 2), caption, font=font, fill=(232, 234, 237, 255), anchor="lm")
    background.paste(Image.fromarray(scaled(flattened(left), size_px=(left_width_px, height_px))), (0, CAPTION_PX))
    return Pair(np.array(background), Box(x, CAPTION_PX, x + right_width_px, CAPTION_PX + height_px))


def flattened(rgba: Rgba) -> Rgba:
    """Straight RGBA laid on white: opaque."""
    image = Image.fromarray(rgba)
    opaque = Image.new("RGBA", image.size, (255, 255, 255, 255))
    opaque.alpha_composite(image)
    return np.array(opaque)


def _even_below(size_px: float) -> int:
    return max(2, int(size_px) // 2 * 2)
