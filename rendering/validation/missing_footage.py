"""missing_footage, critical where a layer shows it, otherwise a warning. Object: the file. Evidence: path and layers.

A renderer stops at a file that is not there, or draws colour bars; one that no layer shows is only left over. One
finding for each file, however many of its layers are items of their own. Cure: put the file back, replace the footage,
or remove what is left over.
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
        file_name = path.replace("\\", "/").rsplit("/", 1)[-1] or items[0].name
        evidence = f"{path}; shown by {references} {'layer' if references == 1 else 'layers'}"
        yield _missing(file_name, evidence) if references else _left_over(file_name, evidence)


def _missing(file_name: str, evidence: str) -> Finding:
    return Finding(
        code="missing_footage",
        severity="critical",
        object=file_name,
        message="A footage file is missing: layers that show it cannot be rendered.",
        cure="Put the file into the footage folder, or replace the footage in After Effects.",
        evidence=evidence,
    )


def _left_over(file_name: str, evidence: str) -> Finding:
    return Finding(
        code="missing_footage",
        severity="warning",
        object=file_name,
        message="A footage file is missing, but no layer shows it.",
        cure="Remove the unused footage in After Effects.",
        evidence=evidence,
    )
