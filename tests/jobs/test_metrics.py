"""jobs.metrics: what Prometheus reads is what the database holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from jobs import workers
from jobs.claims import claim
from jobs.history_chain import seal_pending
from jobs.lifecycle import move
from jobs.metrics import exposition
from jobs.models import Attempt, Errand, Event, PageWait, StageRun, WebhookEndpoint, Worker
from jobs.notices import announce_test
from jobs.page_waits import end_waits, note_opening
from jobs.states import Queue, Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db


def scrape() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(exposition().decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def value(name: str, **labels: str) -> float | None:
    return scrape().get((name, tuple(sorted(labels.items()))))


def test_an_empty_database_says_that_nobody_waited(db):
    assert value("aeproject_pages_opened_unready_total", stage="preview") == 0
    assert value("aeproject_page_wait_seconds_total", stage="matching") == 0


def test_the_queue_is_told_by_queue_stage_and_priority_with_its_oldest(batch):
    for priority in (0, 2, 2):
        job = make_job(batch, priority=priority)
        move(job, "start")
    StageRun.objects.filter(job=job).update(queued_at=timezone.now() - timedelta(seconds=600))
    here = {"queue": StageRun.objects.first().queue, "stage": "ingestion"}
    assert value("aeproject_queued_runs", priority="normal", **here) == 2
    assert value("aeproject_queued_runs", priority="urgent", **here) == 1
    assert 599 < value("aeproject_queued_oldest_seconds", priority="normal", **here) < 660
    assert value("aeproject_queued_oldest_seconds", priority="urgent", **here) < 60
    assert value("aeproject_jobs", stage="ingestion", state="processing") == 3


def test_attempts_are_claims_and_a_histogram_by_outcome(batch):
    job = make_job(batch)
    move(job, "start")
    run = job.runs.get()
    began = timezone.now()
    for number, (took, outcome) in enumerate([(0.4, "done"), (7, "done"), (2000, "failed"), (None, "")], start=1):
        ended = began + timedelta(seconds=took) if took else None
        Attempt.objects.create(run=run, number=number, worker="w", started_at=began, ended_at=ended, outcome=outcome)
    done = {"stage": "ingestion", "outcome": "done"}
    assert value("aeproject_claims_total", stage="ingestion") == 4
    assert value("aeproject_attempt_seconds_count", **done) == 2
    assert value("aeproject_attempt_seconds_sum", **done) == pytest.approx(7.4)
    assert [value("aeproject_attempt_seconds_bucket", le=le, **done) for le in ("0.5", "5.0", "10.0", "+Inf")] == [
        *(1, 1, 2, 2)
    ]
    failed = {"stage": "ingestion", "outcome": "failed"}
    assert value("aeproject_attempt_seconds_bucket", le="900.0", **failed) == 0
    assert value("aeproject_attempt_seconds_bucket", le="+Inf", **failed) == 1


def test_what_was_given_up_is_a_dead_letter_until_somebody_retries(batch):
    job = make_job(batch)
    move(job, "start")
    job.runs.update(state=StageRun.FAILED, error_class="file")
    move(job, "fail")
    job.runs.update(state=StageRun.FAILED)
    assert value("aeproject_dead_letters", stage="ingestion", error_class="file") == 1
    move(job, "retry")
    assert value("aeproject_dead_letters", stage="ingestion", error_class="file") is None


def test_the_outbox_is_told(blue):
    announce_test(WebhookEndpoint.objects.create(team=blue, url="https://x.example/"))
    assert value("aeproject_deliveries", channel="webhook", state="waiting") == 1
    assert 0 <= value("aeproject_deliveries_oldest_seconds", channel="webhook") < 60


def test_a_page_that_was_opened_too_early_is_counted_until_it_is_ready(batch):
    job = make_job(batch, Stage.MATCHING, State.QUEUED)
    note_opening(job)
    PageWait.objects.update(opened_at=timezone.now() - timedelta(seconds=90))
    assert value("aeproject_pages_opened_unready_total", stage="matching") == 1
    assert value("aeproject_page_wait_seconds_total", stage="matching") == 0
    end_waits(job)
    assert 89 < value("aeproject_page_wait_seconds_total", stage="matching") < 150
    job.state = State.IN_REVIEW
    note_opening(job)
    assert PageWait.objects.count() == 1


def test_a_wait_ends_when_the_job_is_ready_and_not_when_somebody_looks_again(batch):
    job = make_job(batch, Stage.MATCHING, State.RUNNING)
    note_opening(job)
    opened_at = timezone.now() - timedelta(seconds=90)
    PageWait.objects.update(opened_at=opened_at)
    for after, state in ((-5, State.IN_REVIEW), (10, State.QUEUED), (20, State.RUNNING), (30, State.IN_REVIEW)):
        at = opened_at + timedelta(seconds=after)
        Event.objects.create(team=job.team, job=job, verb="prepare", at=at, to_stage=job.stage, to_state=state)
    end_waits(job)
    assert value("aeproject_page_wait_seconds_total", stage="matching") == 30


def test_what_workers_hold_is_told_by_queue_and_stage(batch):
    for _ in range(2):
        move(make_job(batch), "start")
    assert value("aeproject_running_runs", queue="light", stage="ingestion") is None
    assert claim("w") is not None
    assert value("aeproject_running_runs", queue="light", stage="ingestion") == 1
    assert value("aeproject_queued_runs", queue="light", stage="ingestion", priority="normal") == 1


def test_a_worker_is_told_by_the_time_since_its_heartbeat_until_it_leaves():
    worker = workers.announce([Queue.LIGHT])
    here = {"worker": worker.name, "state": "active"}
    assert 0 <= value("aeproject_worker_heartbeat_seconds", **here) < 60
    Worker.objects.update(heartbeat_at=Now() - timedelta(minutes=10))
    assert 600 <= value("aeproject_worker_heartbeat_seconds", **here) < 660
    workers.leave(worker)
    assert value("aeproject_worker_heartbeat_seconds", **here) is None


def test_events_without_a_seal_are_counted(batch):
    move(make_job(batch), "start")
    assert value("aeproject_unsealed_events") == 1
    seal_pending()
    assert value("aeproject_unsealed_events") == 0


def test_queries_do_not_grow_with_the_jobs(batch, django_assert_max_num_queries):
    for _ in range(5):
        move(make_job(batch), "start")
    with django_assert_max_num_queries(11):
        exposition()


def test_errands_are_told_by_queue_kind_and_state(blue):
    for number, state in enumerate(("queued", "queued", "failed")):
        Errand.objects.create(kind="judge_sheet", subject=number, team=blue, state=state)
    Errand.objects.filter(subject=1).update(queued_at=timezone.now() - timedelta(seconds=600))
    here = {"queue": "light", "kind": "judge_sheet"}
    assert value("aeproject_errands", state="queued", **here) == 2
    assert value("aeproject_errands", state="failed", **here) == 1
    assert 599 < value("aeproject_errands_oldest_seconds", **here) < 660
