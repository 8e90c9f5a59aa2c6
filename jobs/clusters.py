"""One guarded cluster: the workers of one queue on this machine, started, watched, restarted and stopped as a whole."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from jobs import errands
from jobs.claims import is_claimable
from jobs.models import Attempt, StageRun
from jobs.parentage import child_environment
from jobs.queue import QUEUE_VARIABLE
from jobs.states import Queue, Stage
from jobs.workers import NAME_VARIABLE

logger = logging.getLogger(__name__)

READY_VARIABLE = "CLUSTER_READY_FD"
READY_SECONDS = 60.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class GuardedCluster:
    """A cluster in a session of its own. ``worker`` is the name of the machine's Worker record."""

    queue: Queue
    worker: str
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = None
    leaving: bool = False
    _ready_pipe: int | None = field(default=None, repr=False)
    _started: float = field(default=0.0, repr=False)
    _stuck_since: float | None = field(default=None, repr=False)
    _seen_attempt: int = field(default=0, repr=False)

    def start(self) -> None:
        """Starts it unless it runs."""
        if self.process is not None:
            return
        reader, writer = os.pipe()
        own = {QUEUE_VARIABLE: self.queue.value, NAME_VARIABLE: self.worker, READY_VARIABLE: str(writer)}
        environment = {**ONE_THREAD, **child_environment(**own)}
        self._started, self._stuck_since, self.leaving = time.monotonic(), None, False
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
                [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "cluster"],
                start_new_session=True,
                pass_fds=(writer,),
                env=environment,
            )
        finally:
            os.close(writer)
        self._ready_pipe = reader

    def ask_to_stop(self) -> None:
        """SIGTERM to the main process alone: running work may finish. The group would take it along."""
        if self.process is not None and not self.leaving:
            self.leaving = True
            self.process.terminate()

    def kill(self) -> None:
        """Ends whatever is left of it, at once."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        self._close_pipe()

    def tend(self) -> None:
        """One look that needs no database: a cluster that ended by itself is started anew, unless it was asked to."""
        if self.process is None:
            return
        ended = self.process.poll() is not None
        if ended and self.leaving:
            self.kill()
        elif ended:
            self._restart("it ended by itself")
        elif self._is_starting() and time.monotonic() - self._started > READY_SECONDS:
            self._restart(f"it was not ready after {READY_SECONDS:.0f} s")

    def watch(self, stages: Collection[Stage]) -> None:
        """One look at the queue: restarts a wedged cluster.

        Wedged is: workers are free, work of these stages is due, and nothing was started for STUCK_SECONDS on end.
        """
        if self.process is None or self.leaving or self._is_starting():
            return
        seen, self._seen_attempt = self._seen_attempt, _newest_attempt()
        if not self._neglects_work(stages) or self._began_something(seen):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = time.monotonic()
        elif time.monotonic() - self._stuck_since > settings.STUCK_SECONDS:
            self._restart(f"due work waits and nothing was started for {settings.STUCK_SECONDS} s")

    def _restart(self, why: str) -> None:
        logger.warning("cluster %s: %s; starting another", self.queue, why)
        self.kill()
        self.restarts += 1
        self.start()

    def _is_starting(self) -> bool:
        if self._ready_pipe is not None and select.select([self._ready_pipe], [], [], 0)[0]:
            self._close_pipe()
        return self._ready_pipe is not None

    def _close_pipe(self) -> None:
        if self._ready_pipe is not None:
            os.close(self._ready_pipe)
            self._ready_pipe = None

    def _neglects_work(self, stages: Collection[Stage]) -> bool:
        running = StageRun.objects.filter(state=StageRun.RUNNING, queue=self.queue).order_by()
        mine = running.filter(lease_owner__startswith=f"{self.worker}/")
        busy = mine.count() + errands.running_of(self.worker, self.queue)
        due = errands.is_due(self.queue) or is_claimable([self.queue], stages)
        return busy < settings.QUEUE_WORKERS[self.queue] and due

    def _began_something(self, since_attempt: int) -> bool:
        begun = Attempt.objects.filter(pk__gt=since_attempt, run__queue=self.queue)
        return begun.filter(worker__startswith=f"{self.worker}/").exists() or errands.began(self.worker, self.queue)


def _newest_attempt() -> int:
    return Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
