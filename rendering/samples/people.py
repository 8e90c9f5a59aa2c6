"""The sample player: a stylised cut-out with jersey and ball, drawn by code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import skia
from PIL import Image, ImageFilter

from rendering.samples.canvas import BLACK, WHITE, Palette, Rgba, fill, glow, gradient, mix, outline, picture, shape

WIDTH_PX, HEIGHT_PX = 760, 1150
Hair = Literal["crop", "curls", "bun", "fade"]
Jersey = Literal["stripes", "sash", "hoops", "halves"]
HEAD = (380.0, 236.0)

TORSO = (
    (286, 428),
    (236, 452, 176, 462, 138, 500),
    (92, 548, 74, 640, 58, 772),
    (120, 812, 180, 806),
    (196, 742, 208, 708),
    (222, 850, 214, 1010, 196, 1150),
    (564, 1150),
    (546, 1010, 538, 850, 552, 708),
    (564, 742, 580, 806),
    (640, 812, 702, 772),
    (686, 640, 668, 548, 622, 500),
    (584, 462, 524, 452, 474, 428),
    (440, 486, 320, 486, 286, 428),
)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What tells one player from another."""

    hair: Hair
    jersey: Jersey
    beard: float
    number: str


def player(palette: Palette, look: Look, *, font_path: str) -> Rgba:
    """A player from the hips up, ``HEIGHT_PX`` x ``WIDTH_PX``, transparent around; cut at the lower edge."""

    def draw(canvas: skia.Canvas) -> None:
        _arms(canvas, palette)
        _body(canvas, palette, look, font_path)
        _head(canvas, palette, look)
        _ball(canvas, palette)

    return _lit(picture(WIDTH_PX, HEIGHT_PX, draw), palette)


def _arms(canvas: skia.Canvas, palette: Palette) -> None:
    shade = mix(palette.skin, BLACK, 0.12)
    canvas.drawPath(shape((642, 760), (672, 900, 636, 1010, 640, 1170), closed=False), outline(shade, 86))
    canvas.drawPath(shape((118, 760), (90, 860, 70, 900, 72, 960), closed=False), outline(palette.skin, 84))


def _body(canvas: skia.Canvas, palette: Palette, look: Look, font_path: str) -> None:
    neck = shape((322, 300), (322, 440), (350, 490, 410, 490, 438, 440), (438, 300))
    canvas.drawPath(neck, fill(mix(palette.skin, BLACK, 0.16)))
    torso = shape(*TORSO)
    canvas.save()
    canvas.clipPath(torso, True)
    canvas.drawPaint(
        gradient((0, 430), (0, 1150), [(0, palette.base, 1), (1, mix(palette.base, palette.dark, 0.35), 1)])
    )
    _pattern(canvas, palette, look.jersey)
    _folds(canvas)
    canvas.restore()
    collar = shape((286, 428), (320, 500, 440, 500, 474, 428), closed=False)
    canvas.drawPath(collar, outline(palette.accent, 22))
    for cuff in (
        shape((58, 772), (120, 812, 180, 806), closed=False),
        shape((702, 772), (640, 812, 580, 806), closed=False),
    ):
        canvas.drawPath(cuff, outline(palette.accent, 16))
    font = skia.Font(skia.FontMgr.New_Custom_Empty().makeFromFile(font_path, 0), 150)
    width = font.measureText(look.number)
    canvas.drawString(look.number, 380 - width / 2, 800, font, outline(palette.dark, 10, 0.55))
    canvas.drawString(look.number, 380 - width / 2, 800, font, fill(palette.light))


def _pattern(canvas: skia.Canvas, palette: Palette, jersey: Jersey) -> None:
    tint = fill(mix(palette.base, palette.light, 0.82))
    dark = fill(palette.dark, 0.55)
    if jersey == "stripes":
        for x in (96, 236, 480, 620):
            canvas.drawRect(skia.Rect(x, 400, x + 52, 1150), tint)
    elif jersey == "sash":
        canvas.drawPath(shape((120, 440), (250, 440), (640, 1150), (480, 1150)), fill(palette.accent))
    elif jersey == "hoops":
        for y in (560, 860, 1010):
            canvas.drawRect(skia.Rect(0, y, WIDTH_PX, y + 66), tint)
    else:
        canvas.drawRect(skia.Rect(380, 400, WIDTH_PX, 1150), dark)


