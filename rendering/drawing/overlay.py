"""Marks slots on a frame, so that people see where content goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rendering.aftereffects.slots import Slot
from rendering.pixels import Rgba

COLORS = {"text": (255, 184, 28, 255), "image": (64, 156, 255, 255)}
OUTLINE_SHARE = 1 / 300


def mark_slots(frame: Rgba, slots: Sequence[Slot]) -> Rgba:
    """A copy of the frame with a named box around every slot that has a place: amber for text, blue for images."""
    image = Image.fromarray(frame).convert("RGBA")
    draw = ImageDraw.Draw(image)
    longest_px = max(image.size)
    width_px = max(2, round(longest_px * OUTLINE_SHARE))
    font = ImageFont.load_default(size=max(12, longest_px // 50))
    for slot in slots:
        if slot.box is None or slot.box.width < 1 or slot.box.height < 1:
            continue
        color = COLORS[slot.kind]
        left, top = max(0, slot.box.left), max(0, slot.box.top)
        right, bottom = min(image.width - 1, slot.box.right), min(image.height - 1, slot.box.bottom)
        if right <= left or bottom <= top:
            continue
        draw.rectangle((left, top, right, bottom), outline=color, width=width_px)
        label = draw.textbbox((left + width_px * 2, top + width_px), slot.name, font=font)
        draw.rectangle((left, top, label[2] + width_px * 2, label[3] + width_px), fill=color)
        draw.text((left + width_px * 2, top + width_px), slot.name, fill=(0, 0, 0, 255), font=font)
    return np.asarray(image)
