"""Photoshop documents (.psd, .psb): read once, described as plain frozen values, exported as PNG files."""

from rendering.photoshop.document import (
    CompositeImage,
    Document,
    Layer,
    LayerImage,
    LayerKind,
    TextRun,
)
from rendering.photoshop.opening import OpenDocument, export_layers, open_document, read_composite, read_document

__all__ = [
    "CompositeImage",
    "Document",
    "Layer",
    "LayerImage",
    "LayerKind",
    "OpenDocument",
    "TextRun",
    "export_layers",
    "open_document",
    "read_composite",
    "read_document",
]
