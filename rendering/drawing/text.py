"""Text layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import skia

from rendering.drawing.text_layout import Layout, PlacedRun, lay_out
from rendering.drawing.text_reading import TextBlock, read_text_block
from rendering.drawing.typefaces import typeface
from rendering.drawing.values import PropertyReader, child
from rendering.fonts import Font, FontLibrary, missing_glyphs

_ITALIC_SKEW = -0.21
_MAX_LAYOUTS = 16


class Text:
    """The glyphs of a text layer, in the layer's own px. ``replacement`` takes the place of the source text."""

    single = False

    def __init__(self, layer: Any, reader: PropertyReader, fonts: FontLibrary, replacement: str | None) -> None:
        group = child(layer, "ADBE Text Properties")
        self._reader = reader
        self._fonts = fonts
        self._chosen: dict[str, Font | None] = {}
        self._drawings: dict[TextBlock, tuple[Callable[[skia.Canvas], None], ...]] = {}
        self._blocks = reader.value(
            group,
            "ADBE Text Document",
            None,
            lambda document: None if document is None else read_text_block(document, reader, replacement),
        )
        self.animated = self._blocks.animated
        _note_unsupported(layer, group, reader)
        for moment in _moments(group):
            self._drawing(self._blocks.at(moment))

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return (self._blocks.at(time_seconds),) if self.animated else ()

    def bounds(self, time_seconds: float) -> skia.Rect | None:
        return None

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        for draw_one in self._drawing(self._blocks.at(time_seconds)):
            draw_one(canvas)

    def _drawing(self, block: TextBlock | None) -> tuple[Callable[[skia.Canvas], None], ...]:
        if block is None or not block.text:
            return ()
        drawing = self._drawings.get(block)
        if drawing is None:
            layout = lay_out(block, self._font)
            self._note_layout(block, layout)
            drawing = tuple(draw for run in layout.runs for draw in _run_drawings(run))
            if len(self._drawings) >= _MAX_LAYOUTS:
                self._drawings.pop(next(iter(self._drawings)))
            self._drawings[block] = drawing
        return drawing

    def _font(self, name: str) -> Font | None:
        if name in self._chosen:
            return self._chosen[name]
        font = self._fonts.find(name)
        if font is None:
            font = self._fonts.substitute(name)
            shown = f'drawn with "{font.postscript_name}" instead' if font is not None else "its text is not drawn"
            self._reader.notes.add("missing_font", name, f"The font is not installed: {shown}.")
        self._chosen[name] = font
        return font

    def _note_layout(self, block: TextBlock, layout: Layout) -> None:
        if layout.hidden_lines:
            self._reader.notes.add(
                "text_overflow",
                self._reader.subject,
                f"{layout.hidden_lines} of {layout.line_count} lines do not fit into the text box and are not shown.",
            )
        for name in {style.font for style in block.styles}:
            font = self._font(name)
            lacking = missing_glyphs(font, block.text) if font is not None else ""
            if font is not None and lacking:
                self._reader.notes.add(
                    "missing_glyphs",
                    self._reader.subject,
                    f'"{font.postscript_name}" has no glyph for: {" ".join(lacking[:20])}',
                )


def _moments(group: Any) -> list[float]:
    """The times of the source text's keyframes: all that is ever shown is laid out, and noted, before drawing."""
    prop = child(group, "ADBE Text Document")
    keyframes = prop.keyframes if prop is not None else ()
    return [0.0, *(float(keyframe.time) for keyframe in keyframes[:_MAX_LAYOUTS])]


def _note_unsupported(layer: Any, group: Any, reader: PropertyReader) -> None:
    animators = child(group, "ADBE Text Animators")
    for animator in animators.properties if animators is not None else ():
        if getattr(animator, "enabled", True):
            reader.notes.add("text_animator_not_drawn", reader.subject, f'The animator "{animator.name}" is not drawn.')
    path = child(child(group, "ADBE Text Path Options"), "ADBE Text Path")
    if path is not None and path.value:
        reader.notes.add("text_approximated", reader.subject, "Text on a path is drawn on a straight line.")
    if getattr(layer, "three_d_per_char", False):
        reader.notes.add("text_approximated", reader.subject, "3D characters are drawn flat.")


def _run_drawings(run: PlacedRun) -> list[Callable[[skia.Canvas], None]]:
    blob = _blob(run)
    if blob is None:
        return []
    style = run.style
    drawings = []
    if style.fill is not None:
        fill = skia.Paint(Color4f=skia.Color4f(*style.fill, 1.0), AntiAlias=True)
        drawings.append(_drawing(blob, fill))
    if style.stroke is not None and style.stroke_width_px > 0:
        stroke = skia.Paint(
            Color4f=skia.Color4f(*style.stroke, 1.0),
            AntiAlias=True,
            Style=skia.Paint.kStroke_Style,
            StrokeWidth=style.stroke_width_px,
            StrokeJoin=skia.Paint.kRound_Join,
        )
        drawings.insert(len(drawings) if style.stroke_over_fill else 0, _drawing(blob, stroke))
    return drawings


def _drawing(blob: skia.TextBlob, paint: skia.Paint) -> Callable[[skia.Canvas], None]:
    return lambda canvas: canvas.drawTextBlob(blob, 0, 0, paint)


def _blob(run: PlacedRun) -> skia.TextBlob | None:
    face = typeface(run.font)
    if face is None or not run.glyphs:
        return None
    style = run.style
    font = skia.Font(face, style.size_px * style.vertical_scale)
    font.setScaleX(style.horizontal_scale / style.vertical_scale)
    font.setSkewX(_ITALIC_SKEW if style.italic else 0.0)
    font.setEmbolden(style.bold)
    font.setEdging(skia.Font.Edging.kAntiAlias)
    font.setHinting(skia.FontHinting.kNone)
    font.setSubpixel(True)
    font.setLinearMetrics(True)
    builder = skia.TextBlobBuilder()
    builder.allocRunPos(font, list(run.glyphs), [skia.Point(*point) for point in run.points])
    return builder.make()
