"""What was found and noted on a job, in the order in which it wants attention."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.models import Job, Warning
from jobs.states import Stage

SEVERITIES = ("critical", "warning", "info")


Groups = tuple[tuple[str, tuple[Warning, ...]], ...]
"""Pairs of severity and warnings, the most severe first, none empty."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that was found at any stage: all of it counts when somebody approves."""

    warnings: tuple[Warning, ...]

    @property
    def open(self) -> int:
        return sum(1 for warning in self.warnings if not warning.resolution)

    @property
    def groups(self) -> Groups:
        return _by_severity(self.warnings)

    @property
    def at_delivery(self) -> Groups:
        """What the validator says about the final project."""
        return _by_severity(tuple(w for w in self.warnings if w.stage == Stage.DELIVERY))

    @property
    def before_delivery(self) -> Groups:
        return _by_severity(tuple(w for w in self.warnings if w.stage != Stage.DELIVERY))


def read_findings(job: Job) -> Findings:
    """One query. The open come before the settled."""
    warnings = list(job.warnings.filter(kind=Warning.FINDING).select_related("resolved_by"))
    return Findings(warnings=tuple(sorted(warnings, key=lambda warning: bool(warning.resolution))))


def _by_severity(warnings: tuple[Warning, ...]) -> Groups:
    groups = [(name, tuple(w for w in warnings if w.severity == name)) for name in SEVERITIES]
    return tuple(group for group in groups if group[1])


def read_notes(job: Job) -> list[Warning]:
    """What the preview shows only approximately, the serious first."""
    notes = list(job.warnings.filter(kind=Warning.FIDELITY))
    return sorted(notes, key=lambda note: SEVERITIES.index(note.severity))
