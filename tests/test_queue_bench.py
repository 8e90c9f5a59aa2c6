"""aeproject.queue_bench: the figures are of real work, done wholly, and no log line stands between them."""

from __future__ import annotations

import logging
import sys

import pytest
from django.contrib.auth.models import User

from aeproject import queue_bench
from jobs.models import Event, StageRun
from jobs.states import Queue


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(queue_bench, "ENQUEUED", 12)
    monkeypatch.setattr(queue_bench, "STAGES", 3)
    monkeypatch.setattr(queue_bench, "CLAIMS", 2)
    monkeypatch.setattr(queue_bench, "TEAMS", 2)
    monkeypatch.setattr(queue_bench, "BATCHES_OF_A_TEAM", 2)


@pytest.mark.django_db(transaction=True)
def test_stages_go_their_whole_way(small):
    enqueued = list(queue_bench._enqueue(User.objects.create_superuser("bench")))
    assert StageRun.objects.filter(state="queued").count() == 12
    figures = [*enqueued, *queue_bench._overhead()]
    assert Event.objects.filter(verb="ingest").count() == StageRun.objects.filter(state="done").count() == 3
    assert not StageRun.objects.filter(state="running").exists()
    assert all(figure.cpu > 0 for figure in figures)
    steps = [figure for figure in figures if figure.what.startswith("  ")]
    whole = next(figure for figure in figures if figure.target == "15")
    assert len(steps) == len(queue_bench.STEPS)
    assert sum(step.value for step in steps) < whole.value


def test_the_queue_is_filled_to_the_size_over_all_batches_and_claimed_from(small, db):
    batches = queue_bench._batches(User.objects.create_superuser("bench"))
    queue_bench._fill(batches, 10)
    queued = StageRun.objects.filter(state="queued", queue=Queue.LIGHT)
    assert queued.count() == 10
    assert queued.values("batch").distinct().count() == len(batches) == 4
    assert queue_bench._claims(10).value > 0
    assert queued.count() == 7


def test_log_lines_go_to_nowhere_and_then_back(capsys):
    console = logging.StreamHandler(sys.stderr)
    root = logging.getLogger()
    root.addHandler(console)
    try:
        with queue_bench.silent_console():
            root.warning("between the figures")
        root.warning("afterwards")
    finally:
        root.removeHandler(console)
    said = capsys.readouterr().err
    assert "between" not in said
    assert "afterwards" in said
