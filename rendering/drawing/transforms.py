"""Where a layer lies in its composition: anchor point, position, scale, rotation, and its parents."""

from __future__ import annotations

import math
from typing import Any

import skia

from rendering.drawing.values import OverTime, PropertyReader, child

MAX_PARENTS = 200
_DIRECTION_STEP_SECONDS = 0.01


class LayerTransform:
    """The 2D transform of a layer. 3D layers are seen from the front: depth, X and Y rotation do not count."""

    def __init__(self, layer: Any, reader: PropertyReader, parent: LayerTransform | None) -> None:
        group = child(layer, "ADBE Transform Group")
        self.parent = parent
        self.opacity_percent = reader.number(group, "ADBE Opacity", 100.0)
        self._anchor = reader.numbers(group, "ADBE Anchor Point", (0.0, 0.0, 0.0))
        self._position = reader.numbers(group, "ADBE Position", (0.0, 0.0, 0.0))
        self._scale = reader.numbers(group, "ADBE Scale", (100.0, 100.0, 100.0))
        self._rotation = reader.number(group, "ADBE Rotate Z", 0.0)
        self._along_path = "ALONG_PATH" in str(getattr(layer, "auto_orient", ""))
        own: tuple[OverTime, ...] = (self._anchor, self._position, self._scale, self._rotation)
        self.animated: bool = any(value.animated for value in own) or (parent is not None and parent.animated)
        self._moment: float | None = None
        self._matrix = skia.Matrix()

    def matrix(self, time_seconds: float) -> skia.Matrix:
        """From the layer's own pixels to its composition's."""
        if self._moment is None or (self.animated and self._moment != time_seconds):
            local = self._local(time_seconds)
            if self.parent is not None:
                local = skia.Matrix.Concat(self.parent.matrix(time_seconds), local)
            self._matrix = local
            self._moment = time_seconds
        return self._matrix

    def signature(self, time_seconds: float) -> tuple[float, ...]:
        return tuple(self.matrix(time_seconds).get9())

    def _local(self, time_seconds: float) -> skia.Matrix:
        anchor = self._anchor.at(time_seconds)
        position = self._position.at(time_seconds)
        scale = self._scale.at(time_seconds)
        matrix = skia.Matrix()
        matrix.setTranslate(position[0], position[1])
        matrix.preRotate(self._rotation.at(time_seconds) + self._heading_degrees(time_seconds))
        matrix.preScale(scale[0] / 100, scale[1] / 100)
        matrix.preTranslate(-anchor[0], -anchor[1])
        return matrix

    def _heading_degrees(self, time_seconds: float) -> float:
        if not self._along_path or not self._position.animated:
            return 0.0
        before = self._position.at(time_seconds - _DIRECTION_STEP_SECONDS)
        after = self._position.at(time_seconds + _DIRECTION_STEP_SECONDS)
        across, down = after[0] - before[0], after[1] - before[1]
        return math.degrees(math.atan2(down, across)) if across or down else 0.0
