"""Starts the cluster of workers and guards it: sweeps every second, restarts what died or got stuck, stops in time.

django-q2 alone deadlocks for ever when an idle worker is killed, so somebody outside must watch; what is measured and
why is in docs/decisions/0003.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from jobs import sweeping
from jobs.courier import Courier
from jobs.models import StageRun

logger = logging.getLogger(__name__)

STOP_SECONDS = 8.0
WORKDIRS_EVERY_SECONDS = 60.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class Supervisor:
    """Guards one cluster. ``run`` returns after SIGTERM or SIGINT, when every process it started is gone."""

    cluster: subprocess.Popen[bytes] | None = None
    courier: Courier = field(default_factory=Courier)
    stopping: bool = False
    restarts: int = 0
    started_at: float = 0.0
    _workdirs_at: float = field(default=0.0, repr=False)

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        parent = os.getppid()
        try:
            self._start()
            while not self.stopping and os.getppid() == parent:
                self._round()
                time.sleep(1.0)
        finally:
            self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _round(self) -> None:
        """One look: sweep, then see whether the cluster lives and moves."""
        self.courier.tend()
        try:
            sweeping.sweep()
            if time.monotonic() - self._workdirs_at > WORKDIRS_EVERY_SECONDS:
                self._workdirs_at = time.monotonic()
                sweeping.sweep_workdirs()
            stuck = self._is_stuck()
        except DatabaseError:
            logger.exception("the database does not answer; trying again")
            connection.close()
            return
        if self.cluster is None or self.cluster.poll() is not None:
            logger.warning("the cluster ended by itself; starting another")
            self._restart()
        elif stuck:
            logger.warning("due work waits and nothing was started for %d s: a new cluster", settings.STUCK_SECONDS)
            self._restart()

    def _is_stuck(self) -> bool:
        """Due work waits, workers are free, and nothing was started for a while."""
        now = timezone.now()
        long_ago = now - timedelta(seconds=settings.STUCK_SECONDS)
        waiting = StageRun.objects.filter(state=StageRun.QUEUED, available_at__lt=long_ago).exists()
        running = StageRun.objects.filter(state=StageRun.RUNNING)
        busy = running.count() >= settings.WORKERS
        moving = running.filter(started_at__gt=long_ago).exists()
        young = time.monotonic() - self.started_at < settings.STUCK_SECONDS
        return waiting and not busy and not moving and not young

    def _start(self) -> None:
        self.started_at = time.monotonic()
        self.cluster = subprocess.Popen(  # noqa: S603 - our own interpreter and command
            [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "cluster"],
            start_new_session=True,
            env={**ONE_THREAD, **os.environ},
        )

    def _restart(self) -> None:
        self._kill()
        self.restarts += 1
        self._start()

    def _kill(self) -> None:
        if self.cluster is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.cluster.pid, signal.SIGKILL)
        self.cluster.wait()

    def _end(self) -> None:
        """SIGTERM to the main process alone lets running work finish; the group goes after the bound."""
        self.courier.end()
        if self.cluster is None:
            return
        if self.cluster.poll() is None:
            self.cluster.terminate()
            try:
                self.cluster.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.info("work is still running after %.0f s; it will be taken back by its lease", STOP_SECONDS)
        self._kill()
