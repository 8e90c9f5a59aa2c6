"""Samples made by our own code: fonts, Photoshop documents, After Effects templates and a sheet of twelve jobs."""

from rendering.samples.building import Samples, build_samples
from rendering.samples.documents import build_documents, tiny_document
from rendering.samples.fonts import build_fonts
from rendering.samples.projects import build_projects, tiny_project

__all__ = [
    "Samples",
    "build_documents",
    "build_fonts",
    "build_projects",
    "build_samples",
    "tiny_document",
    "tiny_project",
]
