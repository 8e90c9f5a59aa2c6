"""no_render_comp, critical. Object: the project file. Evidence: how many compositions it has.

Without a composition to render there is nothing to deliver. Cure: add the composition, or choose it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rendering.aftereffects.project import Project
from rendering.findings import Finding


def check(project: Project) -> Iterator[Finding]:
    if any(comp.id == project.render_comp_id for comp in project.compositions):
        return
    yield Finding(
        code="no_render_comp",
        severity="critical",
        object=project.file_name,
        message="The project has no composition to render.",
        cure="Add a composition that shows the finished picture, or choose which one is rendered.",
        evidence=f"{len(project.compositions)} compositions",
    )
