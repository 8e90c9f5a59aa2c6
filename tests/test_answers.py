"""aeproject.answers: 304 for those who have it already, gzip for text, and neither for secrets."""

from __future__ import annotations

import gzip

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from batches.models import Batch
from batches.progress import progress_of
from jobs.lifecycle import annotate, move
from jobs.models import StageRun
from jobs.states import Stage, State
from jobs.tokens import issue
from tests.people import PASSWORD, make_job

pytestmark = pytest.mark.django_db
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def client(people):
    client = APIClient()
    client.force_login(people.vera)
    return client


def by_token(user):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue(user, name='test')[1]}")
    return client


@pytest.mark.parametrize(
    "address",
    ["/api/jobs/", "/api/jobs/{job}/", "/api/jobs/{job}/progress/", "/api/batches/{batch}/progress/", "/api/me/",
     "/api/dashboard/", "/api/events/", "/api/schema/"],
)  # fmt: skip
def test_what_did_not_change_is_304_without_a_body(client, job, address):
    address = address.replace("{job}", str(job.pk)).replace("{batch}", str(job.batch_id))
    first = client.get(address)
    assert first.status_code == 200
    assert first["ETag"].startswith('W/"')
    assert "no-cache" in first["Cache-Control"]
    assert {"Authorization", "Cookie"} <= {name.strip() for name in first["Vary"].split(",")}
    for value in (first["ETag"], first["ETag"].removeprefix("W/"), f'"other", {first["ETag"]}', "*"):
        again = client.get(address, headers={"If-None-Match": value})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.head(address)["ETag"] == first["ETag"]


def test_a_change_is_a_new_etag(client, people, job):
    address = f"/api/jobs/{job.pk}/progress/"
    first = client.get(address)
    move(job, "start", actor=people.olga)
    second = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert second.status_code == 200
    assert second.json()["version"] == first.json()["version"] + 1
    StageRun.objects.filter(job=job).update(percent=40.0, step="Reading layers")
    third = client.get(address, headers={"If-None-Match": second["ETag"]})
    assert (third.json()["percent"], third.json()["step"], third.json()["running"]) == (40.0, "Reading layers", False)


def test_the_etag_of_one_person_gives_another_no_record(client, people, job):
    etag = client.get(f"/api/jobs/{job.pk}/")["ETag"]
    other = APIClient()
    other.force_login(people.oscar)
    assert other.get(f"/api/jobs/{job.pk}/", headers={"If-None-Match": etag}).status_code == 404
    assert other.get(f"/api/jobs/{job.pk}/", headers={"If-None-Match": "*"}).status_code == 404


def test_errors_and_changes_have_no_etag(client, people, job):
    assert "ETag" not in client.get("/api/jobs/0/")
    speaker = APIClient()
    speaker.force_login(people.olga)
    assert "ETag" not in speaker.post(f"/api/jobs/{job.pk}/start/", headers={"If-None-Match": "*"})


def test_text_is_compressed_for_those_who_can_read_it(client, batch):
    for _ in range(5):
        make_job(batch)
    plain, packed = client.get("/api/jobs/"), client.get("/api/jobs/", headers=GZIP)
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 3
    assert packed["ETag"] == plain["ETag"]
    assert client.get("/api/jobs/", headers={**GZIP, "If-None-Match": plain["ETag"]}).status_code == 304
    assert "Content-Encoding" not in client.get("/api/teams/", headers=GZIP)  # too short to be worth it


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_exports_are_compressed_as_they_are_written_and_kept_by_nobody(client, people, job, form):
    for number in range(50):
        annotate(job, "comment", actor=people.rita, reason=f"Remark {number}")
    address = f"/api/events/export.{form}"
    plain, packed = client.get(address), client.get(address, headers=GZIP)
    assert (packed.streaming, packed["Content-Encoding"]) == (True, "gzip")
    whole, sent = plain.getvalue(), packed.getvalue()
    assert gzip.decompress(sent) == whole
    assert len(sent) < len(whole) / 3
    assert "no-store" in packed["Cache-Control"]
    assert "ETag" not in packed


