"""What other apps want done once a minute: they register it when they are ready, as they do their errands."""

from __future__ import annotations

from collections.abc import Callable

Chore = Callable[[], int]
"""Does a bounded piece of work and returns how much there was to do."""

_chores: list[Chore] = []


def register(chore: Chore) -> None:
    _chores.append(chore)


def do_all() -> int:
    return sum(chore() for chore in _chores)
