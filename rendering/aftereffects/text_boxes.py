"""The box of a point text in its own px: the first baseline lies at y 0, the anchor of its lines at x 0."""

from __future__ import annotations

from rendering.aftereffects.model import LayerText
from rendering.fonts import Font, metrics
from rendering.geometry import Box
from rendering.text_fit import AUTO_LEADING, fit_text

MAX_MEASURED = 20_000
"""Characters of one text that are set in type at most; nobody reads more, and a hostile file could hold millions."""

# Mean advance and vertical extent of a Latin text face, in parts of the font size: good to about a fifth.
_ADVANCE = 0.56
_CAPS_ADVANCE = 0.66
_ASCENT = 0.75
_DESCENT = 0.25


def measured_text_box(text: LayerText, font: Font) -> Box:
    """From the font's ascent above the first baseline to its descent below the last one, as wide as the widest line."""
    measures = metrics(font, size_px=text.size_px * text.vertical_scale)
    shown = text.text[:MAX_MEASURED].upper() if text.all_caps else text.text[:MAX_MEASURED]
    set_text = fit_text(
        shown,
        font=font,
        size_px=text.size_px * text.horizontal_scale,
        tracking=text.tracking,
        leading_px=text.leading_px,
        box_size_px=None,
    )
    below_px = (len(set_text.lines) - 1) * _leading_px(text) + measures.descent_px
    left = _left_px(text, set_text.width_px)
    return Box(left, -measures.ascent_px, left + set_text.width_px, below_px)


def estimated_text_box(text: LayerText) -> Box:
    """From the font size alone, where no font is at hand."""
    lines = text.text.split("\n")
    advance_px = text.size_px * (_CAPS_ADVANCE if text.all_caps or text.text.isupper() else _ADVANCE)
    width_px = max(len(line) * (advance_px + text.tracking * text.size_px / 1000) for line in lines)
    below_px = (len(lines) - 1) * _leading_px(text)
    left = _left_px(text, width_px)
    return Box(left, -_ASCENT * text.size_px, left + width_px, below_px + _DESCENT * text.size_px)


def _leading_px(text: LayerText) -> float:
    return text.leading_px or text.size_px * AUTO_LEADING


def _left_px(text: LayerText, width_px: float) -> float:
    """Justified lines of a point text stand as their last line does."""
    side = text.justification.rpartition("_")[2]
    return {"right": -width_px, "center": -width_px / 2}.get(side, 0.0)
