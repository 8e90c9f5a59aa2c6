"""What workers call."""

from __future__ import annotations

import logging
import os
import time

from django.db import connection

from jobs import blocking, errands, pipeline, workers
from jobs.claims import claim, worker_name
from jobs.pipeline import AWAY
from jobs.queue import QUEUE_VARIABLE
from jobs.states import Queue

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0


def work() -> None:
    """One ticket. While the database is away it is let go: the sweep sends another, and nobody fails in a flurry."""
    try:
        _work()
    except AWAY as error:
        connection.close()
        logger.warning("the database does not answer (%s); trying again", " ".join(str(error).split())[:200])
        time.sleep(PAUSE_SECONDS)


def _work() -> None:
    """An errand, which a person waits for, or the most urgent stage that this machine may claim."""
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
