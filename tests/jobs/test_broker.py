"""jobs.queue with Redis: tickets go after the commit, and nothing that people do depends on it."""

from __future__ import annotations

import os
import socket
import uuid

import pytest
from django.db import transaction
from django.urls import reverse
from django_q.brokers import get_broker
from django_q.conf import Conf

from jobs import queue, sweeping
from jobs.lifecycle import move
from jobs.models import StageRun
from jobs.states import Queue, State
from tests.people import make_job

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
LIGHT = str(Queue.LIGHT)


def use(monkeypatch, settings, **address):
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    values = {"socket_connect_timeout": 2.0, "socket_timeout": 5.0, "retry": Retry(NoBackoff(), 0), **address}
    settings.Q_CLUSTER = {key: value for key, value in settings.Q_CLUSTER.items() if key != "orm"} | {"redis": values}
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "BROKER_CLASS", None)
    monkeypatch.setattr(Conf, "REDIS", values)
    monkeypatch.setattr(Conf, "PREFIX", uuid.uuid4().hex)
    monkeypatch.setattr(queue, "_broker", queue._Broker())


@pytest.fixture
def redis_broker(monkeypatch, settings):
    from redis import Redis
    from redis.connection import parse_url
    from redis.exceptions import RedisError

    address = dict(parse_url(REDIS_URL))
    try:
        Redis(**address, socket_connect_timeout=1).ping()
    except RedisError:
        pytest.skip(f"no Redis answers at port {address.get('port', 6379)}")
    use(monkeypatch, settings, **address)
    broker = get_broker(LIGHT)
    broker.list_key = f"django_q:{uuid.uuid4().hex}:q"
    monkeypatch.setattr(queue, "get_broker", lambda name: broker)
    monkeypatch.setattr("django_q.tasks.get_broker", lambda *_: broker)
    yield broker
    broker.delete_queue()


@pytest.fixture
def broker_away(monkeypatch, settings):
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        use(monkeypatch, settings, host="127.0.0.1", port=taken.getsockname()[1], password="a-password")
        monkeypatch.setattr(queue, "AWAY_SECONDS", 3600.0)
        yield


@pytest.mark.django_db(transaction=True)
def test_a_ticket_goes_after_the_commit(redis_broker):
    with transaction.atomic():
        queue.send_ticket(LIGHT)
        assert queue.tickets_waiting(LIGHT) == 0
    assert queue.tickets_waiting(LIGHT) == 1


@pytest.mark.django_db(transaction=True)
def test_a_change_that_rolls_back_sends_nothing(redis_broker):
    with transaction.atomic():
        queue.send_ticket(LIGHT)
        transaction.set_rollback(True)
    assert queue.tickets_waiting(LIGHT) == 0


@pytest.mark.django_db(transaction=True)
def test_a_ticket_that_a_killed_worker_took_is_sent_anew(redis_broker, batch):
    job = make_job(batch)
    move(job, "start")
    assert queue.tickets_waiting(LIGHT) == 1
    redis_broker.dequeue()
    assert queue.tickets_waiting(LIGHT) == 0
    assert sweeping.send_missing_tickets(Queue.LIGHT) == 1
    assert queue.tickets_waiting(LIGHT) == 1
    assert sweeping.send_missing_tickets(Queue.LIGHT) == 0


@pytest.mark.django_db(transaction=True)
def test_people_work_on_while_the_broker_is_away(broker_away, batch, people, client, caplog):
    job = make_job(batch)
    client.force_login(people.olga)
    move(job, "start")
    job.refresh_from_db()
    assert job.state == State.QUEUED
    assert StageRun.objects.get(job=job).state == StageRun.QUEUED
    assert client.get(reverse("admin:index")).status_code == 200
    assert "a-password" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_is_asked_once_a_moment(broker_away, batch, monkeypatch, caplog):
    for _ in range(5):
        queue.send_ticket(LIGHT)
    assert caplog.text.count("the sweep sends the tickets later") == 1


@pytest.mark.django_db(transaction=True)
def test_the_sweep_goes_on_without_the_broker_and_sends_when_it_is_back(broker_away, batch, monkeypatch):
    move(make_job(batch), "start")
    assert sweeping.sweep() == 0
    with pytest.raises(queue.BrokerAway):
        queue.tickets_waiting(LIGHT)
    sent = []
    monkeypatch.setattr(queue, "_broker", queue._Broker())
    monkeypatch.setattr(queue, "get_broker", lambda name: type("Empty", (), {"queue_size": lambda self: 0})())
    monkeypatch.setattr(queue, "async_task", lambda *_, **more: sent.append(more["cluster"]))
    assert sweeping.sweep() == 1
    assert sent == [LIGHT]
