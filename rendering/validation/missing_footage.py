"""missing_footage, critical. Object: the footage item. Evidence: its path and how many layers show it.

A renderer stops at a file that is not there, or draws colour bars. One finding for each file, however many layers of
it are items of their own. Cure: put the file back, or replace the footage.
"""

from __future__ import annotations

from collections.abc import Iterator

from rendering.aftereffects.project import Footage, Project
from rendering.findings import Finding


def check(project: Project) -> Iterator[Finding]:
    by_path: dict[str, list[Footage]] = {}
    for item in project.footage:
        if not item.found:
            by_path.setdefault(item.path or item.name, []).append(item)
    for path, items in by_path.items():
        references = sum(item.references for item in items)
        yield Finding(
            code="missing_footage",
            severity="critical",
            object=path.replace("\\", "/").rsplit("/", 1)[-1] or items[0].name,
            message="A footage file is missing: layers that show it cannot be rendered.",
            cure="Put the file into the footage folder, or replace the footage in After Effects.",
            evidence=f"{path}; shown by {references} {'layer' if references == 1 else 'layers'}",
        )