def _folds(canvas: skia.Canvas) -> None:
    for path in (
        shape((214, 700), (240, 760, 270, 800), closed=False),
        shape((548, 700), (520, 770, 486, 810), closed=False),
        shape((230, 960), (330, 1010, 440, 1000), closed=False),
        shape((540, 1060), (470, 1100, 380, 1090), closed=False),
    ):
        canvas.drawPath(path, outline(BLACK, 16, 0.20, blur_px=9))
    canvas.drawPath(shape((430, 470), (470, 560, 540, 590), closed=False), outline(WHITE, 14, 0.16, blur_px=9))


def _head(canvas: skia.Canvas, palette: Palette, look: Look) -> None:
    x, y = HEAD
    skin, shade = palette.skin, mix(palette.skin, BLACK, 0.18)
    if look.hair == "bun":
        canvas.drawCircle(x, y - 170, 58, fill(mix(palette.hair, BLACK, 0.15)))
    for side in (-1, 1):
        canvas.drawOval(skia.Rect.MakeXYWH(x + side * 104 - 20, y - 8, 40, 66), fill(shade))
    face = shape(
        (x - 104, y - 40),
        (x - 104, y - 120, x - 60, y - 150, x, y - 150),
        (x + 60, y - 150, x + 104, y - 120, x + 104, y - 40),
        (x + 104, y + 60, x + 78, y + 142, x, y + 150),
        (x - 78, y + 142, x - 104, y + 60, x - 104, y - 40),
    )
    canvas.drawPath(face, fill(skin))
    canvas.save()
    canvas.clipPath(face, True)
    canvas.drawOval(skia.Rect(x + 20, y - 160, x + 190, y + 190), fill(BLACK, 0.10, blur_px=26))
    if look.beard:
        beard = shape(
            (x - 120, y + 20),
            (x - 88, y + 62, x - 60, y + 76, x, y + 74),
            (x + 60, y + 76, x + 88, y + 62, x + 120, y + 20),
            closed=False,
        )
        beard.lineTo(x + 120, y + 170)
        beard.lineTo(x - 120, y + 170)
        beard.close()
        canvas.drawPath(beard, fill(palette.hair, look.beard))
    canvas.restore()
    _features(canvas, palette)
    _hair(canvas, palette, look.hair)


def _features(canvas: skia.Canvas, palette: Palette) -> None:
    x, y = HEAD
    shade = mix(palette.skin, BLACK, 0.26)
    for side in (-1, 1):
        brow = shape((x + side * 24, y - 28), (x + side * 48, y - 42, x + side * 72, y - 26), closed=False)
        canvas.drawPath(brow, outline(palette.hair, 10))
        canvas.drawOval(skia.Rect.MakeXYWH(x + side * 48 - 15, y - 10, 30, 17), fill(WHITE))
        canvas.drawCircle(x + side * 48, y - 2, 8.5, fill((34, 26, 26)))
        canvas.drawArc(
            skia.Rect.MakeXYWH(x + side * 48 - 17, y - 14, 34, 26), 190, 160, False, outline((40, 30, 30), 4)
        )
    canvas.drawPath(shape((x + 4, y - 4), (x + 22, y + 40), (x - 6, y + 44), closed=False), outline(shade, 6))
    canvas.drawPath(
        shape((x - 34, y + 88), (x, y + 108, x + 36, y + 84), closed=False), outline(mix(shade, (150, 40, 40), 0.4), 8)
    )


