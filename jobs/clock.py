"""The database's time without asking for it each time.

The clocks of machines differ, by minutes when one of them is wrong. What is stored in the database, or compared with
what is, goes by the one clock that all machines share: ``Now()`` in SQL, ``now()`` in Python.

On PostgreSQL a connection reads the server's clock when it opens, and ``now()`` adds the monotonic time that has passed
since. SQLite's file is on this machine, whose clock is therefore the database's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.utils import timezone

READ_AGAIN_SECONDS = 600.0
"""Two clocks that run at slightly different rates have hardly parted by then."""


def now() -> datetime:
    """The database's time, with its zone: never ahead of ``Now()``, and behind it by an answer's way at most.

    Opens the connection when there is none yet, and raises what that raises. Otherwise it asks the database outside of
    transactions alone, and only when the last reading is older than READ_AGAIN_SECONDS.
    """
    connection: Any = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        return timezone.now()
    connection.ensure_connection()
    reading: _Reading | None = getattr(connection, "clock_reading", None)
    if reading is None or (_passed(reading) > READ_AGAIN_SECONDS and not connection.in_atomic_block):
        reading = _read(connection)
    return reading.at + timedelta(seconds=_passed(reading))


@dataclass(frozen=True)
class _Reading:
    """``at`` was the database's time when the monotonic clock stood at ``answered`` seconds, or a little before."""

    at: datetime
    answered: float


def _passed(reading: _Reading) -> float:
    return time.monotonic() - reading.answered


def _read(connection: Any) -> _Reading:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [at] = cursor.fetchone()
    # Taken for the moment of the answer, not of the middle of the way: what is due from now() on must be due by Now().
    reading = _Reading(at=at, answered=time.monotonic())
    connection.clock_reading = reading
    return reading


@receiver(connection_created, dispatch_uid="jobs.clock")
def _read_at_first(*, connection: Any, **kwargs: Any) -> None:
    """Keeps the server's time with the connection: threads and forked children open their own, and read their own."""
    if connection.vendor == "postgresql":
        _read(connection)
