"""What goes into a slot. Drawing, the populate script and the final project all read the same fillings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rendering.aftereffects.slots import Slot


@dataclass(frozen=True, kw_only=True)
class Filling:
    """Exactly one of ``text`` and ``image`` is set.

    ``image`` is an 8-bit RGBA PNG that already has the slot's source size (see ``fit_image``), so nothing moves.
    """

    slot: Slot
    text: str | None = None
    image: Path | None = None
