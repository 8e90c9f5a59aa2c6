"""One layer as it is drawn: content, masks, effects, transform, track matte, blending, in that order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import skia

from rendering.drawing.blending import LUMA_MODES, blend_by_formula, direct, has_formula, luma_to_alpha
from rendering.drawing.effects import Effects
from rendering.drawing.masks import Masks
from rendering.drawing.transforms import LayerTransform

# A layer may end a rounding error before the moment at which the next one starts.
_SLACK_SECONDS = 1e-5


class Content(Protocol):
    """What a layer shows, in its own px, before anything is done to it.

    ``single`` says that ``draw`` paints once, with the paint that it gets; otherwise it paints as it likes and the
    paint is left to the caller. ``bounds`` is None where they are unknown.
    """

    single: bool
    animated: bool

    def signature(self, time_seconds: float) -> Any: ...

    def bounds(self, time_seconds: float) -> skia.Rect | None: ...

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None: ...


@dataclass(frozen=True)
class Matte:
    layer: DrawnLayer
    luma: bool
    inverted: bool


@dataclass(kw_only=True)
class DrawnLayer:
    """``start_seconds`` and ``end_seconds`` are comp time; ``mode`` is After Effects' name of the blending mode.

    ``backdrop_only`` marks an adjustment layer: its content says where its effects act on what lies below.
    """

    transform: LayerTransform
    content: Content
    start_seconds: float
    end_seconds: float
    mode: str = "NORMAL"
    masks: Masks | None = None
    effects: Effects | None = None
    matte: Matte | None = None
    preserve_transparency: bool = False
    backdrop_only: bool = False

    @property
    def animated(self) -> bool:
        parts = (self.transform, self.transform.opacity_percent, self.content, self.masks, self.effects)
        return any(part is not None and part.animated for part in parts) or (
            self.matte is not None and self.matte.layer.animated
        )

    @property
    def needs_surface(self) -> bool:
        """It must see the pixels below it."""
        return self.backdrop_only or has_formula(self.mode)

    def active(self, time_seconds: float) -> bool:
        return self.start_seconds - _SLACK_SECONDS <= time_seconds < self.end_seconds - _SLACK_SECONDS

    def signature(self, time_seconds: float) -> Any:
        """Two moments with one signature look the same."""
        if not self.active(time_seconds):
            return None
        return (
            self.transform.signature(time_seconds) if self.transform.animated else (),
            self._opacity(time_seconds),
            self.content.signature(time_seconds),
            self.masks.signature(time_seconds) if self.masks is not None and self.masks.animated else (),
            self.effects.signature(time_seconds) if self.effects is not None and self.effects.animated else (),
            self.matte.layer.signature(time_seconds) if self.matte is not None else (),
        )

    def draw(self, canvas: skia.Canvas, surface: skia.Surface | None, time_seconds: float) -> None:
        """Draws over what the canvas shows. Without a surface it is blended as near to its mode as Skia can."""
        if not self.active(time_seconds) or self._opacity(time_seconds) <= 0:
            return
        if self.backdrop_only:
            if surface is not None:
                self._adjust(canvas, surface, time_seconds)
        elif has_formula(self.mode) and surface is not None:
            self._draw_by_formula(canvas, surface, time_seconds)
        else:
            mode = direct(self.mode)
            if self.preserve_transparency and mode == skia.BlendMode.kSrcOver:
                mode = skia.BlendMode.kSrcATop
            color_filter = luma_to_alpha() if self.mode in LUMA_MODES else None
            self._draw_matted(canvas, time_seconds, skia.Paint(BlendMode=mode, ColorFilter=color_filter))

    def _opacity(self, time_seconds: float) -> float:
        return min(max(float(self.transform.opacity_percent.at(time_seconds)) / 100, 0.0), 1.0)

    def _draw_by_formula(self, canvas: skia.Canvas, surface: skia.Surface, time_seconds: float) -> None:
        apart = surface.makeSurface(surface.width(), surface.height())
        apart.getCanvas().setMatrix(canvas.getTotalMatrix())
        self._draw_matted(apart.getCanvas(), time_seconds, skia.Paint())
        blend_by_formula(surface, apart.makeImageSnapshot(), self.mode)

    def _draw_matted(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        if self.matte is None:
            self._draw_alone(canvas, time_seconds, paint)
            return
        canvas.saveLayer(None, paint)
        self._draw_alone(canvas, time_seconds, skia.Paint())
        self._cut_by_matte(canvas, self.matte, time_seconds)
        canvas.restore()

    def _cut_by_matte(self, canvas: skia.Canvas, matte: Matte, time_seconds: float) -> None:
        mode = skia.BlendMode.kDstOut if matte.inverted else skia.BlendMode.kDstIn
        canvas.saveLayer(None, skia.Paint(BlendMode=mode, ColorFilter=luma_to_alpha() if matte.luma else None))
        if matte.layer.active(time_seconds):
            matte.layer._draw_alone(canvas, time_seconds, skia.Paint())
        canvas.restore()

    def _draw_alone(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        paint.setAlphaf(self._opacity(time_seconds))
        image_filter = self.effects.image_filter(time_seconds) if self.effects is not None else None
        # Stencils act on all that lies below, also where the layer itself has no pixels.
        everywhere = paint.getBlendMode() == skia.BlendMode.kDstIn
        canvas.save()
        canvas.concat(self.transform.matrix(time_seconds))
        clipped = self.masks is None or (
            image_filter is None and not everywhere and self.masks.clip(canvas, time_seconds)
        )
        plain = paint.getAlphaf() >= 1 and paint.getBlendMode() == skia.BlendMode.kSrcOver
        simple = clipped and image_filter is None and not everywhere and paint.getColorFilter() is None
        if simple and (self.content.single or plain):
            self.content.draw(canvas, time_seconds, paint)
        else:
            paint.setImageFilter(image_filter)
            bounds = self.content.bounds(time_seconds) if image_filter is None and not everywhere else None
            canvas.saveLayer(bounds, paint)
            self.content.draw(canvas, time_seconds, skia.Paint())
            if self.masks is not None and not clipped:
                self.masks.cut(canvas, time_seconds)
            canvas.restore()
        canvas.restore()

    def _adjust(self, canvas: skia.Canvas, surface: skia.Surface, time_seconds: float) -> None:
        if self.effects is None:
            return
        below = surface.makeImageSnapshot()
        canvas.saveLayer(None, skia.Paint(Alphaf=self._opacity(time_seconds)))
        canvas.saveLayer(None, skia.Paint(ImageFilter=self.effects.image_filter(time_seconds)))
        canvas.save()
        canvas.resetMatrix()
        canvas.drawImage(below, 0, 0)
        canvas.restore()
        canvas.restore()
        canvas.saveLayer(None, skia.Paint(BlendMode=skia.BlendMode.kDstIn))
        canvas.concat(self.transform.matrix(time_seconds))
        self.content.draw(canvas, time_seconds, skia.Paint())
        if self.masks is not None:
            self.masks.cut(canvas, time_seconds)
        canvas.restore()
        if self.matte is not None:
            self._cut_by_matte(canvas, self.matte, time_seconds)
        canvas.restore()
