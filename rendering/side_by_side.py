"""A still beside moving frames: the flat PSD on the left, After Effects on the right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rendering.pixels import Rgba

MAX_SIDE_PX = 1920
GAP_PX = 8
CAPTION_PX = 40
_GAP_RGBA = (32, 33, 36, 255)


def fitted_scale(width_px: int, height_px: int, *, max_side_px: int = MAX_SIDE_PX) -> float:
    """The scale, at most 1, at which no side exceeds the limit."""
    return min(1.0, max_side_px / max(width_px, height_px, 1))


class SideBySide:
    """Puts a still on the left and frames on the right, at the frames' height, with a gap and captions.

    All frames must have the size given; ``width_px`` and ``height_px`` are the size of what comes out.
    """

    def __init__(
        self, left: Rgba, *, frame_width_px: int, frame_height_px: int, max_side_px: int = MAX_SIDE_PX
    ) -> None:
        left_width = max(1, round(left.shape[1] * frame_height_px / left.shape[0]))
        scale = min(
            1.0,
            (max_side_px - GAP_PX) / (left_width + frame_width_px + 2),
            (max_side_px - CAPTION_PX) / (frame_height_px + 1),
        )
        self._frame_size = (max(1, round(frame_width_px * scale)), max(1, round(frame_height_px * scale)))
        still_size = (max(1, round(left_width * scale)), self._frame_size[1])
        self._x = still_size[0] + GAP_PX
        self.width_px = _even(self._x + self._frame_size[0])
        self.height_px = _even(CAPTION_PX + self._frame_size[1])
        background = Image.new("RGBA", (self.width_px, self.height_px), _GAP_RGBA)
        pen = ImageDraw.Draw(background)
        font = ImageFont.load_default(size=20)
        for x, caption in ((12, "Photoshop"), (self._x + 12, "After Effects")):
            pen.text((x, CAPTION_PX / 2), caption, font=font, fill=(232, 234, 237, 255), anchor="lm")
        background.paste(resized(flattened(left), still_size), (0, CAPTION_PX))
        self._background = np.asarray(background)
        self._last: tuple[Rgba, Rgba] | None = None

    def frame(self, right: Rgba) -> Rgba:
        """The very same array in gives the very same array out."""
        if self._last is None or self._last[0] is not right:
            combined = self._background.copy()
            width, height = self._frame_size
            scaled = right if right.shape[1::-1] == self._frame_size else np.asarray(resized(right, self._frame_size))
            combined[CAPTION_PX : CAPTION_PX + height, self._x : self._x + width] = scaled
            self._last = (right, combined)
        return self._last[1]


def side_by_side_frames(left: Rgba, right: Iterable[Rgba], *, max_side_px: int = MAX_SIDE_PX) -> Iterator[Rgba]:
    """The still beside every frame; ``left`` may be transparent, it is laid on white."""
    both: SideBySide | None = None
    for frame in right:
        if both is None:
            both = SideBySide(
                left, frame_width_px=frame.shape[1], frame_height_px=frame.shape[0], max_side_px=max_side_px
            )
        yield both.frame(frame)


def flattened(rgba: Rgba) -> Rgba:
    """Straight RGBA laid on white: opaque."""
    image = Image.fromarray(rgba)
    opaque = Image.new("RGBA", image.size, (255, 255, 255, 255))
    opaque.alpha_composite(image)
    return np.asarray(opaque)


def resized(rgba: Rgba, size: tuple[int, int]) -> Image.Image:
    """Smoothly scaled to (width, height) px."""
    return Image.fromarray(rgba).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _even(size_px: int) -> int:
    return size_px + size_px % 2
