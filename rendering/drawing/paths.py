"""Skia paths from After Effects' outlines."""

from __future__ import annotations

import skia

from rendering.drawing.values import Outline


def outline_path(outline: Outline) -> skia.Path:
    """An empty path for fewer than two vertices."""
    path = skia.Path()
    count = len(outline.vertices)
    if count < 2:
        return path
    path.moveTo(*outline.vertices[0])
    for index in range(count if outline.closed else count - 1):
        following = (index + 1) % count
        (x0, y0), (x3, y3) = outline.vertices[index], outline.vertices[following]
        out_x, out_y = _handle(outline.out_tangents, index)
        in_x, in_y = _handle(outline.in_tangents, following)
        if out_x or out_y or in_x or in_y:
            path.cubicTo(x0 + out_x, y0 + out_y, x3 + in_x, y3 + in_y, x3, y3)
        else:
            path.lineTo(x3, y3)
    if outline.closed:
        path.close()
    return path


def _handle(handles: tuple[tuple[float, float], ...], index: int) -> tuple[float, float]:
    return handles[index] if index < len(handles) else (0.0, 0.0)
