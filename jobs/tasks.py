"""What workers call."""

from __future__ import annotations

import os

from jobs import pipeline, workers
from jobs.claims import claim, worker_name
from jobs.queue import QUEUE_VARIABLE
from jobs.states import Queue


def work() -> None:
    """One ticket: the most urgent work of this cluster's queue that this machine may claim."""
    name = os.environ.get(workers.NAME_VARIABLE, "")
    allowed = workers.may_claim(name)
    queue = os.environ.get(QUEUE_VARIABLE)
    queues = allowed.queues & {Queue(queue)} if queue else allowed.queues
    if not queues:
        return
    lease = claim(f"{name}/{os.getpid()}" if name else worker_name(), queues=queues, stages=allowed.stages)
    if lease is not None:
        pipeline.perform(lease)
