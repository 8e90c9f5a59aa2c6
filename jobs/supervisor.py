"""Starts a cluster of workers for each queue and guards them: sweeps every second, restarts what died or got stuck.

django-q2 alone deadlocks for ever when an idle worker is killed, so somebody outside must watch; what is measured and
why is in docs/decisions/0003.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from types import FrameType

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection

from jobs import noted_heads, sweeping, workers
from jobs.beside import Beside
from jobs.clusters import GuardedCluster
from jobs.courier import Courier
from jobs.models import Worker
from jobs.orphans import Orphans
from jobs.states import QUEUES, Queue

logger = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
STOP_SECONDS = 8.0
STRAYS_EVERY_SECONDS = 60.0
HEADS_EVERY_SECONDS = 5.0
ORPHANS_EVERY_SECONDS = 5.0


def usual_queues() -> tuple[Queue, ...]:
    """The queues that have workers on this machine."""
    return tuple(queue for queue in QUEUES if settings.QUEUE_WORKERS[queue])


@dataclass
class Supervisor:
    """Guards the clusters of one machine. ``run`` returns after SIGTERM or SIGINT, when all that it started is gone."""

    queues: Collection[Queue]
    stopping: bool = False
    worker: Worker | None = None
    clusters: list[GuardedCluster] = field(default_factory=list)
    courier: Courier = field(default_factory=Courier)
    _strays: Beside = field(
        default_factory=lambda: Beside("strays", STRAYS_EVERY_SECONDS, lambda: sweeping.sweep_strays()), repr=False
    )
    _heads: Beside = field(
        default_factory=lambda: Beside("heads", HEADS_EVERY_SECONDS, noted_heads.Newest().note), repr=False
    )
    _orphans: Orphans = field(default_factory=lambda: Orphans(settings.WORKER_NAME), repr=False)
    _orphans_at: float = field(default=0.0, repr=False)
    _beat_at: float = field(default=0.0, repr=False)

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        name = f"{settings.WORKER_NAME[:80]}:{os.getpid()}"
        self.clusters = [GuardedCluster(queue, name) for queue in self.queues]
        try:
            while not self.stopping:
                self._round()
                time.sleep(ROUND_SECONDS)
        finally:
            self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _round(self) -> None:
        """One look: see whether the clusters live, beat, sweep, see whether they move."""
        try:
            for cluster in self.clusters:
                cluster.tend()
            self.courier.tend()
            self._end_orphans()
            self._beat()
            sweeping.sweep()
            self._strays.tend()
            self._heads.tend()
            self._watch()
        except (DatabaseTrouble, OSError):
            # OSError: a broker such as Redis that does not answer, or a machine without room for a process.
            logger.exception("the database, the broker or the machine refuses; trying again")
            connection.close()

    def _beat(self) -> None:
        """Announces the machine, then beats. It works when its record says so; else its clusters finish and end."""
        if self.worker is not None and time.monotonic() - self._beat_at < workers.HEARTBEAT_SECONDS:
            return
        restarts = sum(cluster.restarts for cluster in self.clusters)
        if self.worker is not None:
            self.worker = workers.beat(self.worker, restarts=restarts)
        first = self.worker is None
        if self.worker is None:
            self.worker = workers.announce(self.queues)
            logger.info("%s serves %s", self.worker.name, ", ".join(self.queues))
        self._beat_at = time.monotonic()
        for cluster in self.clusters:
            if self.worker.state == Worker.ACTIVE:
                cluster.start()
            else:
                cluster.ask_to_stop()
        if first:
            # After the clusters are on their way: reading the fonts takes a while.
            Worker.objects.filter(pk=self.worker.pk).update(capabilities=workers.capabilities())

    def _end_orphans(self) -> None:
        if time.monotonic() - self._orphans_at > ORPHANS_EVERY_SECONDS:
            self._orphans_at = time.monotonic()
            self._orphans.look()

    def _watch(self) -> None:
        assert self.worker is not None
        allowed = workers.may_claim(self.worker.name)
        for cluster in self.clusters:
            if cluster.queue in allowed.queues:
                cluster.watch(allowed.stages)

    def _end(self) -> None:
        """Running work may finish within the bound; then the groups go, and the leases bring their work back."""
        for cluster in self.clusters:
            cluster.ask_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        self.courier.end()
        for cluster in self.clusters:
            if cluster.process is None:
                continue
            try:
                cluster.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.info("cluster %s still works after %.0f s; its work is taken back", cluster.queue, STOP_SECONDS)
            cluster.kill()
        self._leave()

    def _leave(self) -> None:
        if self.worker is None:
            return
        try:
            workers.leave(self.worker)
        except DatabaseTrouble:
            logger.warning("could not say goodbye: the database does not answer")
