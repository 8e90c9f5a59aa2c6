"""jobs.cancelling: many jobs at once, as if each had been moved"""

from __future__ import annotations

import pytest

from jobs import cancelling
from jobs.lifecycle import move
from jobs.models import Delivery, Event, Job, StageRun, WebhookEndpoint
from jobs.states import VERBS, Stage, State
from tests.people import make_job


@pytest.mark.parametrize("state", State)
def test_a_job_is_cancelled_as_by_its_own_verb(people, batch, state):
    one, many = make_job(batch, Stage.MATCHING, state), make_job(batch, Stage.MATCHING, state)
    possible = state in VERBS["cancel"].states
    assert cancelling.cancel_many(Job.objects.filter(pk=many.pk), actor=people.olga, reason="Wrong.") == possible
    if possible:
        move(one, "cancel", actor=people.olga, reason="Wrong.")
    first, second = (Job.objects.values().get(pk=job.pk) for job in (one, many))
    assert (first["finished_at"] is None) == (second["finished_at"] is None)
    assert {k: v for k, v in first.items() if k not in OWN} == {k: v for k, v in second.items() if k not in OWN}
    events = [list(Event.objects.filter(job=job).values_list(*TOLD)) for job in (one, many)]
    assert events[0] == events[1]


OWN = {"id", "job_id", "output_name", "row_line", "created_at", "moved_at", "finished_at"}
TOLD = ("verb", "version", "actor", "reason", "from_stage", "from_state", "to_stage", "to_state", "batch", "team")


def test_work_is_fenced_off_in_chunks(people, batch, monkeypatch):
    monkeypatch.setattr(cancelling, "CHUNK", 2)
    jobs = [make_job(batch) for _ in range(5)]
    for job in jobs:
        move(job, "start")
    assert cancelling.cancel_many(batch.jobs.all(), actor=people.olga) == 5
    assert set(StageRun.objects.values_list("state", flat=True)) == {StageRun.DROPPED}
    assert set(Job.objects.values_list("state", "version")) == {("cancelled", 2)}


def test_the_batch_that_ends_with_them_is_told_of_once(people, batch):
    WebhookEndpoint.objects.create(team=batch.team, url="https://example.com", events=["batch.completed"], active=True)
    make_job(batch, Stage.DELIVERY, State.DONE)
    for _ in range(3):
        make_job(batch)
    cancelling.cancel_many(batch.jobs.all(), actor=people.olga)
    (told,) = Delivery.objects.all()
    assert told.payload["data"]["batch"] == {
        "id": batch.pk,
        "name": "Spring",
        "directory_name": batch.directory_name,
        "external_ids": {},
    }


@pytest.mark.django_db
def test_nothing_is_nothing():
    assert cancelling.cancel_many(Job.objects.none()) == 0
