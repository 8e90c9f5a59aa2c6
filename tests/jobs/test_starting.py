"""jobs.starting: many jobs at once are started as each of them would be."""

from __future__ import annotations

import pytest
from django_q.models import OrmQ

from jobs import starting
from jobs.lifecycle import move
from jobs.models import Event, Job, StageRun
from jobs.states import Stage, State
from tests.people import make_job


def without(row: dict, *names: str) -> dict:
    return {name: value for name, value in row.items() if name not in names}


def test_together_and_alone_are_the_same(batch, people):
    together, alone = make_job(batch, priority=1), make_job(batch, priority=1)
    starting.start_many([together.pk], actor=people.olga)
    move(alone, "start", actor=people.olga)
    for model, own in (
        (StageRun, ("id", "job_id", "input_hash", "queued_at", "available_at")),
        (Event, ("id", "job_id", "at")),
        (Job, ("id", "job_id", "row_line", "output_name", "moved_at", "created_at")),
    ):
        key = "pk" if model is Job else "job"
        rows = [model.objects.filter(**{key: job.pk}).values().get() for job in (together, alone)]
        assert without(rows[0], *own) == without(rows[1], *own)
    assert OrmQ.objects.count() == 2


def test_the_order_given_is_the_order_of_the_queue(batch):
    jobs = [make_job(batch) for _ in range(3)]
    starting.start_many(job.pk for job in reversed(jobs))
    assert list(StageRun.objects.order_by("id").values_list("job_id", flat=True)) == [job.pk for job in jobs[::-1]]


def test_those_that_are_elsewhere_stay_where_they_are(batch):
    elsewhere, pending = make_job(batch, Stage.MATCHING, State.IN_REVIEW), make_job(batch)
    assert starting.start_many([elsewhere.pk, pending.pk]) == 1
    elsewhere.refresh_from_db()
    assert (elsewhere.state, elsewhere.version) == (State.IN_REVIEW, 0)


def test_a_job_that_ran_before_is_queued_again(batch):
    job = make_job(batch)
    move(job, "start")
    move(job, "cancel")
    Job.objects.filter(pk=job.pk).update(state=State.PENDING)
    assert starting.start_many([job.pk]) == 1
    assert job.runs.get().state == "queued"


def test_a_few_statements_start_hundreds(batch, django_assert_max_num_queries):
    jobs = [make_job(batch) for _ in range(40)]
    Job.objects.all()
    with django_assert_max_num_queries(20 + starting.MOST_TICKETS):
        assert starting.start_many(job.pk for job in jobs) == 40


@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_leave_nobody_out(batch, monkeypatch, size):
    monkeypatch.setattr(starting, "CHUNK", size)
    jobs = [make_job(batch) for _ in range(5)]
    assert starting.start_many(job.pk for job in jobs) == 5
    assert starting.start_many(job.pk for job in jobs) == 0
    assert starting.start_many([]) == 0
