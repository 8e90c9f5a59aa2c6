"""Backgrounds, logos and products of the samples, drawn by code. Same arguments, same pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import skia

from rendering.samples.canvas import (
    BLACK,
    WHITE,
    Palette,
    Rgb,
    Rgba,
    fill,
    glow,
    gradient,
    mix,
    outline,
    picture,
    shape,
)

LogoKind = Literal["shield", "roundel", "hexagon", "bolt"]
ProductKind = Literal["headphones", "bottle", "sneaker", "speaker"]
PRODUCT_PX = 640


def card_background(width_px: int, height_px: int, palette: Palette) -> Rgba:
    """An upright gradient with leaning bands and dots; even rows, so that it packs well."""

    def draw(canvas: skia.Canvas) -> None:
        top = mix(palette.base, palette.dark, 0.35)
        canvas.drawPaint(gradient((0, 0), (0, height_px), [(0, top, 1), (1, palette.dark, 1)]))
        for start, width, alpha in ((0.34, 0.16, 0.16), (0.56, 0.30, 0.22), (0.94, 0.05, 0.30)):
            left, right = start * width_px, (start + width) * width_px
            lean = height_px * 0.36
            band = shape(
                (left + lean / 2, 0), (right + lean / 2, 0), (right - lean / 2, height_px), (left - lean / 2, height_px)
            )
            canvas.drawPath(band, fill(mix(palette.base, WHITE, 0.25), alpha))
        for row in range(9):
            for column in range(7):
                radius = 7.5 - 0.75 * row
                canvas.drawCircle(70 + column * 30, 330 + row * 30, max(radius, 0.8), fill(palette.accent, 0.55))
        hoop = outline(WHITE, 3, 0.16)
        canvas.drawCircle(width_px * 0.62, height_px * 0.44, width_px * 0.44, hoop)
        canvas.drawCircle(width_px * 0.62, height_px * 0.44, width_px * 0.36, hoop)

    return picture(width_px, height_px, draw)


def card_shade(width_px: int, height_px: int, palette: Palette) -> Rgba:
    """The darkness under the names of the player card."""

    def draw(canvas: skia.Canvas) -> None:
        stops = [(0.0, palette.dark, 0.0), (0.55, palette.dark, 0.90), (1.0, palette.dark, 1.0)]
        canvas.drawPaint(gradient((0, 0), (0, height_px), stops))

    return picture(width_px, height_px, draw)


def promo_background(width_px: int, height_px: int, palette: Palette) -> Rgba:
    """A light stage with a large disc behind the product."""

    def draw(canvas: skia.Canvas) -> None:
        top, low = mix(palette.light, palette.base, 0.05), mix(palette.light, palette.base, 0.24)
        canvas.drawPaint(gradient((0, 0), (0, height_px), [(0, top, 1), (1, low, 1)]))
        center = (width_px * 0.70, height_px * 0.53)
        canvas.drawCircle(*center, width_px * 0.42, fill(palette.base, 0.16))
        canvas.drawCircle(*center, width_px * 0.335, fill(palette.base))
        ring = outline(palette.accent, 10)
        canvas.drawArc(skia.Rect.MakeXYWH(center[0] - 412, center[1] - 412, 824, 824), 236, 58, False, ring)
        for row in range(5):
            for column in range(5):
                canvas.drawCircle(880 + column * 34, 70 + row * 34, 5, fill(palette.accent))
        floor = shape((0, height_px), (0, height_px - 66), (300, height_px - 112, 560, height_px - 20, 1080, height_px))
        canvas.drawPath(floor, fill(palette.dark, 0.08))

    return picture(width_px, height_px, draw)


def panel(width_px: int, height_px: int, palette: Palette) -> Rgba:
    """The plate of the lower third: dark, leaning at its right end, with a bright edge."""

    def draw(canvas: skia.Canvas) -> None:
        lean = 54
        plate = shape((0, 0), (width_px, 0), (width_px - lean, height_px), (0, height_px))
        canvas.drawPath(
            plate,
            gradient((0, 0), (0, height_px), [(0, mix(palette.dark, palette.base, 0.28), 1), (1, palette.dark, 1)]),
        )
        canvas.save()
        canvas.clipPath(plate, True)
        canvas.drawRect(skia.Rect(0, height_px - 8, width_px, height_px), fill(palette.base))
        canvas.restore()

    return picture(width_px, height_px, draw)


def block(width_px: int, height_px: int, rgb: Rgb, *, lean_px: float = 0.0, radius_px: float = 0.0) -> Rgba:
    """A plain plate: leaning (a parallelogram) or with round corners."""

    def draw(canvas: skia.Canvas) -> None:
        if radius_px:
            canvas.drawRoundRect(skia.Rect(0, 0, width_px, height_px), radius_px, radius_px, fill(rgb))
            return
        canvas.drawPath(shape((lean_px, 0), (width_px, 0), (width_px - lean_px, height_px), (0, height_px)), fill(rgb))

    return picture(width_px, height_px, draw)


def logo(kind: LogoKind, palette: Palette, *, size_px: int) -> Rgba:
    """A crest with a mark, ``size_px`` square, transparent around."""

    def draw(canvas: skia.Canvas) -> None:
        canvas.scale(size_px / 200, size_px / 200)
        _LOGOS[kind](canvas, palette)

    return picture(size_px, size_px, draw)


def _shield(canvas: skia.Canvas, palette: Palette) -> None:
    crest = shape((100, 6), (188, 34), (190, 110), (186, 168, 100, 196), (14, 168, 10, 110), (12, 34))
    canvas.drawPath(crest, fill(palette.light))
    canvas.save()
    canvas.translate(100, 100)
    canvas.scale(0.86, 0.86)
    canvas.translate(-100, -100)
    canvas.clipPath(crest, True)
    canvas.drawPaint(fill(palette.base))
    canvas.drawPath(shape((0, 150), (100, 60), (200, 150), (200, 196), (100, 106), (0, 196)), fill(palette.accent))
    canvas.restore()
    canvas.drawPath(_star(100, 62, 24), fill(palette.light))


def _roundel(canvas: skia.Canvas, palette: Palette) -> None:
    canvas.drawCircle(100, 100, 96, fill(palette.light))
    canvas.drawCircle(100, 100, 84, fill(palette.base))
    canvas.drawPath(shape((58, 146), (92, 54), (142, 54), (108, 146)), fill(palette.accent))
    canvas.drawPath(shape((104, 146), (122, 98), (154, 98), (136, 146)), fill(palette.light))


def _hexagon(canvas: skia.Canvas, palette: Palette) -> None:
    for radius, rgb in ((98, palette.light), (84, palette.base)):
        angles = np.radians(np.arange(30, 390, 60))
        points = [(100 + radius * float(np.cos(a)), 100 + radius * float(np.sin(a))) for a in angles]
        canvas.drawPath(shape(*points), fill(rgb))
    canvas.drawPath(shape((64, 142), (64, 62), (136, 142), (136, 58), closed=False), outline(palette.accent, 22))


def _bolt(canvas: skia.Canvas, palette: Palette) -> None:
    canvas.drawRoundRect(skia.Rect(6, 6, 194, 194), 52, 52, fill(palette.light))
    canvas.drawRoundRect(skia.Rect(18, 18, 182, 182), 42, 42, fill(palette.base))
    canvas.drawPath(shape((118, 34), (58, 112), (96, 112), (82, 168), (144, 86), (104, 86)), fill(palette.accent))


_LOGOS = {"shield": _shield, "roundel": _roundel, "hexagon": _hexagon, "bolt": _bolt}


def _star(x: float, y: float, radius: float) -> skia.Path:
    points = []
    for step in range(10):
        reach = radius if step % 2 == 0 else radius * 0.42
        angle = np.radians(36 * step - 90)
        points.append((x + reach * float(np.cos(angle)), y + reach * float(np.sin(angle))))
    return shape(*points)


def product(kind: ProductKind, palette: Palette) -> Rgba:
    """A product with light and shadow, ``PRODUCT_PX`` square, transparent around."""

    def draw(canvas: skia.Canvas) -> None:
        canvas.drawOval(skia.Rect(120, 576, 520, 620), fill(BLACK, 0.30, blur_px=14))
        _PRODUCTS[kind](canvas, palette)

    return picture(PRODUCT_PX, PRODUCT_PX, draw)


def _tube(left: float, right: float, rgb: Rgb) -> skia.Paint:
    """The light on something round that stands upright."""
    dark, bright = mix(rgb, BLACK, 0.45), mix(rgb, WHITE, 0.55)
    stops = [
        (0.0, dark, 1.0),
        (0.18, rgb, 1.0),
        (0.30, bright, 1.0),
        (0.44, rgb, 1.0),
        (0.82, mix(rgb, BLACK, 0.25), 1.0),
        (1.0, dark, 1.0),
    ]
    return gradient((left, 0), (right, 0), stops)


def _headphones(canvas: skia.Canvas, palette: Palette) -> None:
    body = mix(palette.dark, palette.light, 0.06)
    band = shape((120, 380), (112, 60, 528, 60, 520, 380), closed=False)
    canvas.drawPath(band, outline(mix(body, BLACK, 0.2), 58))
    canvas.drawPath(band, outline(body, 44))
    canvas.drawPath(shape((132, 330), (146, 108, 494, 108, 508, 330), closed=False), outline(palette.accent, 12))
    canvas.drawPath(shape((134, 250), (160, 130, 250, 96, 320, 94), closed=False), outline(WHITE, 8, 0.45, blur_px=3))
    for side in (-1, 1):
        canvas.save()
        canvas.translate(320 + side * 196, 448)
        canvas.rotate(side * -7)
        canvas.drawRoundRect(
            skia.Rect(-62 - side * 34, -118, 30 - side * 34, 118), 44, 44, fill(mix(body, BLACK, 0.45))
        )
        canvas.drawRoundRect(
            skia.Rect(-58, -134, 74, 134), 60, 60, _tube(-58, 74, mix(palette.dark, palette.base, 0.35))
        )
        canvas.drawRoundRect(skia.Rect(-32, -92, 50, 92), 40, 40, outline(palette.accent, 7))
        canvas.drawPath(_star(9, 0, 24), fill(palette.accent))
        canvas.restore()


def _bottle(canvas: skia.Canvas, palette: Palette) -> None:
    body = shape(
        (250, 196),
        (250, 176, 270, 150),
        (370, 150),
        (390, 176, 390, 196),
        (456, 232, 466, 270),
        (466, 560),
        (466, 600, 420, 604),
        (220, 604),
        (174, 600, 174, 560),
        (174, 270),
        (184, 232, 250, 196),
    )
    canvas.drawPath(body, _tube(174, 466, mix(palette.light, palette.base, 0.10)))
    canvas.save()
    canvas.clipPath(body, True)
    canvas.drawRect(skia.Rect(160, 330, 480, 520), _tube(174, 466, palette.dark))
    canvas.drawRect(skia.Rect(160, 322, 480, 332), fill(palette.accent))
    canvas.drawRect(skia.Rect(160, 518, 480, 528), fill(palette.accent))
    canvas.restore()
    canvas.drawPath(shape((338, 356), (286, 434), (318, 434), (304, 496), (362, 412), (326, 412)), fill(palette.accent))
    canvas.drawRoundRect(skia.Rect(244, 56, 396, 158), 20, 20, _tube(244, 396, palette.accent))
    for y in (84, 104, 124):
        canvas.drawLine(250, y, 390, y, outline(BLACK, 4, 0.18))
    canvas.drawPath(shape((206, 290), (204, 400, 206, 560), closed=False), outline(WHITE, 12, 0.6, blur_px=4))


def _sneaker(canvas: skia.Canvas, palette: Palette) -> None:
    upper = shape(
        (66, 330),
        (58, 250, 84, 222, 130, 214),
        (160, 262, 214, 270, 262, 232),
        (300, 250, 350, 330, 430, 366),
        (520, 392, 590, 410, 596, 486),
        (60, 486),
        (58, 420, 66, 380, 66, 330),
    )
    canvas.drawPath(
        upper,
        gradient(
            (60, 210),
            (60, 500),
            [(0, mix(palette.light, WHITE, 0.5), 1), (1, mix(palette.light, palette.base, 0.25), 1)],
        ),
    )
    canvas.save()
    canvas.clipPath(upper, True)
    canvas.drawPath(shape((40, 200), (170, 200), (190, 330, 150, 420, 140, 500), (40, 500)), fill(palette.dark))
    canvas.drawPath(shape((440, 500), (448, 420, 470, 380, 520, 360), (620, 360), (620, 500)), fill(palette.dark))
    canvas.drawPath(
        shape((176, 470), (280, 464, 380, 420, 420, 366), (440, 380), (410, 450, 330, 486, 196, 486)),
        fill(palette.accent),
    )
    canvas.drawPath(shape((70, 480), (300, 470, 590, 470), closed=False), outline(BLACK, 20, 0.22, blur_px=8))
    canvas.restore()
    for index in range(5):
        x, y = 268 + index * 36, 252 + index * 27
        canvas.drawLine(x, y, x - 34, y + 42, outline(palette.dark, 10))
        canvas.drawLine(x, y - 1, x - 34, y + 41, outline(WHITE, 5))
    sole = shape((52, 480), (604, 480), (614, 530, 590, 556, 550, 558), (110, 558), (60, 556, 44, 530, 52, 480))
    canvas.drawPath(
        sole, gradient((0, 480), (0, 560), [(0, WHITE, 1), (0.6, (228, 230, 236), 1), (1, (176, 180, 190), 1)])
    )
    canvas.drawPath(
        shape((62, 548), (120, 582, 520, 582, 596, 546), (604, 520), (500, 556, 140, 556, 54, 520)),
        fill(palette.accent),
    )
    canvas.drawLine(120, 512, 520, 512, outline(palette.dark, 4, 0.35))
    canvas.drawPath(shape((124, 226), (156, 280, 222, 286, 262, 240), closed=False), outline(palette.accent, 14))


def _speaker(canvas: skia.Canvas, palette: Palette) -> None:
    case = skia.Rect(176, 76, 464, 596)
    canvas.drawRoundRect(case, 96, 96, _tube(176, 464, mix(palette.dark, palette.base, 0.22)))
    canvas.save()
    path = skia.Path()
    path.addRoundRect(skia.Rect(192, 210, 448, 560), 76, 76)
    canvas.clipPath(path, True)
    canvas.drawPaint(fill(BLACK, 0.28))
    for row in range(28):
        for column in range(20):
            x = 196 + column * 14 + (row % 2) * 7
            canvas.drawCircle(x, 216 + row * 13, 3.6, fill(palette.light, 0.34))
    canvas.restore()
    canvas.drawOval(skia.Rect(204, 92, 436, 178), fill(BLACK, 0.55))
    canvas.drawOval(skia.Rect(212, 98, 428, 170), outline(palette.accent, 9))
    canvas.drawOval(skia.Rect(212, 98, 428, 170), outline(palette.accent, 16, 0.5, blur_px=10))
    for x in (284, 320, 356):
        canvas.drawCircle(x, 134, 9, fill(palette.light, 0.9))
    canvas.drawPath(shape((214, 190), (204, 330, 206, 520), closed=False), outline(WHITE, 10, 0.35, blur_px=5))
    canvas.drawRoundRect(skia.Rect(280, 520, 360, 540), 10, 10, fill(palette.accent))
    canvas.drawCircle(320, 340, 150, glow((290, 300), 150, WHITE, 0.10))


_PRODUCTS = {"headphones": _headphones, "bottle": _bottle, "sneaker": _sneaker, "speaker": _speaker}
