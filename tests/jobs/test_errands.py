"""jobs.errands: work of a page that survives its worker"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from jobs import errands, sweeping, tasks
from jobs.clusters import GuardedCluster
from jobs.errors import LeaseLost
from jobs.models import Errand
from jobs.queue import tickets_waiting
from jobs.states import Queue, Stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(monkeypatch):
    """What the kind ``count`` did and was told; ``told["raise"]`` is raised by its doer."""
    told = {"done": [], "given_up": [], "raise": None}

    def do(held):
        held.hold(done=1, total=2, step="counting")
        told["done"].append(held.subject)
        if told["raise"]:
            raise told["raise"]

    monkeypatch.setattr(errands, "_kinds", dict(errands._kinds))
    errands.register("count", do=do, give_up=lambda subject, error: told["given_up"].append((subject, error)))
    return told


def make_due(errand):
    Errand.objects.filter(pk=errand.pk).update(available_at=Now() - timedelta(seconds=1))


def test_a_ticket_makes_a_worker_do_the_errand(told, blue):
    errand = errands.send("count", 7, blue, total=2)
    assert tickets_waiting(Queue.LIGHT) == 1
    tasks.work()
    errand.refresh_from_db()
    assert told["done"] == [7]
    assert (errand.state, errand.done, errand.token, errand.attempts) == ("done", 1, None, 1)
    assert errands.latest("count", 7) == errand


def test_an_errand_on_its_way_is_not_sent_twice_but_again_when_it_ended(told, blue):
    first = errands.send("count", 7, blue)
    assert errands.send("count", 7, blue) == first
    assert errands.send("count", 8, blue) != first
    errands.perform(errands.claim("me", only=first.pk))
    assert errands.send("count", 7, blue) != first


def test_an_errand_is_claimed_once(told, blue):
    errands.send("count", 7, blue)
    assert errands.claim("one") is not None
    assert errands.claim("two") is None
    assert errands.claim("three", queues=[Queue.HEAVY]) is None


def test_a_worker_that_went_silent_loses_its_errand_and_cannot_write_any_more(told, blue):
    errand = errands.send("count", 7, blue)
    held = errands.claim("ghost")
    Errand.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    errand.refresh_from_db()
    assert (errand.state, errand.token) == ("queued", None)
    assert "ghost went silent" in errand.error
    with pytest.raises(LeaseLost):
        held.hold(done=1)
    errands.perform(held)
    errand.refresh_from_db()
    assert errand.state == "queued"
    make_due(errand)
    errands.perform(errands.claim("other"))
    errand.refresh_from_db()
    assert (errand.state, errand.attempts) == ("done", 2)


def test_what_may_pass_is_tried_again_and_what_does_not_is_given_up(told, blue):
    errand = errands.send("count", 7, blue)
    told["raise"] = OSError("the disk is away")
    for attempt in range(1, 6):
        make_due(errand)
        errands.perform(errands.claim("me"))
        errand.refresh_from_db()
        assert errand.state == ("queued" if attempt < 5 else "failed")
    assert told["given_up"] == [(7, "OSError: the disk is away")]
    assert errands.claim("me") is None


def test_a_fault_of_ours_is_tried_once_more(told, blue):
    errand = errands.send("count", 7, blue)
    told["raise"] = ZeroDivisionError("oh")
    for _ in range(2):
        make_due(errand)
        errands.perform(errands.claim("me"))
    assert told["given_up"] == [(7, "ZeroDivisionError: oh")]


def test_the_sweep_makes_up_for_a_lost_ticket_once(told, blue):
    Errand.objects.create(kind="count", subject=7, team=blue)
    sweeping.sweep()
    sweeping.sweep()
    assert tickets_waiting(Queue.LIGHT) == 1


def test_a_cluster_whose_only_worker_does_an_errand_is_not_stuck(told, blue, settings):
    settings.QUEUE_WORKERS = {**settings.QUEUE_WORKERS, "light": 1}
    cluster = GuardedCluster(Queue.LIGHT, "m:1")
    errands.send("count", 7, blue)
    assert cluster._neglects_work(set(Stage))
    errands.claim("m:1/99")
    errands.send("count", 8, blue)
    assert not cluster._neglects_work(set(Stage))
    assert cluster._began_something(0)


def test_old_records_are_forgotten(told, blue):
    errand = errands.send("count", 7, blue)
    errands.perform(errands.claim("me"))
    assert errands.forget_old() == 0
    Errand.objects.filter(pk=errand.pk).update(ended_at=timezone.now() - timedelta(days=8))
    assert errands.forget_old() == 1
