"""What workers call."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection

from django.conf import settings
from django.db import connection

from jobs import blocking, errands, pipeline, workers
from jobs.claims import claim, worker_name
from jobs.pipeline import AWAY
from jobs.queue import QUEUE_VARIABLE, is_stopping
from jobs.states import Queue, Stage

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


_did_errand = False
"""Whether this process did an errand last."""


def _work() -> None:
    """An errand, which a person waits for, or the most urgent stage that this machine may claim.

    However many errands wait, stages that wait too have one of the machine's workers; its only one, every second time.
    """
    if is_stopping():
        return
    name = os.environ.get(workers.NAME_VARIABLE, "")
    allowed = workers.may_claim(name)
    queue = os.environ.get(QUEUE_VARIABLE)
    queues = allowed.queues & {Queue(queue)} if queue else allowed.queues
    if not queues:
        return
    owner = f"{name}/{os.getpid()}" if name else worker_name()
    has_errand = any(errands.is_due(one) for one in queues)
    is_stages_turn = has_errand and queue is not None and _is_stages_turn(name, Queue(queue))
    if has_errand and not is_stages_turn and _do_errand(owner, queues):
        return
    if not _do_stage(name, owner, queues, allowed.stages) and is_stages_turn:
        _do_errand(owner, queues)


def _is_stages_turn(name: str, queue: Queue) -> bool:
    """Whether errands have all of the machine's workers but this one. Two that look at once may each find that not so:
    a stage then waits for one errand, not for all of them."""
    count = settings.QUEUE_WORKERS[queue]
    return _did_errand if count == 1 else errands.running_of(name, queue) >= count - 1


def _do_errand(owner: str, queues: Collection[Queue]) -> bool:
    """False when there was none."""
    global _did_errand
    errand = errands.claim(owner, queues=queues)
    if errand is None:
        return False
    _did_errand = True
    errands.perform(errand)
    return True


def _do_stage(name: str, owner: str, queues: Collection[Queue], stages: Collection[Stage]) -> bool:
    """False when there was none."""
    global _did_errand
    lease = claim(owner, queues=queues, stages=stages)
    if lease is None:
        return False
    _did_errand = False
    failed = pipeline.perform(lease)
    if name and failed is not None:
        blocking.judge(name.rpartition(":")[0], failed)
    return True
