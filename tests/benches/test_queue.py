"""aeproject.benches.queue: the figures are of real work, done wholly."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from aeproject.benches import queue
from jobs.models import Event, StageRun
from jobs.states import Queue


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(queue, "ENQUEUED", 12)
    monkeypatch.setattr(queue, "STAGES", 3)
    monkeypatch.setattr(queue, "CLAIMS", 2)
    monkeypatch.setattr(queue, "TEAMS", 2)
    monkeypatch.setattr(queue, "BATCHES_OF_A_TEAM", 2)


@pytest.mark.django_db(transaction=True)
def test_stages_go_their_whole_way(small):
    enqueued = list(queue._enqueue(User.objects.create_superuser("bench")))
    assert StageRun.objects.filter(state="queued").count() == 12
    figures = [*enqueued, *queue._overhead()]
    assert Event.objects.filter(verb="ingest").count() == StageRun.objects.filter(state="done").count() == 6
    assert not StageRun.objects.filter(state="running").exists()
    bare, whole, added, *steps = figures[len(enqueued) :]
    assert all(figure.cpu > 0 for figure in (*enqueued, bare, whole, *steps))
    assert added.most == 15
    assert added.value == pytest.approx(whole.value - bare.value)
    assert [step.what.partition(": ")[2] for step in steps] == list(queue.STEPS)


def test_the_queue_is_filled_to_the_size_over_all_batches_and_claimed_from(small, db):
    batches = queue._batches(User.objects.create_superuser("bench"))
    queue._fill(batches, 10)
    queued = StageRun.objects.filter(state="queued", queue=Queue.LIGHT)
    assert queued.count() == 10
    assert queued.values("batch").distinct().count() == len(batches) == 4
    assert queue._claims(10).value > 0
    assert queued.count() == 7
