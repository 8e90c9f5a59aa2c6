"""jobs.ticket_broker: tickets in the database are taken once, by deleting them."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ

from jobs.queue import send_ticket, tickets_waiting
from jobs.states import Queue
from jobs.ticket_broker import TicketBroker

LIGHT = str(Queue.LIGHT)
IS_SQLITE = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The moments that were waited for a ticket, seconds."""
    asked = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


@pytest.mark.django_db
def test_tickets_are_taken_in_their_order_and_gone(waits):
    broker = TicketBroker(list_key=LIGHT)
    numbers = [broker.enqueue(text) for text in ("a", "b", "ü %s 雪")]
    TicketBroker(list_key="heavy").enqueue("another queue's")
    assert [broker.dequeue() for _ in numbers] == [[(numbers[0], "a")], [(numbers[1], "b")], [(numbers[2], "ü %s 雪")]]
    assert list(OrmQ.objects.values_list("key", flat=True)) == ["heavy"]
    assert waits == []
    broker.acknowledge(numbers[0])
    assert broker.dequeue() is None
    assert waits == [Conf.POLL]


@pytest.mark.django_db
def test_the_tickets_of_machines_whose_clocks_are_wrong_count():
    for hours in (-1, 0, 1):
        OrmQ.objects.create(key=LIGHT, payload="ticket", lock=timezone.now() + timedelta(hours=hours))
    broker = TicketBroker(list_key=LIGHT)
    assert tickets_waiting(LIGHT) == broker.queue_size() == 3
    assert [broker.dequeue()[0][1] for _ in range(3)] == ["ticket"] * 3


@pytest.mark.django_db(transaction=True)
def test_a_change_that_rolls_back_sends_no_ticket():
    with transaction.atomic():
        send_ticket(LIGHT)
        assert tickets_waiting(LIGHT) == 1
        transaction.set_rollback(True)
    assert tickets_waiting(LIGHT) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(IS_SQLITE, reason="on SQLite one writes at a time")
def test_of_clusters_that_race_each_gets_its_own_tickets():
    broker = TicketBroker(list_key=LIGHT)
    sent = {broker.enqueue(str(number)) for number in range(40)}
    taken: list[int] = []
    together = threading.Barrier(4)

    def take() -> None:
        try:
            mine = TicketBroker(list_key=LIGHT)
            together.wait()
            while found := mine.dequeue():
                taken.append(found[0][0])
        finally:
            connection.close()

    racers = [threading.Thread(target=take) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(taken) == len(sent)
    assert set(taken) == sent
