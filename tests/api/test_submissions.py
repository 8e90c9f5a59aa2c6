"""aeproject.submissions: jobs without a sheet, as multipart and as JSON, one and many; all or none."""

from __future__ import annotations

import base64
import io

import pytest
from django.conf import settings as django_settings

from batches.models import Batch, Upload
from jobs.models import Asset, Job, StageRun
from tests.batches.sheets import aepx_bytes, psd_bytes

pytestmark = pytest.mark.django_db

JOBS, MANY = "/api/jobs/", "/api/jobs/batch/"


def named(name, data):
    file = io.BytesIO(data)
    file.name = name
    return file


def inline(name, data):
    return {"name": name, "base64": base64.b64encode(data).decode()}


def parts(**fields):
    files = {"psd": named("PL-DXB191_Defense V1.psd", psd_bytes()), "project": named("card.aepx", aepx_bytes())}
    return {"team": "blue", **files, **fields}


def test_one_job_as_multipart_gets_a_batch_of_its_own_and_starts(api, people):
    answer = api(people.olga).post(JOBS, parts(client_name="Northwind", priority="high"), format="multipart")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    (shown,) = body["jobs"]
    job = Job.objects.get(pk=shown["id"])
    assert job.batch_id == body["batch"]["id"]
    assert job.job_id.startswith("PL-DXB191_Defense-V1-")
    assert job.output_name == "PL-DXB191_Defense-V1.aep"
    assert (job.client_name, job.priority_name, shown["state"]) == ("Northwind", "high", "processing")
    assert job.psd.size_bytes == len(psd_bytes())
    assert StageRun.objects.filter(job=job).count() == 1


def test_one_job_as_json_with_base64_waits_when_told_to(api, people):
    body = {
        "team": "blue",
        "name": "By hand",
        "start": False,
        "job_id": "HAND-1",
        "psd": inline("a.psd", psd_bytes()),
        "project": inline("a.aepx", aepx_bytes()),
    }
    answer = api(people.olga).post(JOBS, body, format="json")
    assert answer.status_code == 201, answer.content
    job = Job.objects.get()
    assert (job.job_id, job.output_name, job.state, job.batch.name) == ("HAND-1", "HAND-1.aep", "pending", "By hand")


def test_files_of_the_asset_roots_go_by_their_paths(api, people):
    root = django_settings.ASSET_ROOTS[0]
    root.mkdir(parents=True)
    (root / "b.psd").write_bytes(psd_bytes())
    (root / "b.aepx").write_bytes(aepx_bytes())
    body = {"team": "blue", "psd_path": "b.psd", "project_path": "b.aepx"}
    assert api(people.olga).post(JOBS, body, format="json").status_code == 201
    assert Job.objects.get().psd_path == "b.psd"


def test_two_submissions_of_one_design_are_two_batches(api, people):
    client = api(people.olga)
    for _ in range(2):
        assert client.post(JOBS, parts(), format="multipart").status_code == 201
    first, second = Batch.objects.order_by("pk")
    assert [batch.jobs.count() for batch in (first, second)] == [1, 1]
    day = f"{first.day:%Y-%m-%d}"
    assert [batch.directory_name for batch in (first, second)] == [f"PL_DXB_{day}_batch-1", f"PL_DXB_{day}_batch-2"]
    assert len(set(Job.objects.values_list("job_id", flat=True))) == 2


def test_many_designs_with_one_project_are_one_batch(api, people):
    designs = [named(f"d-{number}.psd", psd_bytes()) for number in range(3)]
    body = {"team": "blue", "files": designs, "project": named("card.aepx", aepx_bytes())}
    answer = api(people.olga).post(MANY, body, format="multipart")
    assert answer.status_code == 201, answer.content
    assert Batch.objects.count() == 1
    assert [job.psd_path for job in Job.objects.order_by("row_line")] == ["d-0.psd", "d-1.psd", "d-2.psd"]
    assert set(Job.objects.values_list("project_path", flat=True)) == {"card.aepx"}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["multipart", "json"])
def test_a_hundred_files_are_taken(api, people, form):
    sent = named if form == "multipart" else inline
    designs = [sent(f"d-{number}.psd", psd_bytes()) for number in range(100)]
    body = {"team": "blue", "files": designs, "project": sent("card.aepx", aepx_bytes()), "start": False}
    answer = api(people.olga).post(MANY, body, format=form)
    assert answer.status_code == 201, answer.content
    assert len(answer.json()["jobs"]) == Job.objects.filter(batch=answer.json()["batch"]["id"]).count() == 100


