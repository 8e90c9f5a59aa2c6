"""Carries the outbox out: a process beside the clusters, so that a receiver that hangs never holds up a stage."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import close_old_connections, connection

from jobs.notices import deliver_due, forget_old
from jobs.parentage import child_environment, end_with_parent

logger = logging.getLogger(__name__)

LANES = 4
"""How many receivers are served at the same time."""
AT_ONCE = 20
ROUND_SECONDS = 1.0
FORGET_EVERY_SECONDS = 3600.0
STOP_SECONDS = 3.0
START_SECONDS = 5.0


def carry() -> None:
    """Sends what is due until SIGTERM or SIGINT, then ends within STOP_SECONDS: what is under way is sent again."""
    end_with_parent()
    over = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    lanes = [threading.Thread(target=_serve_lane, args=(over,), daemon=True) for _ in range(LANES)]
    for lane in lanes:
        lane.start()
    while not over.wait(FORGET_EVERY_SECONDS):
        _try(forget_old)
    deadline = time.monotonic() + STOP_SECONDS
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))


def _serve_lane(over: threading.Event) -> None:
    while not over.is_set():
        if _try(lambda: deliver_due(AT_ONCE)) < AT_ONCE:
            over.wait(ROUND_SECONDS)


def _try(deed: Callable[[], int]) -> int:
    """What the deed counts; 0 when it failed. A courier that ends over one row would leave all others lying."""
    close_old_connections()
    try:
        return deed()
    except DatabaseTrouble:
        logger.exception("the database does not answer; trying again")
        connection.close()
    except Exception:
        # Mail backends and their libraries raise what they like; the row is due again after its hold.
        logger.exception("a delivery was not made; trying again")
    return 0


class Courier:
    """The process that runs ``carry``, for the supervisor to ``tend`` every second and to ``end``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = time.monotonic()

    def tend(self) -> None:
        """Starts the process, a little after the clusters, or starts it again when it has ended."""
        if self._process is not None and self._process.poll() is None:
            return
        if time.monotonic() - self._started_at < START_SECONDS:
            return
        if self._process is not None:
            logger.warning("the courier ended by itself; starting another")
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
            [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "deliver"],
            start_new_session=True,
            env=child_environment(),
        )

    def end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS + 1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
