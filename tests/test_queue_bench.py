"""aeproject.queue_bench: the figures are of real work, done wholly, and no log line stands between them."""

from __future__ import annotations

import logging
import sys
from functools import cache

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
    assert Event.objects.filter(verb="ingest").count() == StageRun.objects.filter(state="done").count() == 6
    assert not StageRun.objects.filter(state="running").exists()
    bare, whole, added, *steps = figures[len(enqueued) :]
    assert all(figure.cpu > 0 for figure in (*enqueued, bare, whole, *steps))
    assert added.most == 15
    assert added.value == pytest.approx(whole.value - bare.value)
    assert [step.what.partition(": ")[2] for step in steps] == list(queue_bench.STEPS)


def test_the_queue_is_filled_to_the_size_over_all_batches_and_claimed_from(small, db):
    batches = queue_bench._batches(User.objects.create_superuser("bench"))
    queue_bench._fill(batches, 10)
    queued = StageRun.objects.filter(state="queued", queue=Queue.LIGHT)
    assert queued.count() == 10
    assert queued.values("batch").distinct().count() == len(batches) == 4
    assert queue_bench._claims(10).value > 0
    assert queued.count() == 7


def test_a_clock_starts_no_stage_server(monkeypatch):
    @cache
    def started():
        raise AssertionError("its libraries would be loaded while something else is measured")

    monkeypatch.setattr(queue_bench, "stage_server", started)
    with queue_bench.Clock() as clock:
        pass
    assert clock.seconds > 0


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


@pytest.mark.parametrize(
    ("value", "limits", "target", "is_missed"),
    [
        (10, {}, "", False),
        (10, {"most": 10}, "≤ 10", False),
        (10.1, {"most": 10}, "≤ 10", True),
        (5, {"least": 5}, "≥ 5", False),
        (4.9, {"least": 5}, "≥ 5", True),
        (1, {"least": 1_234.5}, "≥ 1,234.5", True),
    ],
)
def test_a_figure_knows_whether_it_misses_its_target(value, limits, target, is_missed):
    figure = queue_bench.Figure(what="x", value=value, unit="s", **limits)
    assert (figure.target, figure.is_missed) == (target, is_missed)
