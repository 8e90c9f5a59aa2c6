"""renderer, critical. Object: the composition. Evidence: its renderer's id.

Plainly's rule: every composition uses Classic 3D; the other renderers need hardware and licences that a render farm
does not have. Compositions of old versions that name no renderer use Classic 3D. Cure: choose Classic 3D.
"""

from __future__ import annotations

from collections.abc import Iterator

from rendering.aftereffects.project import Project
from rendering.findings import Finding

CLASSIC_3D = "ADBE Advanced 3d"
RENDERER_NAMES = {"ADBE Calder": "Advanced 3D", "ADBE Ernst": "Cinema 4D"}


def check(project: Project) -> Iterator[Finding]:
    for comp in project.compositions:
        if comp.renderer in (CLASSIC_3D, ""):
            continue
        yield Finding(
            code="renderer",
            severity="critical",
            object=comp.name,
            message=f"The composition uses the renderer {RENDERER_NAMES.get(comp.renderer, comp.renderer)}.",
            cure="Choose Classic 3D in the composition's settings, 3D Renderer.",
            evidence=comp.renderer,
        )
