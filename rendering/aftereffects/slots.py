"""Slots: the layers of a template that are meant to be filled, each with the rule that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rendering.geometry import Box

SlotKind = Literal["text", "image"]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A layer that is meant to be filled.

    ``box`` is where it shows in the render comp's frame, px, at the moment it is best seen (None: never shown).
    ``source_size_px`` is the size of an image slot's source item (width, height); None for text slots.
    """

    comp_id: int
    comp_name: str
    layer_id: int
    name: str
    kind: SlotKind
    reason: str
    box: Box | None
    order: int
    text: str | None = None
    font: str | None = None
    source_size_px: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        """Stable within one project: ``<comp id>:<layer id>``."""
        return f"{self.comp_id}:{self.layer_id}"
