"""What workers call."""

from __future__ import annotations

import os

from jobs import blocking, errands, pipeline, workers
from jobs.claims import claim, worker_name
from jobs.queue import QUEUE_VARIABLE
from jobs.states import Queue


def work() -> None:
    """One ticket: an errand, which a person waits for, or the most urgent stage that this machine may claim."""
    name = os.environ.get(workers.NAME_VARIABLE, "")
    allowed = workers.may_claim(name)
    queue = os.environ.get(QUEUE_VARIABLE)
    queues = allowed.queues & {Queue(queue)} if queue else allowed.queues
    if not queues:
        return
    owner = f"{name}/{os.getpid()}" if name else worker_name()
    errand = errands.claim(owner, queues=queues)
    if errand is not None:
        errands.perform(errand)
        return
    lease = claim(owner, queues=queues, stages=allowed.stages)
    if lease is None:
        return
    failed = pipeline.perform(lease)
    if name and failed is not None:
        blocking.judge(name.rpartition(":")[0], failed)