def test_two_compressed_answers_differ_in_length_so_that_lengths_tell_nothing(client, batch):
    for _ in range(5):
        make_job(batch)
    assert len({len(client.get("/api/jobs/", headers=GZIP).content) for _ in range(20)}) > 1


def test_answers_with_secrets_and_pages_are_not_compressed(people):
    client = APIClient()
    body = {"username": "vera", "password": PASSWORD, "name": "x" * 100}
    made = client.post("/api/token/", body, headers=GZIP)
    assert made.status_code == 200
    assert "Content-Encoding" not in made
    assert "ETag" not in made
    client.force_login(people.vera)
    page = client.get("/admin/tokens/", headers=GZIP)
    assert page.status_code == 200
    assert "Content-Encoding" not in page


def test_files_are_not_compressed(client, rich_asset):
    answer = client.get(f"/api/assets/{rich_asset.pk}/download/", headers=GZIP)
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer
    assert int(answer["Content-Length"]) == rich_asset.size_bytes


@pytest.fixture
def rich_asset(batch, settings):
    from tests.review.builders import add_asset, at_matching

    folder = settings.STORAGES["default"]["OPTIONS"]["location"]
    return add_asset(at_matching(batch), Stage.INGESTION, "layer", "photo.png", folder)


# Progress -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["jobs", "batches"])
def test_progress_costs_three_queries_and_counts_for_no_limit(people, job, kind, settings):
    settings.USER_REQUESTS_PER_MINUTE = settings.PROJECT_REQUESTS_PER_MINUTE = 1
    move(job, "start", actor=people.olga)
    client = by_token(people.vera)
    address = f"/api/{kind}/{job.pk if kind == 'jobs' else job.batch_id}/progress/"
    assert client.get(address).status_code == 200  # notes the first use of the token
    for _ in range(3):
        with CaptureQueriesContext(connection) as seen:
            answer = client.get(address)
        assert answer.status_code == 200
        assert len(seen) <= 3
    assert client.get("/api/me/").status_code == 200


@pytest.mark.parametrize("kind", ["jobs", "batches"])
def test_the_ladder_of_progress(people, job, kind):
    address = f"/api/{kind}/{job.pk if kind == 'jobs' else job.batch_id}/progress/"
    for who, expected in (("vera", 200), ("oscar", 404), ("nobody", 404)):
        client = APIClient()
        client.force_login(getattr(people, who))
        assert client.get(address).status_code == expected
        assert client.post(address).status_code == 405
        assert client.get(f"/api/{kind}/x/progress/").status_code == 400
    assert APIClient().get(address).status_code == 401


def test_the_progress_of_a_batch_counts_stages_and_the_running_part(batch, people):
    def percent():
        return progress_of(Batch.objects.filter(pk=batch.pk))

    assert percent()["percent"] == 100.0  # nothing to do
    assert percent()["counts"]["total"] == 0
    make_job(batch, Stage.INGESTION, State.PENDING)
    make_job(batch, Stage.DELIVERY, State.DONE)
    make_job(batch, Stage.MATCHING, State.CANCELLED)
    shown = percent()
    assert shown["percent"] == 50.0
    assert (shown["counts"]["total"], shown["counts"]["cancelled"], shown["state"]) == (3, 1, "queued")
    make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    assert percent()["percent"] == 50.0  # 0, 4 and 2 of 4 stages
    from tests.jobs.test_workers import running

    run = running(batch, "host/1")
    StageRun.objects.filter(pk=run.pk).update(percent=50.0)
    stage_part = run.job.stage - 1 + 0.5
    assert percent()["percent"] == round(100 * (0 + 4 + 2 + stage_part) / 16, 1)
    assert progress_of(Batch.objects.none()) is None
