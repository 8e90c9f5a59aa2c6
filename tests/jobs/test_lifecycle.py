"""jobs.lifecycle: one function moves a job, whole or not at all."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction
from django_q.models import OrmQ

from jobs.errors import Conflict, Invalid
from jobs.lifecycle import KEEPS_RUN, annotate, move
from jobs.models import Event, Job, StageRun
from jobs.states import VERBS, Stage, State
from tests.people import make_job

PLACES = [(verb, stage, state) for verb in VERBS.values() for stage in Stage for state in State]


def columns_of(job):
    return {field.attname: getattr(job, field.attname) for field in Job._meta.concrete_fields}


def arguments(verb, job):
    target = min(verb.targets) if verb.targets else None
    return {"version": job.version, "reason": "long enough a reason", "target": target}


@pytest.mark.parametrize(("verb", "stage", "state"), PLACES, ids=lambda part: getattr(part, "name", str(part)))
def test_a_verb_works_where_the_table_says_and_nowhere_else(verb, stage, state, batch):
    job = make_job(batch, stage, state, held_state="in_review" if state == State.ON_HOLD else "")
    words = arguments(verb, job)
    backwards = words["target"] is None or words["target"] <= stage
    sideways = verb.name == "reject" and words["target"] == stage
    if verb.leads_from(stage, state) and backwards and not sideways:
        move(job, verb.name, **words)
        assert job.version == 1
        assert columns_of(job) == columns_of(Job.objects.get(pk=job.pk))
        event = Event.objects.get(job=job, version=1)
        assert (event.verb, event.from_state, event.to_state) == (verb.name, state, job.state)
        assert job.runs.filter(state="queued").exists() == (job.state == State.QUEUED and verb.name not in KEEPS_RUN)
    else:
        with pytest.raises(Conflict) as conflict:
            move(job, verb.name, **words)
        assert conflict.value.state
        job.refresh_from_db()
        assert (job.stage, job.state, job.version) == (stage, state, 0)
        assert not Event.objects.exists()


def test_a_move_brings_the_callers_job_up_to_date_with_what_others_wrote(batch, people):
    job = Job.objects.select_related("assignee", "team").get(pk=make_job(batch, assignee=people.olga).pk)
    Job.objects.filter(pk=job.pk).update(assignee=people.rita, notes="by others", priority=0)
    move(job, "start", actor=people.olga)
    assert (job.assignee, job.notes, job.runs.get().priority) == (people.rita, "by others", 0)
    assert columns_of(job) == columns_of(Job.objects.get(pk=job.pk))


def test_start_queues_one_run_with_one_ticket(job, people):
    move(job, "start", actor=people.olga)
    run = job.runs.get()
    assert (job.state, run.state, run.stage, run.priority) == ("queued", StageRun.QUEUED, 1, job.priority)
    assert OrmQ.objects.count() == 1


def test_a_move_that_is_rolled_back_leaves_no_ticket(job):
    with transaction.atomic():
        move(job, "start")
        transaction.set_rollback(True)
    assert (OrmQ.objects.count(), StageRun.objects.count(), Event.objects.count()) == (0, 0, 0)


def test_a_stale_version_is_a_conflict_that_names_the_present_state(batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, version=7)
    with pytest.raises(Conflict, match="awaiting review") as conflict:
        move(job, "approve_matches", version=6)
    assert conflict.value.state == "awaiting_review"
    assert "approve_matches" in conflict.value.allowed


@pytest.mark.parametrize("verb", ["approve_matches", "approve_preview", "reject", "amend"])
def test_a_decision_without_a_version_is_invalid(batch, verb):
    job = make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    with pytest.raises(Invalid, match="version"):
        move(job, verb, reason="because", target=Stage.MATCHING)


@pytest.mark.parametrize("reason", ["", "   ", "too short"])
def test_force_needs_a_reason_of_ten_characters(batch, reason):
    job = make_job(batch, Stage.DELIVERY, State.IN_REVIEW)
    with pytest.raises(Invalid, match="10 characters"):
        move(job, "force_approve", version=0, reason=reason)


def test_rejecting_a_preview_opens_the_matching_again_with_its_preparation(batch):
    job = make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    move(job, "reject", version=0, target=Stage.MATCHING, reason="wrong player")
    assert (job.stage, job.state) == (Stage.MATCHING, State.IN_REVIEW)
    assert not job.runs.exists()


def test_the_same_matches_need_no_second_preparation(batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    move(job, "approve_matches", version=0)
    job.runs.update(state=StageRun.DONE)
    Job.objects.filter(pk=job.pk).update(state=State.IN_REVIEW)
    move(job, "reject", version=1, target=Stage.MATCHING, reason="let me look again")
    move(job, "approve_matches", version=2)
    assert (job.stage, job.state) == (Stage.PREVIEW, State.IN_REVIEW)
    assert job.events.last().verb == "reuse"
    assert job.runs.count() == 1


def test_processing_again_prepares_anew_from_the_same_inputs(batch):
    job = make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    move(job, "requeue", target=Stage.PREVIEW)
    job.runs.update(state=StageRun.DONE)
    Job.objects.filter(pk=job.pk).update(state=State.IN_REVIEW)
    move(job, "requeue", target=Stage.PREVIEW)
    assert job.state == State.QUEUED
    assert job.runs.get().state == StageRun.QUEUED


def test_cancelling_fences_off_the_worker(batch):
    job = make_job(batch)
    move(job, "start")
    move(job, "cancel")
    run = job.runs.get()
    assert (run.state, run.token) == (StageRun.DROPPED, None)
    assert job.finished_at is not None


@pytest.mark.parametrize(
    ("state", "after"),
    [("pending", "pending"), ("queued", "queued"), ("running", "queued"), ("in_review", "in_review")],
)
def test_release_goes_back_to_where_the_job_was_held(batch, state, after):
    job = make_job(batch, Stage.MATCHING if state == "in_review" else Stage.INGESTION, State(state))
    move(job, "hold")
    assert job.state == State.ON_HOLD
    move(job, "release")
    assert job.state == after
    assert job.runs.filter(state="queued").exists() == (after == "queued")


def test_a_remark_leaves_the_version_alone(job, people):
    annotate(job, "comment", actor=people.rita, reason="nice")
    job.refresh_from_db()
    assert job.version == 0
    assert Event.objects.get().version is None


def test_history_is_neither_changed_nor_deleted(job):
    event = annotate(job, "comment")
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()


@pytest.mark.django_db(transaction=True)
def test_of_eight_racing_people_one_wins(batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    results: list[str] = []
    barrier = threading.Barrier(8)

    def approve() -> None:
        try:
            mine = Job.objects.get(pk=job.pk)
            barrier.wait()
            move(mine, "approve_matches", version=0)
            results.append("won")
        except Conflict:
            results.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=approve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["conflict"] * 7 + ["won"]
    assert Event.objects.filter(job=job, version=1).count() == 1
    assert StageRun.objects.count() == 1
