"""The only module that knows django-q2. A ticket wakes a worker; what it works on is in our rows."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.db import transaction
from django_q.brokers import get_broker
from django_q.cluster import Cluster
from django_q.tasks import async_task

TICKET = "jobs.tasks.work"


def send_ticket() -> None:
    """Asks for one worker. With the ORM broker the ticket commits with our change; another broker hears of it after.

    A ticket that gets lost is harmless: the sweep finds due work without a ticket.
    """
    if settings.Q_CLUSTER.get("orm"):
        async_task(TICKET)
    else:
        transaction.on_commit(partial(async_task, TICKET), robust=True)


def tickets_waiting() -> int:
    """How many tickets no worker has taken yet."""
    return int(get_broker().queue_size())


def run_cluster() -> None:
    """Runs a django-q2 cluster in this process until it gets SIGTERM.

    The stages are imported first: workers are forks, so the heavy libraries are loaded once.
    """
    import jobs.tasks  # noqa: F401

    Cluster().start()
