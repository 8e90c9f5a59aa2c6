"""The broker of tickets in the database, where there is no Redis: django-q2's own, less what a ticket does not need.

A ticket says that there is work, and nothing else; the sweep sends another for due work without one. So it is taken by
deleting it, as from Redis, instead of being locked and later acknowledged, and its going does not wait for the disk.
"""

from __future__ import annotations

import time
from typing import Any

from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from jobs import clock
from jobs.compiled import Delete, Insert, Rows, given
from jobs.durability import SoonOnDisk

_SENT = Insert(OrmQ)
_FIRST = Rows(lambda: OrmQ.objects.filter(key=given(OrmQ, "key")).order_by("id").values_list("id", "payload")[:1])
_TAKEN = Delete(lambda: OrmQ.objects.filter(SoonOnDisk(), pk=given(OrmQ, "id")))


class TicketBroker(ORM):  # type: ignore[misc]
    """What django-q2 calls to send, take and end messages (its ``Broker``)."""

    def enqueue(self, task: str) -> Any:
        """Sends a ticket with the caller's transaction, or at once."""
        self.get_connection()  # which lets go of a connection that is too old
        row = OrmQ(key=self.list_key, payload=task, lock=clock.now())
        _SENT(row)
        return row.pk

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Takes the oldest ticket of the queue; when there is none, waits a moment and returns None."""
        self.get_connection()
        while row := _FIRST.first(key=self.list_key):
            number, payload = row
            if _TAKEN(id=number):
                return [(number, payload)]
        time.sleep(Conf.POLL)
        return None

    def queue_size(self) -> int:
        """Of every ticket, whatever this machine's clock says."""
        return int(self.get_connection().filter(key=self.list_key).count())

    def acknowledge(self, task_id: Any) -> None:
        """Nothing: it is gone since it was taken."""
