"""jobs.forecast: how long machines need, from what the same stages took before"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches.models import Batch
from jobs.forecast import RECENT, UNKNOWN, History, Past, forecast, history_of, in_words, of_job, spread_of
from jobs.models import StageRun
from jobs.states import Stage
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


def test_what_is_done_of_running_stages_is_not_to_be_done_again():
    history = History(tuple([past(100, Stage.INGESTION)] * 9 + [past(20, Stage.MATCHING)] * 9))
    kind = (Stage.INGESTION, "a.aepx")

    def interval(jobs, parts, at_once=1):
        found = forecast({kind: jobs}, history, at_once=at_once, under_way={kind: parts})
        return found.low_seconds, found.high_seconds

    low, high = interval(1, [0.95])
    assert low <= 5 + 20 <= high < 60, "of ingestion a twentieth, of matching all"
    assert interval(3, []) == interval(3, [0.0])
    low, high = interval(3, [0.5, 0.5])
    assert low <= 2 * 100 + 3 * 20 <= high < interval(3, [])[0] * 1.3
    assert interval(2, [0.9, 0.8], at_once=2)[1] < 100, "neither can take the whole time again"
    assert interval(3, [0.9, 0.8], at_once=2)[1] > 100, "the third can"
    assert interval(1, [1.0])[0] <= 20


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


def test_the_history_has_what_runs_now(people, red, batch, django_assert_num_queries):
    job, theirs = make_job(batch), make_job(Batch.objects.create(team=red, created_by=people.oscar))
    lease = {"ended_at": None, "state": "running", "token": uuid4(), "lease_expires_at": NOW}
    prepared(job, Stage.MATCHING, 0, percent=40, **lease)
    prepared(theirs, Stage.MATCHING, 0, percent=50, **lease)
    prepared(make_job(batch), Stage.MATCHING, 9)
    with django_assert_num_queries(1):
        found = history_of([job.team_id])
    assert [(one.batch_id, one.stage, one.template, one.percent) for one in found.running] == [
        (batch.pk, Stage.MATCHING, job.project_path, 40)
    ]
    assert [one.seconds for one in found.past] == [9]


def test_the_history_of_very_many_teams_takes_a_query_of_every_fifty(blue, batch, django_assert_num_queries):
    prepared(make_job(batch), Stage.INGESTION, 9)
    with django_assert_num_queries(3):
        found = history_of(range(blue.pk, blue.pk + 101))
    assert [one.seconds for one in found.past] == [9]
    with django_assert_num_queries(0):
        assert history_of([]) == History()


def test_what_a_job_still_takes_goes_by_its_template_and_what_is_done(batch, red, django_assert_num_queries):
    job = make_job(batch)
    for template, seconds in (("quick.aepx", 1), ("slow.aepx", 100)):
        for _ in range(6):
            prepared(make_job(batch, project_path=template), Stage.PREVIEW, seconds)
    with django_assert_num_queries(1):
        whole = of_job(job.team_id, Stage.PREVIEW, "slow.aepx", 0)
    half = of_job(job.team_id, Stage.PREVIEW, "slow.aepx", 50)
    assert whole.low_seconds < 100 < whole.high_seconds
    assert half.low_seconds < 50 < half.high_seconds < 100
    assert of_job(job.team_id, Stage.PREVIEW, "quick.aepx", 0).text == "a few seconds"
    for team, stage in ((job.team_id, Stage.DELIVERY), (red.pk, Stage.PREVIEW)):
        assert of_job(team, stage, "slow.aepx", 0) == UNKNOWN


def test_after_ingestion_a_job_is_matched_before_people_decide(batch, django_assert_num_queries):
    job = make_job(batch)
    for stage, seconds in ((Stage.INGESTION, 10), (Stage.MATCHING, 1000)):
        prepared(make_job(batch), stage, seconds)
    with django_assert_num_queries(1):
        found = of_job(job.team_id, Stage.INGESTION, job.project_path, 50)
    assert found.low_seconds < 1005 < found.high_seconds
