"""jobs.limits and aeproject.throttling: how often one may ask, and what one is told."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from jobs import limits
from jobs.limits import TooMany, count_for_project, count_request
from jobs.models import RequestWindow, TokenBucket
from jobs.states import Stage, State
from tests.people import make_job


@pytest.fixture(autouse=True)
def _few(settings):
    settings.USER_REQUESTS_PER_MINUTE = 3
    settings.PROJECT_REQUESTS_PER_MINUTE = 4


@pytest.fixture
def _still(monkeypatch):
    """For the limits the database's time stands still: nothing fills or slides because this machine is slow."""
    read, moments = limits._read, []

    def read_at_once(rows, new):
        row, now = read(rows, new)
        moments.append(now)
        return row, moments[0]

    monkeypatch.setattr(limits, "_read", read_at_once)


@pytest.mark.usefixtures("_still")
def test_the_request_after_the_last_one_is_refused_and_told_when_to_come_back(people):
    for _ in range(3):
        count_request(people.olga)
    with pytest.raises(TooMany, match="3 requests a minute") as refused:
        count_request(people.olga)
    assert 58 <= refused.value.retry_after_seconds <= 60
    count_request(people.rita)


@pytest.mark.usefixtures("_still")
def test_the_window_slides(people):
    for _ in range(3):
        count_request(people.olga)
    row = RequestWindow.objects.get(user=people.olga)
    row.stamps[0] -= 59.5
    row.save()
    with pytest.raises(TooMany) as refused:
        count_request(people.olga)
    assert refused.value.retry_after_seconds == 1
    row.stamps[0] -= 1
    row.save()
    count_request(people.olga)
    with pytest.raises(TooMany):
        count_request(people.olga)


@pytest.mark.usefixtures("_still")
def test_who_was_refused_is_not_punished_for_asking(people):
    for _ in range(3):
        count_request(people.olga)
    for _ in range(5):
        with pytest.raises(TooMany):
            count_request(people.olga)
    assert len(RequestWindow.objects.get(user=people.olga).stamps) == 3


@pytest.mark.usefixtures("_still")
def test_a_bucket_empties_and_fills_steadily(db):
    for _ in range(4):
        count_for_project("batch:1")
    with pytest.raises(TooMany, match="4 requests") as refused:
        count_for_project("batch:1")
    assert 13 <= refused.value.retry_after_seconds <= 15
    count_for_project("batch:2")
    bucket = TokenBucket.objects.get(key="batch:1")
    TokenBucket.objects.filter(key="batch:1").update(filled_at=bucket.filled_at - 16)
    count_for_project("batch:1")
    with pytest.raises(TooMany):
        count_for_project("batch:1")


@pytest.mark.usefixtures("_still")
def test_a_bucket_holds_no_more_than_its_limit(db):
    count_for_project("batch:1")
    TokenBucket.objects.update(filled_at=0)
    for _ in range(4):
        count_for_project("batch:1")
    with pytest.raises(TooMany):
        count_for_project("batch:1")


def test_zero_is_no_limit(people, settings):
    settings.USER_REQUESTS_PER_MINUTE = settings.PROJECT_REQUESTS_PER_MINUTE = 0
    for _ in range(10):
        count_request(people.olga)
        count_for_project("batch:1")
    assert not RequestWindow.objects.exists()


def test_a_clock_that_is_wrong_changes_nothing(people, monkeypatch):
    for _ in range(3):
        count_request(people.olga)
    from datetime import timedelta

    here = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: here() + timedelta(minutes=5))
    with pytest.raises(TooMany):
        count_request(people.olga)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_still")
@pytest.mark.parametrize("count", ["user", "project"])
def test_racing_requests_never_pass_a_limit(people, count):
    results: list[bool] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        try:
            count_request(people.olga) if count == "user" else count_for_project("batch:1")
            results.append(True)
        except TooMany:
            results.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == (3 if count == "user" else 4)


# What pages and the API answer ----------------------------------------------------------------------------------------
def test_a_page_that_acts_too_often_is_answered_429_and_looking_is_free(client, people, batch):
    client.force_login(people.olga)
    address = reverse("admin:batch_start", args=[batch.pk])
    for _ in range(3):
        assert client.post(address).status_code == 409
    answer = client.post(address)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "Try again in" in answer.content.decode()
    assert client.get(reverse("admin:batch", args=[batch.pk])).status_code == 200


def test_what_pages_ask_for_by_themselves_is_only_looking(client, people, batch):
    """So however many tabs are open, nobody's own pages use up what they may do."""
    polls = re.findall(
        r"<[^<>]*\bdata-poll\b[^<>]*>",
        "".join(page.read_text() for page in Path(configured.BASE_DIR, "templates").rglob("*.html")),
    )
    assert len(polls) >= 7
    assert all("hx-get=" in poll and "hx-trigger=" in poll for poll in polls)
    client.force_login(people.olga)
    for _ in range(20):
        for tab in ("batch_changes", "batch_inside"):
            assert client.get(reverse(f"admin:{tab}", args=[batch.pk])).status_code == 200
        assert client.get(reverse("admin:batch_list_changes")).status_code == 204
        assert client.get(reverse("admin:notices_count")).status_code == 200
    assert not RequestWindow.objects.filter(user=people.olga).exists()


def test_a_refused_action_does_nothing(client, people, batch):
    job = make_job(batch)
    client.force_login(people.olga)
    for _ in range(3):
        count_request(people.olga)
    assert client.post(reverse("admin:batch_start", args=[batch.pk])).status_code == 429
    job.refresh_from_db()
    assert job.state == State.PENDING


def test_the_project_limit_counts_a_batch_with_its_jobs_for_all_people(client, people, batch, settings):
    settings.USER_REQUESTS_PER_MINUTE = 0
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    client.force_login(people.olga)
    for _ in range(2):
        client.post(reverse("admin:batch_start", args=[batch.pk]))
    client.force_login(people.rita)
    for _ in range(2):
        client.post(reverse("admin:job_comment", args=[job.pk]), {"text": "hello"})
    answer = client.post(reverse("admin:job_comment", args=[job.pk]), {"text": "hello"})
    assert answer.status_code == 429
    assert "project" in answer.content.decode()


def test_a_stranger_cannot_use_up_the_limit_of_a_project(client, people, batch, settings):
    settings.USER_REQUESTS_PER_MINUTE = 0
    make_job(batch)
    client.force_login(people.oscar)
    for _ in range(6):
        assert client.post(reverse("admin:batch_start", args=[batch.pk])).status_code == 404
    assert not TokenBucket.objects.exists()


def test_the_api_counts_every_request_and_answers_429(people):
    api = APIClient()
    api.force_authenticate(people.olga)
    for _ in range(3):
        assert api.get("/api/batches/").status_code == 200
    answer = api.get("/api/batches/")
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert answer.json()["detail"]


def test_the_api_counts_for_the_batch(people, batch, settings):
    settings.USER_REQUESTS_PER_MINUTE = 0
    job = make_job(batch)
    api = APIClient()
    api.force_authenticate(people.olga)
    for address in (f"/api/batches/{batch.pk}/", f"/api/jobs/{job.pk}/") * 2:
        assert api.get(address).status_code == 200
    assert api.get(f"/api/jobs/{job.pk}/").status_code == 429
