"""Draws After Effects compositions with Skia."""

from rendering.drawing.compositor import Compositor
from rendering.drawing.notes import FidelityNote

__all__ = ["Compositor", "FidelityNote"]
