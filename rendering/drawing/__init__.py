"""Draws After Effects compositions with Skia."""

from rendering.drawing.compositor import Compositor, Rgba
from rendering.drawing.notes import FidelityNote

__all__ = ["Compositor", "FidelityNote", "Rgba"]
