"""A job's own page: where it leads, progress, failures, and what operators do."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from batches.models import Batch
from jobs.models import Attempt, Event, Job, Pause, StageRun
from jobs.states import Stage, State
from review.history import PAST
from review.next_job import next_job
from review.views.page import told
from tests.people import People, make_job
from tests.review.builders import add_run, at_delivery, at_matching, at_preview, place
from tests.review.test_matching_page import html, signed_in, url


def running(batch: Batch, stage: Stage = Stage.PREVIEW, **fields: Any) -> Job:
    job = make_job(batch, stage, State.RUNNING)
    leased = {"token": uuid.uuid4(), "lease_expires_at": timezone.now() + timedelta(minutes=1), "ended_at": None}
    values = {"step": "drawing frames", "percent": 42.0, "started_at": timezone.now(), **leased, **fields}
    add_run(job, stage, {}, state=StageRun.RUNNING, **values)
    return job


def failed(batch: Batch) -> Job:
    job = make_job(batch, Stage.INGESTION, State.FAILED)
    run = add_run(
        job, Stage.INGESTION, {}, state=StageRun.FAILED, error="a.psd: is no PSD. Save it again.", error_class="bug"
    )
    Attempt.objects.create(run=run, number=1, worker="w:1", outcome="failed", error_class="bug", log="Traceback <here>")
    return job


@pytest.mark.parametrize(
    ("make", "page"), [(at_matching, "matching"), (at_preview, "preview"), (at_delivery, "delivery")]
)
def test_a_job_leads_to_the_review_of_its_stage(
    make: Any, page: str, client: Client, people: People, batch: Batch
) -> None:
    job = make(batch)
    answer = signed_in(client, people.vera).get(url("job", job))
    assert answer.url == url(f"job_{page}", job)


def test_a_completed_job_leads_to_its_delivery(client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch, State.DONE)
    assert signed_in(client, people.vera).get(url("job", job)).url == url("job_delivery", job)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("state", [state for state in State if state not in (State.IN_REVIEW, State.DONE)])
def test_every_other_state_has_a_page_of_its_own(
    stage: Stage, state: State, client: Client, people: People, batch: Batch
) -> None:
    job = make_job(batch, stage, State(state))
    page = signed_in(client, people.olga).get(url("job", job))
    assert page.status_code == 200
    assert job.job_id in html(page)


@pytest.mark.parametrize("page", ["job", "job_preview"])
def test_a_working_job_shows_its_progress_on_each_of_its_pages(
    page: str, client: Client, people: People, batch: Batch
) -> None:
    job = running(batch)
    shown = html(signed_in(client, people.vera).get(url(page, job)))
    assert "Drawing frames" in shown
    assert "42 %" in shown
    assert f'hx-get="{url("job_progress", job)}"' in shown


def test_a_working_job_says_how_long_it_still_takes(client: Client, people: People, batch: Batch) -> None:
    job = running(batch)
    assert " to go" not in html(signed_in(client, people.vera).get(url("job", job)))
    for seconds in (20, 30, 40):
        times = {"started_at": timezone.now() - timedelta(seconds=seconds), "ended_at": timezone.now()}
        add_run(make_job(batch), Stage.PREVIEW, {}, state=StageRun.DONE, **times)
    found = re.search(r"about (\d+) to (\d+) s to go", html(client.get(url("job_progress", job))))
    assert found
    assert int(found[1]) < 30 * 0.58 < int(found[2]), "42 % are done"


def test_progress_is_sent_again_only_when_it_changed(client: Client, people: People, batch: Batch) -> None:
    job = running(batch)
    first = signed_in(client, people.vera).get(url("job_progress", job))
    seen = re.search(r'name="seen" value="(\w+)"', html(first))[1]
    assert client.get(url("job_progress", job), {"seen": seen}).status_code == 204
    job.runs.update(percent=60)
    again = client.get(url("job_progress", job), {"seen": seen})
    assert again.status_code == 200
    assert "60 %" in html(again)


def test_when_the_work_is_over_the_progress_leads_on(client: Client, people: People, batch: Batch) -> None:
    answer = signed_in(client, people.vera).get(url("job_progress", at_preview(batch)))
    assert answer["HX-Redirect"] == reverse("admin:job", args=[Job.objects.get().pk])
    assert signed_in(client, people.vera).get(url("job_progress", failed(batch)))["HX-Redirect"]


def test_a_queued_job_says_how_many_are_before_it(client: Client, people: People, batch: Batch) -> None:
    for priority in (0, 2, 3):
        waiting = make_job(batch, Stage.PREVIEW, State.QUEUED)
        add_run(waiting, Stage.PREVIEW, {}, state=StageRun.QUEUED, priority=priority)
    job = make_job(batch, Stage.PREVIEW, State.QUEUED)
    add_run(job, Stage.PREVIEW, {}, state=StageRun.QUEUED, error="The disk was full.", attempts=1)
    page = html(signed_in(client, people.vera).get(url("job", job)))
    assert "2 before it" in page
    assert "Try 1 failed: The disk was full." in page


def test_a_job_that_a_limit_or_a_pause_keeps_says_so(
    client: Client, people: People, batch: Batch, settings: Any
) -> None:
    settings.BATCH_RUNNING_LIMIT = 1
    lease = {"token": uuid.uuid4(), "lease_owner": "north/1", "lease_expires_at": timezone.now()}
    add_run(make_job(batch, Stage.PREVIEW, State.RUNNING), Stage.PREVIEW, {}, state=StageRun.RUNNING, **lease)
    job = make_job(batch, Stage.PREVIEW, State.QUEUED)
    add_run(job, Stage.PREVIEW, {}, state=StageRun.QUEUED, queue="heavy")
    page = html(signed_in(client, people.vera).get(url("job", job)))
    assert "As many jobs of the batch run as may at once (1)." in page
    Pause.objects.create(key="queue:heavy", by=people.root, reason="<new> disks")
    page = html(client.get(url("job", job)))
    assert "The queue heavy is paused by root (&lt;new&gt; disks)." in page


def test_a_job_that_waits_for_its_next_try_says_until_when_and_why(
    client: Client, people: People, batch: Batch
) -> None:
    job = make_job(batch, Stage.PREVIEW, State.QUEUED)
    until = timezone.now() + timedelta(minutes=9)
    limit = {"error": "The storage takes no more requests.", "error_class": "rate", "available_at": until}
    run = add_run(job, Stage.PREVIEW, {}, state=StageRun.QUEUED, attempts=0, **limit)
    page = html(signed_in(client, people.vera).get(url("job", job)))
    for words in ("Waiting until it is allowed to go on", f"{until:%H:%M:%S}", "takes no try away", limit["error"]):
        assert words in page
    assert "before it" not in page
    assert "Try 0" not in page
    StageRun.objects.filter(pk=run.pk).update(error_class="transient", attempts=2)
    page = html(client.get(url("job", job)))
    assert "Waiting for another try" in page
    assert "Try 2 failed" in page
    assert f'goes on at <time datetime="{until:%Y-%m-%dT%H:%M:%S}' in page
    StageRun.objects.filter(pk=run.pk).update(available_at=timezone.now() - timedelta(seconds=1))
    assert "goes on at" not in html(client.get(url("job", job)))


def test_a_failed_job_tells_class_message_and_log(client: Client, people: People, batch: Batch) -> None:
    page = html(signed_in(client, people.vera).get(url("job", failed(batch))))
    for words in ("Ingestion failed", "a.psd: is no PSD. Save it again.", "(bug)", "Traceback &lt;here&gt;"):
        assert words in page
    assert "An operator of Blue can try again" in page


def send(client: Client, job: Job, verb: str, **values: Any) -> Any:
    return client.post(url("job_decide", job, verb), {"page": "record", **values})


@pytest.mark.parametrize(
    ("verb", "state", "values", "then"),
    [
        ("start", State.PENDING, {}, State.QUEUED),
        ("retry", State.FAILED, {}, State.QUEUED),
        ("retry", State.CANCELLED, {}, State.QUEUED),
        ("release", State.ON_HOLD, {}, State.PENDING),
        ("hold", State.PENDING, {"reason": "wait"}, State.ON_HOLD),
        ("cancel", State.PENDING, {}, State.CANCELLED),
        ("requeue", State.FAILED, {"target": "1"}, State.QUEUED),
    ],
)
def test_operators_move_jobs_that_wait(
    verb: str, state: State, values: dict[str, str], then: State, client: Client, people: People, batch: Batch
) -> None:
    job = make_job(batch, Stage.INGESTION, state)
    page = html(signed_in(client, people.olga).get(url("job", job)))
    assert url("job_decide", job, verb) in page
    answer = send(client, job, verb, **values)
    assert answer.status_code == 302
    job.refresh_from_db()
    assert job.state == then
    assert job.job_id in html(client.get(answer.url, follow=True))


@pytest.mark.parametrize("verb", ["start", "retry", "release", "hold", "requeue"])
def test_nobody_else_does(verb: str, client: Client, people: People, batch: Batch) -> None:
    job = make_job(batch)
    for person, status in {"rita": 403, "adam": 403, "vera": 403, "oscar": 404}.items():
        client.force_login(getattr(people, person))
        assert send(client, job, verb, target="1").status_code == status
    client.logout()
    assert "/login/" in send(client, job, verb).url
    assert not job.events.exists()


def test_a_verb_that_leads_nowhere_from_here_is_409_and_an_unknown_one_422(
    client: Client, people: People, batch: Batch
) -> None:
    job = make_job(batch)
    signed_in(client, people.olga)
    assert send(client, job, "retry").status_code == 409
    assert send(client, job, "requeue", target="4").status_code == 409
    for verb in ("claim", "amend", "nonsense"):
        assert send(client, job, verb).status_code == 422


def test_a_version_that_is_no_number_is_422(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    for version in ("x", "-1", "9" * 30, "٣٤"):
        answer = send(signed_in(client, people.rita), job, "approve_matches", version=version)
        assert answer.status_code in (409, 422)
    assert not job.events.exists()


def test_comments_and_assignment_are_fragments(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    signed_in(client, people.rita)
    answer = client.post(url("job_comment", job), {"text": "Look <b>here</b>"}, HTTP_HX_REQUEST="true")
    assert "Look &lt;b&gt;here&lt;/b&gt;" in html(answer)
    assert client.post(url("job_comment", job), {"text": " "}, HTTP_HX_REQUEST="true").status_code == 422
    answer = client.post(url("job_assign", job), {"assignee": people.adam.pk}, HTTP_HX_REQUEST="true")
    assert "assigned to adam" in json.loads(answer["HX-Trigger"])["toast"]
    for person in (people.vera.pk, people.oscar.pk, 10**9, "x"):
        assert client.post(url("job_assign", job), {"assignee": person}, HTTP_HX_REQUEST="true").status_code == 422
    job.refresh_from_db()
    assert job.assignee == people.adam
    client.post(url("job_assign", job), {"assignee": ""}, HTTP_HX_REQUEST="true")
    job.refresh_from_db()
    assert job.assignee is None


@pytest.mark.parametrize(
    ("name", "values"),
    [("job_comment", {"text": "x"}), ("job_assign", {"assignee": ""}), ("job_priority", {"priority": "0"})],
)
def test_remarks_climb_the_same_ladder(
    name: str, values: dict[str, str], client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    assert "/login/" in client.post(url(name, job), values).url
    assert signed_in(client, people.oscar).post(url(name, job), values).status_code == 404
    assert signed_in(client, people.vera).post(url(name, job), values).status_code == 403
    assert client.get(url(name, job)).status_code == 405
    assert not job.events.exists()
    assert signed_in(client, people.olga).post(url(name, job), values).status_code in (200, 302)
    assert job.events.count() == 1


def test_a_post_without_a_token_is_refused(people: People, batch: Batch) -> None:
    strict = Client(enforce_csrf_checks=True)
    job = at_matching(batch)
    assert send(signed_in(strict, people.rita), job, "approve_matches", version=0).status_code == 403
    assert not job.events.exists()


def test_the_next_job_is_one_that_the_person_may_decide(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    preview = at_preview(batch)
    failed(batch)
    assert next_job(people.rita, after=job) is None
    assert next_job(people.adam, after=job) == preview
    assert next_job(people.vera, after=job) is None
    assert next_job(people.oscar, after=job) is None
    place(preview, Stage.PREVIEW, State.QUEUED)
    assert next_job(people.adam, after=job) is None


def test_the_history_of_a_job_reads_as_sentences_without_its_name(db: None) -> None:
    deeds = {one["event"].verb: one["deed"] for one in told([Event(verb=verb, data={}) for verb in PAST])}
    loose = {"of", "on", "in", "to", "about", "after"}
    assert [deed for deed in deeds.values() if deed.split()[-1] in loose] == []
    assert deeds["share"] == "made a link"
    assert deeds["hold"] == "put on hold"


def test_the_record_is_there_at_every_stage_with_bounded_queries(
    client: Client, people: People, batch: Batch, django_assert_max_num_queries: Any
) -> None:
    job = at_delivery(batch)
    for number in range(30):
        run = add_run(job, Stage.PREVIEW, {}, state=StageRun.DROPPED)
        Attempt.objects.create(run=run, number=number, worker="w")
    signed_in(client, people.vera)
    with django_assert_max_num_queries(20):
        assert client.get(url("job_record", job)).status_code == 200
    with django_assert_max_num_queries(10):
        client.get(url("job_progress", running(batch)))
