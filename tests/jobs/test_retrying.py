"""jobs.retrying: many jobs at once are retried as each of them would be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django_q.models import OrmQ

from jobs import claims, pipeline, retrying
from jobs.lifecycle import move
from jobs.log_context import bound
from jobs.models import Event, Job, StageRun
from jobs.sandbox import StageFailed
from jobs.states import Stage, State
from tests.people import make_job

STAGES = (Stage.INGESTION, Stage.PREVIEW, Stage.DELIVERY)


def failed(batch, stage=Stage.INGESTION, **columns) -> Job:
    """A job whose run was given up."""
    job = make_job(batch, stage, State.FAILED, **columns)
    move(job, "requeue", target=stage)
    StageRun.objects.exclude(job=job).filter(state=StageRun.QUEUED).update(available_at=Now() + timedelta(days=1))
    pipeline.fail(claims.claim("w"), StageFailed("it is broken", error_class="file"))
    job.refresh_from_db()
    assert job.state == State.FAILED
    return job


def without(row: dict, *names: str) -> dict:
    return {name: value for name, value in row.items() if name not in names}


@pytest.mark.parametrize("stage", STAGES)
def test_together_and_alone_are_the_same(batch, people, stage):
    together, alone = failed(batch, stage, priority=1), failed(batch, stage, priority=1)
    OrmQ.objects.all().delete()
    with bound(request="r9"):
        assert retrying.retry_many([together.pk], actor=people.olga, reason=" Now. ") == 1
        move(alone, "retry", actor=people.olga, reason=" Now. ")
    for model, own in (
        (StageRun, ("id", "job_id", "input_hash", "queued_at", "available_at")),
        (Event, ("id", "job_id", "at")),
        (Job, ("id", "job_id", "row_line", "output_name", "moved_at", "created_at")),
    ):
        key = "pk" if model is Job else "job"
        rows = [model.objects.filter(**{key: job.pk}).order_by("pk").values() for job in (together, alone)]
        assert [without(row, *own) for row in rows[0]] == [without(row, *own) for row in rows[1]]
    assert OrmQ.objects.count() == 2


@pytest.mark.parametrize("state", [state for state in State if state != State.FAILED])
def test_those_that_did_not_fail_stay_where_they_are(batch, state):
    elsewhere, wanted = make_job(batch, Stage.MATCHING, state), failed(batch)
    assert retrying.retry_many([elsewhere.pk, wanted.pk]) == 1
    elsewhere.refresh_from_db()
    assert (elsewhere.state, elsewhere.version) == (state, 0)


def test_a_job_with_other_inputs_gets_another_run(batch):
    same, other = failed(batch), failed(batch)
    Job.objects.filter(pk=other.pk).update(psd_path="another.psd")
    assert retrying.retry_many([same.pk, other.pk]) == 2
    assert [run.state for run in same.runs.all()] == ["queued"]
    assert sorted(run.state for run in other.runs.all()) == ["failed", "queued"]


def test_what_was_prepared_from_the_same_inputs_is_reused(batch):
    job = failed(batch, Stage.PREVIEW)
    job.runs.update(state=StageRun.DONE)
    assert retrying.retry_many([job.pk]) == 1
    assert Job.objects.get(pk=job.pk).state == State.IN_REVIEW


def test_one_that_left_the_dead_letters_is_retried_too(batch):
    job = failed(batch)
    job.runs.update(state=StageRun.DROPPED)
    assert retrying.retry_many([job.pk]) == 1
    assert job.runs.get().state == "queued"


def test_a_few_statements_retry_hundreds(batch, django_assert_max_num_queries):
    jobs = [failed(batch) for _ in range(40)]
    with django_assert_max_num_queries(15 + retrying.MOST_TICKETS):
        assert retrying.retry_many(job.pk for job in jobs) == 40
    assert set(StageRun.objects.values_list("state", "attempts", "fingerprint")) == {("queued", 0, "")}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_leave_nobody_out(batch, monkeypatch, size):
    monkeypatch.setattr(retrying, "CHUNK", size)
    jobs = [failed(batch, stage) for stage in (*STAGES, *STAGES[:2])]
    assert retrying.retry_many(job.pk for job in jobs) == 5
    assert retrying.retry_many(job.pk for job in jobs) == 0
    assert retrying.retry_many([]) == 0
