"""batches.forecast: how long the machines still need"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches.forecast import (
    RECENT,
    History,
    Past,
    describe,
    forecast,
    history_of,
    in_words,
    of_batch,
    spread_of,
    stats_of,
)
from batches.models import Batch
from jobs import pauses
from jobs.models import StageRun
from jobs.states import Stage, State
from tests.people import make_job

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def past(seconds, stage=Stage.PREVIEW, template="a.aepx", batch_id=1, ago=60.0):
    ended = NOW - timedelta(seconds=ago)
    return Past(batch_id=batch_id, stage=stage, template=template, seconds=seconds, ended_at=ended)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0.01, 10_000), min_size=1, max_size=40), st.integers(1, 5000), st.integers(1, 64))
def test_the_interval_is_an_interval_whatever_the_history(seconds, jobs, at_once):
    found = forecast({(Stage.PREVIEW, "a.aepx"): jobs}, History(tuple(map(past, seconds))), at_once=at_once)
    assert 0 <= found.low_seconds <= found.high_seconds
    assert found.text


@pytest.mark.parametrize("jobs", [1, 10, 200])
def test_what_comes_lies_in_the_interval_nine_times_in_ten(jobs):
    """Durations as previews take them: most alike, a few long."""
    chance = random.Random(jobs)
    inside = 0
    for _ in range(200):
        history = History(tuple(past(chance.lognormvariate(3, 0.5)) for _ in range(50)))
        found = forecast({(Stage.PREVIEW, "a.aepx"): jobs}, history, at_once=1)
        took = sum(chance.lognormvariate(3, 0.5) for _ in range(jobs))
        inside += found.low_seconds <= took <= found.high_seconds
    assert inside >= 160


def test_one_that_was_stuck_does_not_spoil_the_rest():
    assert spread_of([10.0] * 20 + [9_000.0]).mean < 12


def test_a_template_goes_by_itself_once_there_is_enough_of_it():
    few = History(tuple([past(10, template="a.aepx")] * 4 + [past(100, template="b.aepx")] * 20))
    enough = History((*few.past, past(10, template="a.aepx")))
    assert few.spread(Stage.PREVIEW, "a.aepx").mean > 80
    assert enough.spread(Stage.PREVIEW, "a.aepx").mean == 10
    assert enough.spread(Stage.DELIVERY, "a.aepx") is None


def test_more_workers_are_sooner_done_and_ingestion_is_followed_by_matching():
    history = History(tuple([past(10, Stage.INGESTION)] * 9 + [past(20, Stage.MATCHING)] * 9))
    one, four = (forecast({(Stage.INGESTION, "a.aepx"): 40}, history, at_once=n) for n in (1, 4))
    assert one.low_seconds <= 40 * 30 <= one.high_seconds
    assert four.low_seconds <= 300 <= four.high_seconds < one.low_seconds


def test_without_history_nothing_is_promised():
    found = forecast({(Stage.INGESTION, "a.aepx"): 1}, History((past(1, Stage.INGESTION),)), at_once=1)
    assert (found.low_seconds, found.high_seconds) == (None, None)
    assert "unknown" in found.text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.1, 3, "a few seconds"),
        (12, 18, "about 12 to 18 s"),
        (50, 50, "about 50 s"),
        (720, 1080, "about 12 to 18 min"),
        (7200, 18000, "about 2 to 5 h"),
        (1e9, 2e9, "about 277778 to 555556 h"),
    ],
)
def test_in_words(low, high, text):
    assert in_words(low, high) == text


def test_the_rate_is_that_of_the_batch_in_the_last_minutes():
    history = History((*(past(1, ago=60 * n) for n in range(9)), past(1, batch_id=2), past(1, ago=5000)))
    assert history.rate_per_minute(1, NOW) == 0.9
    assert history.rate_per_minute(3, NOW) == 0.0


def test_the_rate_does_not_look_further_back_than_the_history_goes():
    assert History(tuple(past(1, ago=60) for _ in range(30))).rate_per_minute(1, NOW) == 30


# In the database ------------------------------------------------------------------------------------------------------
def prepared(job, stage, seconds, **fields):
    values = {"started_at": NOW, "ended_at": NOW + timedelta(seconds=seconds), "state": "done", **fields}
    return StageRun.objects.create(job=job, stage=stage, input_hash=str(StageRun.objects.count()), **values)


def test_the_history_is_the_teams_own_and_the_newest_of_each_stage(people, blue, red, batch, django_assert_num_queries):
    job = make_job(batch)
    theirs = make_job(Batch.objects.create(team=red, created_by=people.oscar))
    old = prepared(job, Stage.INGESTION, 99)
    StageRun.objects.bulk_create(
        StageRun(
            job=job, team=blue, batch=batch, stage=2, input_hash=f"x{n}", state="done", started_at=NOW, ended_at=NOW
        )
        for n in range(RECENT + 5)
    )
    prepared(theirs, Stage.INGESTION, 5)
    prepared(job, Stage.INGESTION, 7, state="failed")
    with django_assert_num_queries(1):
        found = history_of([blue.pk])
    assert len([one for one in found.past if one.stage == Stage.MATCHING]) == RECENT
    assert [one.seconds for one in found.past if one.stage == Stage.INGESTION] == [99]
    assert old.job.project_path == found.past[-1].template


def test_the_stats_of_a_batch_at_work(people, batch):
    for stage, seconds in ((Stage.INGESTION, 10), (Stage.MATCHING, 20)):
        for _ in range(6):
            prepared(make_job(batch, Stage.DELIVERY, State.DONE), stage, seconds)
    for _ in range(4):
        make_job(batch, state=State.QUEUED)
    waiting = stats_of(Batch.objects.get(pk=batch.pk))
    assert waiting.forecast.text == "Waits for a worker"
    make_job(batch, state=State.RUNNING)
    found = stats_of(Batch.objects.get(pk=batch.pk)).forecast
    assert found.low_seconds < 5 * 30 < found.high_seconds
    pauses.pause(people.olga, pauses.of_batch(batch))
    batch.jobs.filter(state="running").update(state="queued")
    assert stats_of(Batch.objects.get(pk=batch.pk)).forecast.text == "Paused"


def test_what_waits_for_people_has_no_forecast(batch):
    make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    assert stats_of(batch).forecast is None
    assert of_batch(batch.figures, {}, 0, History()) is None


@pytest.mark.parametrize(
    ("paths", "own", "words"),
    [
        ([], "", "0 designs"),
        (["t/a.aepx"], "", "1 design into a.aepx"),
        (["a.aepx", "a.aepx", "b.aepx"], "", "3 designs into 2 templates"),
        (["a.aepx"], "3-view Render", "3-view Render"),
    ],
)
def test_a_description_is_the_own_or_a_generated_one(batch, paths, own, words):
    for path in paths:
        make_job(batch, project_path=path)
    batch.description = own
    found = stats_of(batch)
    assert describe(batch, found.figures, found.templates) == words