def test_many_jobs_as_json_say_what_they_need(api, people):
    body = {
        "team": "blue",
        "files": [inline("x.psd", psd_bytes()), inline("x.aepx", aepx_bytes())],
        "jobs": [{"job_id": f"J{n}", "psd_path": "x.psd", "project_path": "x.aepx"} for n in range(2)],
    }
    answer = api(people.olga).post(MANY, body, format="json")
    assert answer.status_code == 201, answer.content
    assert [job["job_id"] for job in answer.json()["jobs"]] == ["J0", "J1"]


def test_one_bad_job_of_many_opens_none_and_is_named(api, people):
    body = {
        "team": "blue",
        "files": [inline("x.psd", psd_bytes()), inline("x.aepx", aepx_bytes())],
        "jobs": [
            {"job_id": "A", "psd_path": "x.psd", "project_path": "x.aepx"},
            {"job_id": "B", "psd_path": "missing.psd", "project_path": "x.aepx"},
        ],
    }
    answer = api(people.olga).post(MANY, body, format="json")
    assert answer.status_code == 400
    assert "Job 2 (B)" in answer.json()["jobs"][0]
    assert not Job.objects.exists()
    assert not Upload.objects.exists()
    assert not Asset.objects.exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "team"),
        ({"team": "blue"}, "psd_path"),
        ({"team": "blue", "psd": {"name": "a.psd"}}, "psd"),
        ({"team": "blue", "psd": {"name": "a.psd", "base64": "%%%"}}, "psd"),
        ({"team": "blue", "psd": "text"}, "psd"),
        ({"team": "blue", "psd": inline("../a.psd", b"8BPS")}, "files"),
        ({"team": "blue", "psd": inline("a.psd", b"")}, "psd"),
        (
            {"team": "blue", "psd": inline("a.psd", b"no psd"), "project": inline("a.aepx", aepx_bytes())},
            "psd_path",
        ),
        ({"team": "blue", "psd": inline("a.psd", psd_bytes())}, "project_path"),
        ({"team": "blue", "job_id": "a b"}, "job_id"),
        ({"team": "blue", "priority": "now"}, "priority"),
    ],
)
def test_a_wrong_job_is_refused_by_its_field(api, people, body, field):
    answer = api(people.olga).post(JOBS, body, format="json")
    assert answer.status_code == 400, answer.content
    assert field in answer.json()
    assert not Batch.objects.exists()
    assert not Upload.objects.exists()


@pytest.mark.parametrize("jobs", [[], [{"job_id": f"J{n}"} for n in range(101)], "x", [1]])
def test_a_hundred_jobs_are_the_most(api, people, jobs):
    answer = api(people.olga).post(MANY, {"team": "blue", "jobs": jobs}, format="json")
    assert answer.status_code == 400
    assert "jobs" in answer.json()


def test_a_hundred_and_one_files_are_too_many(api, people):
    files = [inline(f"{n}.psd", b"8BPS") for n in range(101)]
    answer = api(people.olga).post(MANY, {"team": "blue", "files": files}, format="json")
    assert (answer.status_code, list(answer.json())) == (400, ["files"])


def test_a_job_that_is_open_already_is_refused(api, people):
    client = api(people.olga)
    assert client.post(JOBS, parts(job_id="ONE"), format="multipart").status_code == 201
    answer = client.post(JOBS, parts(job_id="ONE"), format="multipart")
    assert (answer.status_code, list(answer.json())) == (400, ["job_id"])
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "status"), [("olga", 201), ("rita", 403), ("adam", 403), ("vera", 403), ("oscar", 404), ("root", 201)]
)
@pytest.mark.parametrize("address", [JOBS, MANY])
def test_operators_of_the_team_alone_submit(api, people, address, name, status):
    body = parts() if address == JOBS else {**parts(psd=None), "files": [named("d.psd", psd_bytes())]}
    body = {key: value for key, value in body.items() if value is not None}
    assert api(getattr(people, name)).post(address, body, format="multipart").status_code == status
    assert Batch.objects.count() == (status == 201)


def test_nobody_submits_without_a_token(api, people):
    for address in (JOBS, MANY):
        assert api().post(address, {"team": "blue"}, format="json").status_code == 401


def test_a_repeated_submission_is_done_once(api, people):
    client = api(people.olga)
    body = {"team": "blue", "psd": inline("a.psd", psd_bytes()), "project": inline("a.aepx", aepx_bytes())}
    first, second = (client.post(JOBS, body, format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Batch.objects.count() == 1
