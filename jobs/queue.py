"""What we use of django-q2, beside ``ticket_broker``. A ticket wakes a worker; what it works on is in our rows."""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import pydoc
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import transaction
from django_q.brokers import Broker, get_broker
from django_q.brokers.orm import ORM
from django_q.cluster import Cluster
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from jobs.parentage import PR_SET_PDEATHSIG
from jobs.sandbox import stage_server
from jobs.stage_server import spare_forks_what_is_here
from jobs.states import WITHOUT_STAGES

logger = logging.getLogger(__name__)

AWAY_SECONDS = 5.0
TICKET = "jobs.tasks.work"
QUEUE_VARIABLE = "Q_CLUSTER_NAME"
"""The variable by which a django-q2 cluster knows its name; our clusters are called as their queues."""
LOOK_SECONDS = 1.0
"""So often the main process of a cluster looks whether its supervisor lives."""
ORPHAN_SECONDS = 8
_stopping = mmap.mmap(-1, 1)
"""Shared by a cluster's processes. Without a lock, which a worker that is killed could hold for ever."""


class BrokerAway(OSError):
    """The broker (Redis) does not answer. Nothing is lost: the sweep finds due work without a ticket."""


class _Broker:
    """The way to a broker beside the database. Once it did not answer, it is left alone for a moment: whoever starts a
    thousand jobs waits for it once."""

    def __init__(self) -> None:
        self._away_until = 0.0

    def ask(self, request: Callable[[], Any]) -> Any:
        """Raises BrokerAway."""
        # Here, since workers without Redis need not carry it: every stage is a fork of all that they carry.
        from redis.exceptions import RedisError

        if time.monotonic() < self._away_until:
            raise BrokerAway("the broker did not answer a moment ago")
        try:
            return request()
        except RedisError as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            # The name alone: the message may hold the address with its password.
            logger.warning("the broker does not answer (%s); the sweep sends the tickets later", type(error).__name__)
            raise BrokerAway("the broker does not answer") from None

    def tell(self, queue: str) -> None:
        """Sends a ticket, or leaves it to the sweep."""
        with suppress(BrokerAway):
            self.ask(partial(async_task, TICKET, cluster=queue))


_broker = _Broker()


def send_ticket(queue: str) -> None:
    """Asks for one worker of a queue. With the ORM broker the ticket commits with our change; Redis hears after it.

    A ticket that gets lost is harmless: the sweep finds due work without a ticket.
    """
    if settings.Q_CLUSTER.get("orm"):
        async_task(TICKET, cluster=str(queue))
    else:
        transaction.on_commit(partial(_broker.tell, str(queue)), robust=True)


def send_tickets(queue: str, count: int) -> None:
    """Asks for so many workers of a queue, all in one transaction."""
    with transaction.atomic():
        for _ in range(count):
            send_ticket(queue)


def tickets_waiting(queue: str) -> int:
    """How many tickets of a queue no worker has taken yet. Raises BrokerAway."""
    return int(_broker.ask(lambda: get_broker(str(queue)).queue_size()))


def pass_through(queue: str, function: str) -> None:
    """A bare task's whole way with django-q2's own broker in the database, in this process: sent, taken, executed,
    acknowledged. For measuring."""
    broker = ORM(list_key=str(queue))
    async_task(function, cluster=str(queue), broker=broker)
    _serve(broker)


def serve(queue: str) -> bool:
    """What a worker does with the next ticket of a queue, in this process. False when there was none."""
    return _serve(get_broker(str(queue)))


def _serve(broker: Broker) -> bool:
    taken = broker.dequeue() or ()
    for ticket, payload in taken:
        pydoc.locate(SignedPackage.loads(payload)["func"])()  # type: ignore[operator]
        broker.acknowledge(ticket)
    return bool(taken)


def run_cluster(ready: Callable[[], None]) -> None:
    """Runs the django-q2 cluster of the queue in ``QUEUE_VARIABLE`` in this process until it gets SIGTERM.

    ``ready`` is called when the workers are there. They are forks, so what they need is loaded first, and they share
    one stage server, if their queue has stages: else a worker would start its own when it is given one. Every process
    of the cluster dies with the one that started it.
    """
    if os.environ.get(QUEUE_VARIABLE) not in WITHOUT_STAGES:
        stage_server()
    import jobs.tasks  # noqa: F401

    spare_forks_what_is_here()
    _tie_forks_to_their_parents()
    cluster = Cluster()
    supervisor = os.getppid()
    signal.signal(signal.SIGTERM, partial(_end, cluster, supervisor))
    cluster.start()
    ready()
    while cluster.sentinel.is_alive():
        # Looked at, not only listened for: to a process that was frozen the death signal may come in another thread,
        # and wakes nobody who waits here.
        cluster.sentinel.join(LOOK_SECONDS)
        if os.getppid() != supervisor:
            _end(cluster, supervisor, signal.SIGTERM, None)


def is_stopping() -> bool:
    """Whether this process belongs to a cluster that was asked to stop."""
    return _stopping[0] != 0


def _end(cluster: Cluster, supervisor: int, number: int, frame: FrameType | None) -> None:
    """Lets running work finish and begins none: tickets at hand are let go, and whoever stays takes the work sooner.

    The supervisor sets the bound; when it is gone, the alarm does, whose death is ours.
    """
    _stopping[0] = 1
    if os.getppid() != supervisor:
        signal.alarm(ORPHAN_SECONDS)
    cluster.sig_handler(number, frame)


def _tie_forks_to_their_parents() -> None:
    """From now on every fork of this process, and of its forks, is killed when its parent ends.

    django-q2's own sentinel and workers would go on without a guard.
    """
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent was faster

    os.register_at_fork(before=remember, after_in_child=tie)
