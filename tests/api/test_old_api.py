"""aeproject.old_api: the predecessor's addresses in their old shapes, for those who may, and nobody else."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest

from aeproject import old_api
from batches.models import Batch, Upload
from jobs.lifecycle import move
from jobs.models import PRIORITIES, Job, Match, Membership, Warning
from jobs.states import Role, Stage, State
from tests.batches.sheets import aepx_bytes, good_rows, psd_bytes, sheet_of
from tests.people import make_job

pytestmark = pytest.mark.django_db


def named(name, data):
    file = io.BytesIO(data)
    file.name = name
    return file


def send(client, *lines, **fields):
    files = [named("a.psd", psd_bytes()), named("a.aepx", aepx_bytes())]
    body = {"csv_file": named("spring.csv", sheet_of(*lines)), "files": files, "user_id": "john", **fields}
    return client.post("/api/batch/upload", body, format="multipart")


def test_a_sheet_becomes_a_batch_and_is_started(api, people):
    client = api(people.olga)
    answer = send(client, *good_rows(3))
    body = answer.json()
    assert (answer.status_code, body["success"]) == (200, True), body
    batch = Batch.objects.get(pk=body["batch_id"])
    assert body["validation"]["batch_id"] == body["batch_id"]
    assert [body["validation"][key] for key in ("valid", "total_jobs", "valid_jobs", "invalid_jobs")] == [True, 3, 3, 0]
    assert body["validation"]["jobs"][0] == {
        "job_id": "J-1",
        "psd_path": "a.psd",
        "aepx_path": "a.aepx",
        "output_name": "out-1.aep",
        "client_name": None,
        "project_name": None,
        "notes": None,
        "priority": "medium",
    }
    assert batch.created_by == people.olga, "the token's person, not user_id"

    short = client.get(f"/api/batch/{batch.pk}").json()
    assert short["stage_counts"] == {"0": 3}
    assert short["status_counts"] == {"pending": 3}
    assert short["batch"]["csv_filename"] == "spring.csv"
    assert (short["batch"]["total_jobs"], short["batch"]["invalid_jobs"], short["batch"]["completed_at"]) == (
        3,
        0,
        None,
    )

    started = client.post(f"/api/batch/{batch.pk}/start-processing", {"max_jobs": 2}, format="json").json()
    assert started["result"] == {"processed": 2, "succeeded": 0, "failed": 0, "job_results": {}}
    assert client.get(f"/api/batch/{batch.pk}").json()["stage_counts"] == {"0": 1, "1": 2}
    assert client.post(f"/api/batch/{batch.pk}/start-processing").json()["result"]["processed"] == 1
    again = client.post(f"/api/batch/{batch.pk}/start-processing")
    assert (again.status_code, again.json()["success"]) == (409, False)


def test_a_bad_row_opens_nothing_and_says_why(api, people):
    answer = send(api(people.olga), *good_rows(1), "J 3,b.psd,a.aepx,out-3.aep")
    body = answer.json()
    assert (answer.status_code, body["success"]) == (400, False)
    assert body["message"] == "Batch validation failed: 1 invalid jobs"
    assert [(row["job_id"], row["row"]) for row in body["validation"]["errors"]] == [("J 3", 3)]
    assert any("job_id" in words for words in body["validation"]["errors"][0]["errors"])
    assert not Batch.objects.exists()
    assert not Upload.objects.exists(), "nothing is left behind"


def test_a_sheet_that_would_need_a_worker_is_refused(api, people, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    answer = send(api(people.olga), *good_rows(3))
    assert answer.status_code == 400
    assert "/api/uploads/" in answer.json()["message"]
    assert not Upload.objects.exists()


@pytest.mark.parametrize("fields", [{"csv_file": None}, {"csv_file": named("x.csv", b"")}, {"csv_file": "text"}])
def test_what_is_no_sheet_is_an_error_in_the_old_shape(api, people, fields):
    body = {key: value for key, value in fields.items() if value is not None}
    answer = api(people.olga).post("/api/batch/upload", body, format="multipart")
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"]


def test_who_operates_two_teams_names_one(api, people, red):
    Membership.objects.create(team=red, user=people.olga, role=Role.OPERATOR)
    client = api(people.olga)
    assert "more than one team" in send(client, *good_rows(1)).json()["error"]
    assert send(client, *good_rows(1), team="nowhere").status_code == 404
    answer = send(client, *good_rows(1), team="red")
    assert Batch.objects.get(pk=answer.json()["batch_id"]).team == red


def test_the_history_of_a_job_in_the_old_shape(api, people, batch):
    job = make_job(batch, job_id="TEST001", client_name="ESPN", priority=PRIORITIES["urgent"])
    move(job, "start", actor=people.olga)
    for verb, actor in (("claim", None), ("ingest", None), ("claim", None), ("prepare", None)):
        move(job, verb, actor=actor)
    Match.objects.create(
        job=job, slot_id="1:2", slot_name="Name", slot_kind="text", layer_id=7, layer_name="n", score=99
    )
    Warning.objects.create(job=job, stage=1, code="missing_font", severity="critical", message="Arial is missing.")
    Warning.objects.create(job=job, stage=1, code="x", severity="info", message="Done.", resolution="resolved")
    before = api(people.vera).get("/api/job/TEST001").json()
    assert before["stage2_approved_matches"] is None
    move(job, "approve_matches", actor=people.rita, version=job.version)
    body = api(people.vera).get("/api/job/TEST001").json()
    assert body["success"] is True
    assert (body["job"]["job_id"], body["job"]["batch_id"]) == ("TEST001", str(batch.pk))
    assert (body["job"]["current_stage"], body["job"]["status"]) == (3, "processing")
    ends = [body["job"][f"stage{stage}_completed_at"] is not None for stage in range(5)]
    assert ends == [True, True, True, False, False]
    assert body["job"]["final_aep_path"] is None
    assert (body["warnings"]["total"], body["warnings"]["critical"]) == (1, 1)
    assert body["warnings"]["list"][0]["type"] == "missing_font"
    assert [match["layer_id"] for match in body["stage2_approved_matches"]] == [7]
    assert (body["recent_logs"][0]["action"], body["recent_logs"][0]["user_id"]) == ("approve_matches", "rita")
    assert body["recent_logs"][1]["user_id"] == "system"


SHORT_BATCH = "batch_id status total_jobs valid_jobs uploaded_at uploaded_by"
SHORT_JOB = "job_id batch_id status priority client_name project_name output_name created_at"
ENDS = " ".join(f"stage{number}_completed_at" for number in range(5))
OLD_KEYS = {
    "batch/{batch}": "success batch stage_counts status_counts",
    "batch/{batch} batch": f"{SHORT_BATCH} csv_filename invalid_jobs validated_at completed_at",
    "job/{job}": "success job stage1_results stage2_approved_matches warnings recent_logs",
    "job/{job} job": f"{SHORT_JOB} current_stage psd_path aepx_path final_aep_path updated_at {ENDS}",
    "job/{job} warnings": "total critical list",
    "job/{job} warnings list": "warning_id type severity message stage created_at",
    "job/{job} recent_logs": "log_id stage action message user_id created_at",
    "dashboard/stats": "success summary stage_counts status_counts recent_batches",
    "dashboard/stats summary": "total completed failed in_progress avg_completion_time",
    "dashboard/stats recent_batches": SHORT_BATCH,
    "jobs/stage/1": "success stage count jobs",
    "jobs/stage/1 jobs": SHORT_JOB,
}
"""What the predecessor answered, by address and the way inside; of a list, its first."""


@pytest.mark.parametrize("where", OLD_KEYS)
def test_answers_have_the_keys_of_the_predecessor_and_no_others(api, people, batch, where):
    job = make_job(batch)
    move(job, "start", actor=people.olga)
    Warning.objects.create(job=job, stage=1, code="missing_font", severity="critical", message="Arial is missing.")
    address, *inside = where.format(batch=batch.pk, job=job.job_id).split()
    found = api(people.vera).get(f"/api/{address}").json()
    for name in inside:
        found = found[name][0] if isinstance(found[name], list) else found[name]
    assert set(found) == set(OLD_KEYS[where].split())


def test_the_newest_of_jobs_with_one_name_is_meant(api, people, batch, blue):
    make_job(batch, Stage.DELIVERY, State.DONE, job_id="A")
    other = Batch.objects.create(team=blue, name="Later", created_by=people.olga)
    make_job(other, job_id="A")
    assert api(people.vera).get("/api/job/A").json()["job"]["batch_id"] == str(other.pk)


def test_jobs_by_stage_most_urgent_first(api, people, batch, blue):
    client = api(people.vera)
    low = make_job(batch, Stage.MATCHING, State.IN_REVIEW, priority=PRIORITIES["low"])
    high = make_job(batch, Stage.MATCHING, State.QUEUED, priority=PRIORITIES["high"])
    pending = make_job(batch)
    body = client.get("/api/jobs/stage/2").json()
    assert (body["stage"], body["count"]) == (2, 2)
    assert [job["job_id"] for job in body["jobs"]] == [high.job_id, low.job_id]
    assert [job["job_id"] for job in client.get("/api/jobs/stage/0").json()["jobs"]] == [pending.job_id]
    assert client.get("/api/jobs/stage/1").json()["jobs"] == []
    assert client.get("/api/jobs/stage/2?limit=1").json()["count"] == 1
    other = Batch.objects.create(team=blue, name="Empty", created_by=people.olga)
    assert client.get(f"/api/jobs/stage/2?batch_id={other.pk}").json()["count"] == 0
    assert "results" in client.get("/api/jobs/stage/2/").json(), "with a slash it is the new address"


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=1001", "limit="])
def test_an_odd_limit_is_refused(api, people, query):
    answer = api(people.vera).get(f"/api/jobs/stage/2?{query}")
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_figures_of_the_dashboard(api, people, batch):
    done = make_job(batch, Stage.DELIVERY, State.DONE)
    Job.objects.filter(pk=done.pk).update(finished_at=done.created_at + timedelta(hours=2, minutes=5))
    make_job(batch, Stage.PREVIEW, State.FAILED)
    make_job(batch, Stage.PREVIEW, State.RUNNING)
    body = api(people.vera).get("/api/dashboard/stats").json()
    assert body["summary"] == {
        "total": 3,
        "completed": 1,
        "failed": 1,
        "in_progress": 1,
        "avg_completion_time": "2h 5m",
    }
    assert body["stage_counts"] == {"3": 2, "4": 1}
    assert body["status_counts"] == {"completed": 1, "failed": 1, "processing": 1}
    assert [entry["batch_id"] for entry in body["recent_batches"]] == [str(batch.pk)]
    assert api(people.oscar).get("/api/dashboard/stats").json()["summary"]["avg_completion_time"] == "N/A"


@pytest.mark.parametrize(
    "address",
    [
        "batch/999999",
        "batch/x",
        "batch/１",
        "job/none",
        "job/a%00",
        "jobs/stage/7",
        "jobs/stage/x",
        "jobs/stage/2?batch_id=9",
    ],
)
def test_what_is_not_there_is_not_found_in_the_old_shape(api, people, address):
    answer = api(people.vera).get(f"/api/{address}")
    assert answer.status_code == 404
    assert answer.json()["success"] is False
    assert "not found" in answer.json()["error"]


def test_another_teams_things_are_not_found(api, people, batch):
    job = make_job(batch)
    client = api(people.oscar)
    assert client.get(f"/api/batch/{batch.pk}").status_code == 404
    assert client.post(f"/api/batch/{batch.pk}/start-processing").status_code == 404
    assert client.get(f"/api/job/{job.job_id}").status_code == 404
    assert client.get("/api/jobs/stage/0").json()["count"] == 0
    assert client.get(f"/api/jobs/stage/0?batch_id={batch.pk}").status_code == 404


@pytest.mark.parametrize(
    ("name", "status"), [("olga", 200), ("rita", 403), ("adam", 403), ("vera", 403), ("root", 200)]
)
def test_operators_alone_upload_and_start(api, people, batch, name, status):
    make_job(batch)
    client = api(getattr(people, name))
    assert send(client, *good_rows(1), team="blue").status_code == status
    assert client.post(f"/api/batch/{batch.pk}/start-processing").status_code == status


def test_nobody_gets_in_without_a_token(api, people, batch):
    for address in ("batch/1", "job/a", "dashboard/stats", "jobs/stage/1"):
        assert api().get(f"/api/{address}").status_code == 401
    assert send(api(), *good_rows(1)).status_code == 401
    assert api(people.nobody).get("/api/dashboard/stats").json()["summary"]["total"] == 0
    assert send(api(people.nobody), *good_rows(1)).status_code == 404


def test_the_guide_names_every_old_address():
    guide = (Path(__file__).parent.parent.parent / "docs" / "api-migration.md").read_text()
    for pattern in old_api.addresses():
        assert (
            re.sub(r"<str:(batch_id|job_id)>", "<id>", str(pattern.pattern)).replace("<str:stage>", "<stage>") in guide
        )


def test_a_repeated_request_gets_its_first_answer(api, people, batch):
    make_job(batch)
    client = api(people.olga)
    key = {"HTTP_IDEMPOTENCY_KEY": "once"}
    first, second = (client.post(f"/api/batch/{batch.pk}/start-processing", **key) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["success"] is True
