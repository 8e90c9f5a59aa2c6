"""What columns may hold. Choices come from callables, so that a new stage or state needs no migration."""

from __future__ import annotations

from jobs.states import Queue, Stage, State
from jobs.teams import PEOPLE_ROLES

PRIORITIES = {"urgent": 0, "high": 1, "normal": 2, "low": 3}
PRIORITY_NAMES = {rank: name for name, rank in PRIORITIES.items()}


def role_choices() -> list[tuple[str, str]]:
    return [(role.value, role.value) for role in PEOPLE_ROLES]


def stage_choices() -> list[tuple[int, str]]:
    return [(stage.value, stage.label) for stage in Stage]


def state_choices() -> list[tuple[str, str]]:
    return [(state.value, state.value.replace("_", " ")) for state in State]


def priority_choices() -> list[tuple[int, str]]:
    return list(PRIORITY_NAMES.items())


def queue_choices() -> list[tuple[str, str]]:
    return [(queue.value, queue.value) for queue in Queue]
