"""jobs.chores and jobs.beside: one piece of work that fails keeps no other from being done, and says so."""

from __future__ import annotations

import logging

import pytest
from django.db import OperationalError

from jobs import chores, sweeping
from jobs.beside import Beside


def test_one_that_fails_keeps_none_of_the_others_from_being_done(caplog):
    def broken():
        raise KeyError("a row of another version")

    assert chores.do_each(lambda: 2, broken, lambda: 3) == 5
    (record,) = caplog.records
    assert "broken failed" in record.getMessage()
    assert record.exc_info


def test_without_the_database_no_other_is_tried():
    done = []

    def away():
        raise OperationalError("gone")

    with pytest.raises(OperationalError):
        chores.do_each(away, lambda: done.append(1) or 1)
    assert not done


@pytest.mark.django_db
def test_what_is_removed_is_removed_though_nobody_can_be_told(monkeypatch, caplog):
    def broken():
        raise ValueError

    removed = []
    monkeypatch.setattr(sweeping.overdue, "tell_overdue", broken)
    monkeypatch.setattr(sweeping.leftovers, "sweep", lambda: removed.append(1) or 1)
    assert sweeping.sweep_strays() == 1
    assert removed


def test_a_thread_that_failed_says_so_and_begins_anew(monkeypatch, caplog):
    done = []

    def fail_at_first():
        done.append(1)
        if len(done) == 1:
            raise KeyError("x")

    # The connection of the thread: of this test's there is none.
    beside = Beside("strays", 0.0, fail_at_first)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            beside.tend()
            beside.thread.join()
    assert done == [1, 1]
    assert [record.getMessage() for record in caplog.records] == ["strays failed; trying again"]
