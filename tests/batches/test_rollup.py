"""batches.rollup: a batch's state from its jobs, in Python and in the database"""

from __future__ import annotations

import itertools

import pytest

from batches.models import Batch
from batches.rollup import BATCH_STATES, COUNTS, RULES, batch_state
from jobs.states import State
from tests.people import make_job

S = State
CASES = [
    ([], "queued"),
    ([S.PENDING], "queued"),
    ([S.ON_HOLD, S.DONE], "queued"),
    ([S.QUEUED, S.PENDING], "processing"),
    ([S.RUNNING, S.FAILED, S.DONE], "processing"),
    ([S.IN_REVIEW, S.PENDING, S.FAILED], "awaiting_review"),
    ([S.DONE, S.DONE], "completed"),
    ([S.DONE, S.CANCELLED], "completed"),
    ([S.DONE, S.FAILED], "completed_with_errors"),
    ([S.FAILED, S.CANCELLED], "failed"),
    ([S.CANCELLED], "cancelled"),
]


@pytest.mark.parametrize(("states", "expected"), CASES)
def test_python_and_the_database_derive_the_same_state(batch, states, expected):
    for state in states:
        make_job(batch, state=state, held_state="pending" if state == S.ON_HOLD else "")
    found = Batch.objects.get()
    assert found.state == expected
    assert found.figures.total == len(states)
    for state in BATCH_STATES:
        assert Batch.objects.in_state(state).exists() == (state == expected)


def test_every_job_state_is_counted_once():
    assert sorted(itertools.chain.from_iterable(COUNTS.values())) == sorted(State)


def test_every_state_but_that_of_an_empty_batch_comes_from_a_rule():
    assert {state for state, _ in RULES} == set(BATCH_STATES)
    assert batch_state({}) == "queued"
