"""batches.forecast: how long the machines still need for a batch, and what is counted of it"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from batches.forecast import of_batch, stats_of
from batches.models import Batch
from jobs import pauses
from jobs.forecast import History
from jobs.models import StageRun
from jobs.states import Stage, State
from tests.people import make_job

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def prepared(job, stage, seconds, **fields):
    values = {"started_at": NOW, "ended_at": NOW + timedelta(seconds=seconds), "state": "done", **fields}
    return StageRun.objects.create(job=job, stage=stage, input_hash=str(StageRun.objects.count()), **values)


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


def test_the_stats_go_by_the_templates_that_are_at_work(batch):
    for template, seconds in (("quick.aepx", 1), ("slow.aepx", 100)):
        for _ in range(6):
            done = make_job(batch, Stage.DELIVERY, State.DONE, project_path=template)
            prepared(done, Stage.PREVIEW, seconds)
    make_job(batch, Stage.PREVIEW, State.RUNNING, project_path="slow.aepx")
    found = stats_of(Batch.objects.get(pk=batch.pk)).forecast
    assert 75 < found.low_seconds < 100 < found.high_seconds < 125


def test_the_stats_take_off_what_is_done(batch):
    for _ in range(6):
        prepared(make_job(batch, Stage.DELIVERY, State.DONE), Stage.PREVIEW, 100)
    job = make_job(batch, Stage.PREVIEW, State.RUNNING)
    lease = {"ended_at": None, "state": "running", "token": uuid4(), "lease_expires_at": NOW}
    run = prepared(job, Stage.PREVIEW, 0, **lease)
    whole = stats_of(Batch.objects.get(pk=batch.pk)).forecast
    StageRun.objects.filter(pk=run.pk).update(percent=95)
    rest = stats_of(Batch.objects.get(pk=batch.pk)).forecast
    assert whole.low_seconds <= 100 <= whole.high_seconds
    assert rest.low_seconds <= 5 <= rest.high_seconds < 10


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
    assert stats_of(batch).description == words
