"""What a text layer says and in which style, read from After Effects' text documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rendering.drawing.values import PropertyReader
from rendering.geometry import Box

MAX_CHARACTERS = 20_000
_MAX_STYLED_CHARACTERS = 3_000
_AUTO_LEADING = 1.2
_RGB = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """Lengths in px, colours 0..1 (None: not painted), scales 1.0 for 100 percent."""

    font: str
    size_px: float
    leading_px: float
    tracking: float
    fill: _RGB | None
    stroke: _RGB | None
    stroke_width_px: float
    stroke_over_fill: bool
    horizontal_scale: float
    vertical_scale: float
    baseline_shift_px: float
    bold: bool
    italic: bool


@dataclass(frozen=True, kw_only=True)
class TextBlock:
    """``styles`` holds one style per character of ``text``; paragraphs end with a newline.

    ``box`` is None for point text; ``alignment`` and ``vertical`` are py-aep's names.
    """

    text: str
    styles: tuple[TextStyle, ...]
    alignment: str
    box: Box | None
    vertical: str
    inset_px: float
    first_line_indent_px: float
    start_indent_px: float
    end_indent_px: float


def read_text_block(document: Any, reader: PropertyReader, replacement: str | None) -> TextBlock:
    """The document's own text, or the replacement in the style of its first character."""
    own = _plain(str(document.text or ""))
    text = own if replacement is None else _plain(replacement)
    if len(text) > MAX_CHARACTERS:
        reader.notes.add("text_cut", reader.subject, f"Only the first {MAX_CHARACTERS} characters are drawn.")
        text = text[:MAX_CHARACTERS]
    first = _style(document, document)
    styles = [first] * len(text) if replacement is not None else _styles(document, text, first)
    text, styles = _with_capitals(document, text, styles)
    _note_unsupported(document, reader)
    return TextBlock(
        text=text,
        styles=tuple(styles),
        alignment=_name(document.justification, "LEFT_JUSTIFY"),
        box=_box(document),
        vertical=_name(document.box_vertical_alignment, "TOP"),
        inset_px=float(document.box_inset_spacing or 0.0),
        first_line_indent_px=float(document.first_line_indent or 0.0),
        start_indent_px=float(document.start_indent or 0.0),
        end_indent_px=float(document.end_indent or 0.0),
    )


def _plain(text: str) -> str:
    """Every kind of line end as a newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x03", "\n").rstrip("\n")


def _style(source: Any, document: Any) -> TextStyle:
    size = min(max(float(source.font_size or 12.0), 0.1), 5000.0)
    fill = source.fill_color if source.apply_fill in (True, None) else None
    stroke = source.stroke_color if source.apply_stroke else None
    leading = source.leading
    return TextStyle(
        font=str(source.font or document.font or ""),
        size_px=size,
        leading_px=float(leading) if leading else size * _AUTO_LEADING,
        tracking=float(source.tracking or 0),
        fill=_rgb(fill),
        stroke=_rgb(stroke),
        stroke_width_px=float(source.stroke_width or 0.0),
        stroke_over_fill=bool(source.stroke_over_fill),
        horizontal_scale=float(source.horizontal_scale or 1.0),
        vertical_scale=float(source.vertical_scale or 1.0),
        baseline_shift_px=float(source.baseline_shift or 0.0),
        bold=bool(source.faux_bold),
        italic=bool(source.faux_italic),
    )


def _rgb(color: Any) -> _RGB | None:
    if not color or len(color) < 3:
        return None
    red, green, blue = (min(max(float(part), 0.0), 1.0) for part in color[:3])
    return (red, green, blue)


def _styles(document: Any, text: str, first: TextStyle) -> list[TextStyle]:
    if not text or len(text) > _MAX_STYLED_CHARACTERS or _is_uniform(document.character_range(0, -1)):
        return [first] * len(text)
    styles = []
    unit = 0
    for character in text:
        width = len(character.encode("utf-16-le")) // 2
        # py-aep counts as After Effects does, in UTF-16 units.
        styles.append(_style(document.character_range(unit, unit + width), document))
        unit += width
    return styles


def _is_uniform(whole: Any) -> bool:
    names = ("font", "font_size", "tracking", "horizontal_scale", "vertical_scale", "baseline_shift", "auto_leading",
             "faux_bold", "faux_italic", "apply_fill", "apply_stroke")  # fmt: skip
    if any(getattr(whole, name) is None for name in names):
        return False
    if whole.auto_leading is False and whole.leading is None:
        return False
    if whole.apply_stroke and whole.stroke_color is None:
        return False
    return not whole.apply_fill or whole.fill_color is not None


def _with_capitals(document: Any, text: str, styles: list[TextStyle]) -> tuple[str, list[TextStyle]]:
    if not document.all_caps:
        return text, styles
    # Some letters become two, such as the German sharp s.
    raised = [character.upper() for character in text]
    spread = [style for style, characters in zip(styles, raised, strict=True) for _ in characters]
    return "".join(raised), spread


def _box(document: Any) -> Box | None:
    size, position = document.box_text_size, document.box_text_pos
    if not document.box_text or size is None or position is None:
        return None
    left, top = float(position[0]), float(position[1])
    return Box(left, top, left + float(size[0]), top + float(size[1]))


def _note_unsupported(document: Any, reader: PropertyReader) -> None:
    unsupported = {
        "Small caps are drawn as typed.": "SMALL_CAPS" in _name(document.font_caps_option, ""),
        "Superscript and subscript are drawn on the baseline.": bool(document.superscript or document.subscript),
        "Vertical text is drawn horizontally.": _name(document.line_orientation, "HORIZONTAL") != "HORIZONTAL",
        "Text that runs from right to left is not reordered between scripts.": "RIGHT_TO_LEFT"
        in _name(document.direction, ""),
        "The box is not fitted to its text.": document.box_text
        and _name(document.box_auto_fit_policy, "NONE") != "NONE",
    }
    for message, applies in unsupported.items():
        if applies:
            reader.notes.add("text_approximated", reader.subject, message)


def _name(member: Any, default: str) -> str:
    return str(getattr(member, "name", default))
