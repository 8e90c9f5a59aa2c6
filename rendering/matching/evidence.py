"""What one feature says about every pair of a layer and a slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """Both arrays are (layers, slots). ``values`` is 0..1; where ``known`` is False the value means nothing."""

    values: Grid
    known: Mask

    def or_neutral(self, neutral: float) -> Grid:
        """The values, with ``neutral`` where nothing is known."""
        return np.where(self.known, np.clip(self.values, 0.0, 1.0), neutral)
