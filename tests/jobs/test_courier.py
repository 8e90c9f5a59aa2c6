"""jobs.courier: the process that carries the outbox out, and its guard."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from django.db import DatabaseError

from jobs import courier
from jobs.courier import Courier


@pytest.fixture
def process(monkeypatch):
    """A courier whose process sleeps instead of sending."""
    real = courier.subprocess.Popen
    started = []

    def sleeper(command, **options):
        started.append(command)
        return real(["sleep", "600"], **options)

    monkeypatch.setattr(courier.subprocess, "Popen", sleeper)
    monkeypatch.setattr(courier, "START_SECONDS", 3600.0)
    monkeypatch.setattr(courier, "STOP_SECONDS", 60.0)
    guard = Courier()
    yield guard, started
    guard.end()


def test_a_courier_is_started_once_and_ended(process, monkeypatch):
    guard, started = process
    guard.tend()
    assert started == []  # the clusters come first
    monkeypatch.setattr(courier, "START_SECONDS", 0.0)
    guard.tend()
    guard.tend()
    assert len(started) == 1
    assert started[0][-1] == "deliver"
    guard.end()
    guard.end()
    assert guard._process.returncode == -signal.SIGTERM


def test_a_courier_that_was_killed_is_replaced_but_not_in_a_flurry(process, monkeypatch):
    guard, started = process
    monkeypatch.setattr(courier, "START_SECONDS", 0.0)
    guard.tend()
    monkeypatch.setattr(courier, "START_SECONDS", 3600.0)
    os.kill(guard._process.pid, signal.SIGKILL)
    guard._process.wait()
    guard.tend()
    assert len(started) == 1
    monkeypatch.setattr(courier, "START_SECONDS", 0.0)
    guard.tend()
    assert len(started) == 2


@pytest.mark.parametrize("error", [DatabaseError("gone"), RuntimeError("what a backend raises")])
def test_a_lane_outlives_its_errors(monkeypatch, error, caplog):
    over = threading.Event()
    seen = []

    def deliver(limit):
        seen.append(limit)
        if len(seen) == 1:
            raise error
        over.set()
        return 0

    monkeypatch.setattr(courier, "deliver_due", deliver)
    monkeypatch.setattr(courier, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(courier, "close_old_connections", lambda: None)
    monkeypatch.setattr(courier.connection, "close", lambda: None)
    courier._serve_lane(over)
    assert len(seen) == 2
    assert str(error) in caplog.text
