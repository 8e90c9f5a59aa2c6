"""jobs.retries"""

from __future__ import annotations

from typing import get_args

import pytest

from jobs.retries import POLICIES
from jobs.sandbox import ErrorClass


def test_every_class_of_error_has_a_policy():
    assert set(POLICIES) == set(get_args(ErrorClass))


@pytest.mark.parametrize(("asked", "seconds"), [(5, 5), (300, 300), (10**6, 3600)])
def test_what_the_other_side_asks_for_is_kept_to_up_to_an_hour(asked, seconds):
    assert POLICIES["rate"].wait_seconds(1, asked=asked) == seconds


@pytest.mark.parametrize("asked", [0, None])
def test_who_names_no_wait_is_not_asked_again_at_once(asked):
    assert POLICIES["rate"].wait_seconds(1, asked=asked) > 40


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 3), (3, 9), (4, 27), (5, 60), (50, 60)])
def test_delays_grow_to_a_minute_with_jitter(attempt, seconds):
    delays = {POLICIES["transient"].delay_seconds(attempt) for _ in range(20)}
    assert len(delays) > 1
    assert all(0.8 * seconds <= delay <= 1.2 * seconds for delay in delays)
