"""layered_footage, critical. Object: the footage item. Evidence: its path and its layer.

Plainly's rule: .psd and .ai files as footage are refused, because rendering them needs more than After Effects and
their layers cannot be replaced. .psb and .eps are layered files of the same two programs. Cure: export the layer as
a PNG and replace the footage.
"""

from __future__ import annotations

from collections.abc import Iterator

from rendering.aftereffects.project import Project
from rendering.findings import Finding

LAYERED_SUFFIXES = (".psd", ".psb", ".ai", ".eps")


def check(project: Project) -> Iterator[Finding]:
    for item in project.footage:
        suffix = next((suffix for suffix in LAYERED_SUFFIXES if item.path.strip().lower().endswith(suffix)), None)
        if suffix is None:
            continue
        layer = f", layer {item.psd_layer}" if item.psd_layer else ""
        yield Finding(
            code="layered_footage",
            severity="critical",
            object=item.name,
            message=f"The footage is a layered {suffix} file.",
            cure="Export what it shows as a PNG and replace the footage with it.",
            evidence=f"{item.path}{layer}",
        )
