"""What is done once a minute, each piece for itself. Other apps register theirs when they are ready, as errands."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error as DatabaseTrouble

logger = logging.getLogger(__name__)

Chore = Callable[[], int]
"""Does a bounded piece of work and returns how much there was to do."""

_chores: list[Chore] = []


def register(chore: Chore) -> None:
    _chores.append(chore)


def do_all() -> int:
    """Does what was registered."""
    return do_each(*_chores)


def do_each(*chores: Chore) -> int:
    """Returns how much there was to do in all. One that fails keeps none of the others from being done.

    Raises django.db.Error: without the database none of them can be done.
    """
    return sum(_try(chore) for chore in chores)


def _try(chore: Chore) -> int:
    try:
        return chore()
    except DatabaseTrouble:
        raise
    except Exception:
        # A storage that is away, or a fault of ours that only some row brings up.
        logger.exception("%s.%s failed; it is tried again in a minute", chore.__module__, chore.__qualname__)
    return 0
