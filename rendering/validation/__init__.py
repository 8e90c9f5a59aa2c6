"""Checks that a project can be rendered elsewhere before it is deployed.

Three of the rules are those of Plainly (all-caps style, renderers other than Classic 3D, layered files as footage);
the others are ours. Each rule is a module with ``check``; its docstring gives severity, object, evidence and cure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rendering.aftereffects.project import Project
from rendering.findings import Finding
from rendering.validation import (
    all_caps,
    layered_footage,
    missing_font,
    missing_footage,
    no_render_comp,
    non_ascii_name,
    renderer,
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """``clean`` is whether the project may be deployed: no finding is critical. Warnings are shown and do not block."""

    findings: tuple[Finding, ...]
    clean: bool


def validate(project: Project, *, installed: Callable[[str], bool]) -> Report:
    """Runs every rule. ``installed`` tells of a font's PostScript name whether this machine has the font."""
    findings = (
        *no_render_comp.check(project),
        *missing_footage.check(project),
        *layered_footage.check(project),
        *renderer.check(project),
        *all_caps.check(project),
        *missing_font.check(project, installed=installed),
        *non_ascii_name.check(project),
    )
    return Report(findings=findings, clean=all(finding.severity != "critical" for finding in findings))