def _hair(canvas: skia.Canvas, palette: Palette, hair: Hair) -> None:
    x, y = HEAD
    paint = fill(palette.hair)
    if hair == "curls":
        for angle in range(175, 371, 15):
            radians = np.radians(angle)
            canvas.drawCircle(x + 100 * np.cos(radians), y - 66 + 88 * np.sin(radians), 38, paint)
        canvas.drawOval(skia.Rect(x - 96, y - 164, x + 96, y - 66), paint)
        return
    low = {"crop": -44, "bun": -30, "fade": -70}[hair]
    top = {"crop": -176, "bun": -170, "fade": -188}[hair]
    cap = shape(
        (x - 112, y + low),
        (x - 122, y - 130, x - 70, y + top, x + 6, y + top),
        (x + 82, y + top, x + 122, y - 130, x + 112, y + low),
        (x + 98, y - 70, x + 86, y - 92, x + 58, y - 100),
        (x + 10, y - 88, x - 50, y - 92, x - 78, y - 104),
        (x - 96, y - 84, x - 104, y - 70, x - 112, y + low),
    )
    canvas.drawPath(cap, paint)
    if hair == "fade":
        for side in (-1, 1):
            canvas.drawOval(
                skia.Rect.MakeXYWH(x + side * 100 - 14, y - 96, 28, 84), fill(palette.hair, 0.45, blur_px=4)
            )
    shine = shape((x - 60, y + top + 26), (x - 10, y + top + 4, x + 40, y + top + 20), closed=False)
    canvas.drawPath(shine, outline(WHITE, 10, 0.14, blur_px=5))


def _ball(canvas: skia.Canvas, palette: Palette) -> None:
    x, y, radius = 172.0, 1000.0, 132.0
    disc = skia.Path()
    disc.addCircle(x, y, radius)
    canvas.drawPath(disc, fill(palette.light))
    canvas.save()
    canvas.clipPath(disc, True)
    seam = outline(palette.dark, 7)
    for turn in range(0, 360, 72):
        canvas.save()
        canvas.translate(x, y)
        canvas.rotate(turn)
        canvas.drawPath(shape((0, -44), (0, -88), closed=False), seam)
        canvas.drawPath(shape((0, -84), (46, -100), (46, -150), (-46, -150), (-46, -100)), fill(palette.accent))
        canvas.restore()
    points = [(x + 46 * np.sin(np.radians(a)), y - 46 * np.cos(np.radians(a))) for a in range(0, 360, 72)]
    canvas.drawPath(shape(*points), fill(palette.accent))
    canvas.drawCircle(x, y, radius * 1.5, glow((x + 60, y + 80), 190, BLACK, 0.42))
    canvas.restore()
    forearm = shape((72, 950), (62, 1060, 120, 1104, 196, 1092), closed=False)
    canvas.drawPath(forearm, outline(palette.skin, 78))
    canvas.drawPath(shape((190, 1074), (240, 1064), closed=False), outline(palette.skin, 26))
    canvas.drawPath(shape((190, 1098), (250, 1094), closed=False), outline(palette.skin, 26))
    canvas.drawPath(shape((186, 1122), (240, 1122), closed=False), outline(palette.skin, 26))


def _lit(pixels: Rgba, palette: Palette) -> Rgba:
    """Shade from the right and a rim of the accent colour on the left, inside the silhouette."""
    alpha = pixels[..., 3]
    soft = np.asarray(Image.fromarray(alpha).filter(ImageFilter.GaussianBlur(3)), dtype=np.float32) / 255
    shifted = np.zeros_like(soft)
    shifted[8:, 14:] = soft[:-8, :-14]
    rim = np.clip(soft - shifted, 0, 1)[..., None] * 0.65
    across = np.linspace(-0.35, 1, WIDTH_PX, dtype=np.float32)[None, :, None]
    shade = np.clip(across, 0, 1) * 0.34
    color = pixels[..., :3].astype(np.float32) * (1 - shade)
    color = color * (1 - rim) + np.array(mix(palette.accent, WHITE, 0.35), dtype=np.float32) * rim
    result = pixels.copy()
    result[..., :3] = np.clip(color + 0.5, 0, 255).astype(np.uint8)
    return result
