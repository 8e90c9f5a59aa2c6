"""A thin layer over Skia for the sample art: paints, paths and pictures as RGBA arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import skia

Rgb = tuple[int, int, int]
Rgba = npt.NDArray[np.uint8]
WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of one design. ``skin`` and ``hair`` matter to people only."""

    dark: Rgb
    base: Rgb
    accent: Rgb
    light: Rgb = field(default=(250, 250, 252))
    skin: Rgb = field(default=(214, 160, 122))
    hair: Rgb = field(default=(46, 32, 28))


def argb(rgb: Rgb, alpha: float = 1.0) -> int:
    return int(skia.Color(*rgb, round(255 * alpha)))


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """``share`` 0 is the first colour, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return (red, green, blue)


def fill(rgb: Rgb, alpha: float = 1.0, *, blur_px: float = 0.0) -> skia.Paint:
    paint = skia.Paint(AntiAlias=True, Color=argb(rgb, alpha))
    if blur_px:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur_px))
    return paint


def outline(rgb: Rgb, width_px: float, alpha: float = 1.0, *, blur_px: float = 0.0) -> skia.Paint:
    paint = fill(rgb, alpha, blur_px=blur_px)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeWidth(width_px)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


def gradient(
    start: tuple[float, float], end: tuple[float, float], stops: Sequence[tuple[float, Rgb, float]]
) -> skia.Paint:
    """A fill that runs from ``start`` to ``end`` through stops of (place 0..1, colour, alpha)."""
    shader = skia.GradientShader.MakeLinear(
        points=[skia.Point(*start), skia.Point(*end)],
        colors=[argb(rgb, alpha) for _, rgb, alpha in stops],
        positions=[place for place, _, _ in stops],
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def glow(center: tuple[float, float], radius_px: float, rgb: Rgb, alpha: float) -> skia.Paint:
    shader = skia.GradientShader.MakeRadial(
        center=skia.Point(*center), radius=radius_px, colors=[argb(rgb, alpha), argb(rgb, 0.0)]
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def shape(*commands: tuple[float, ...], closed: bool = True) -> skia.Path:
    """A path from points: the first starts it, two numbers draw a line, four a quadratic, six a cubic curve."""
    path = skia.Path()
    path.moveTo(*commands[0])
    for numbers in commands[1:]:
        if len(numbers) == 2:
            path.lineTo(*numbers)
        elif len(numbers) == 4:
            path.quadTo(*numbers)
        else:
            path.cubicTo(*numbers)
    if closed:
        path.close()
    return path


def picture(width_px: int, height_px: int, draw: Callable[[skia.Canvas], None]) -> Rgba:
    """What ``draw`` paints on a transparent canvas: uint8 (height, width, 4), straight alpha."""
    surface = skia.Surface(width_px, height_px)
    draw(surface.getCanvas())
    info = skia.ImageInfo.Make(width_px, height_px, skia.kRGBA_8888_ColorType, skia.kUnpremul_AlphaType)
    pixels = np.zeros((height_px, width_px, 4), dtype=np.uint8)
    surface.makeImageSnapshot().readPixels(info, pixels, width_px * 4, 0, 0)
    return pixels
