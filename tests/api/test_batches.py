"""batches.api: from a sheet to a started batch."""

from __future__ import annotations

import io
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aeproject import batch_detail
from batches.models import Batch, Upload
from batches.naming import open_batch
from jobs import tasks
from jobs.models import Job
from jobs.states import Stage, State
from tests.batches.sheets import aepx_bytes, good_rows, psd_bytes, sheet_of, zip_of
from tests.batches.workbooks import TITLES, rows_of, xlsx
from tests.people import make_job

pytestmark = pytest.mark.django_db
UPLOADS = "/api/uploads/"


def named(name, data):
    file = io.BytesIO(data)
    file.name = name
    return file


def files():
    return [named("a.psd", psd_bytes()), named("a.aepx", aepx_bytes())]


def send(client, *lines, **fields):
    body = {"team": "blue", "sheet": named("spring.csv", sheet_of(*lines)), "files": files(), **fields}
    return client.post(UPLOADS, {key: value for key, value in body.items() if value is not None}, format="multipart")


@pytest.fixture
def upload(api, people):
    """Two good rows and a bad one, as the answer showed them."""
    response = send(api(people.olga), *good_rows(2), "J 3,a.psd,a.aepx,out-3.aep")
    assert response.status_code == 201, response.content
    return response.json()


def test_the_preview_judges_every_row(upload):
    assert (upload["state"], upload["good"], upload["bad"], upload["batch"]) == ("preview", 2, 1, None)
    assert sorted(upload["files"]) == ["a.aepx", "a.psd"]
    assert [(row["line"], row["good"]) for row in upload["rows"]] == [(2, True), (3, True), (4, False)]
    assert upload["rows"][0]["values"]["output_name"] == "out-1.aep"
    assert [fault["column"] for fault in upload["rows"][2]["errors"]] == ["job_id"]


def test_an_upload_is_read_again_also_its_bad_rows_alone(api, people, upload):
    client = api(people.vera)
    assert client.get(upload["url"]).json()["rows"] == upload["rows"]
    assert [row["line"] for row in client.get(upload["url"] + "?only=bad").json()["rows"]] == [4]
    for slip in ("?only=worse", "?only=", "rows/?only=worse", "changes/?kind=odd"):
        answer = client.get(upload["url"] + slip)
        assert (answer.status_code, list(answer.json())) == (400, [slip.partition("?")[2].partition("=")[0]]), slip


def test_the_bad_rows_come_as_a_csv(api, people, upload):
    assert upload["bad_rows"].endswith("/bad-rows.csv")
    response = api(people.vera).get(upload["bad_rows"], headers={"Accept": "text/csv"})
    assert response["Content-Type"].startswith("text/csv")
    assert "attachment" in response["Content-Disposition"]
    text = b"".join(response).decode("utf-8-sig")
    assert text.splitlines()[0].endswith("error")
    assert "J 3" in text
    assert "J-1" not in text


def test_everything_in_one_zip_with_or_without_a_sheet_of_its_own(api, people):
    packed = {"s.csv": sheet_of(*good_rows(1)), "a.psd": psd_bytes(), "a.aepx": aepx_bytes()}
    for fields in (
        {"sheet": named("all.zip", zip_of(packed).getvalue()), "files": None},
        {"sheet": None, "files": [named("all.zip", zip_of(packed).getvalue())]},
    ):
        response = send(api(people.olga), **fields)
        assert (response.status_code, response.json()["good"]) == (201, 1), response.content


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"team": None}, "team"),
        ({"team": "no team!"}, "team"),
        ({"sheet": None, "files": None}, "sheet"),
        ({"sheet": "text"}, "sheet"),
        ({"sheet": named("s.csv", b"")}, "sheet"),
        ({"files": [named("z.zip", b"no zip")]}, "files"),
    ],
)
def test_an_upload_that_cannot_be_used_is_400_with_the_field(api, people, fields, field):
    if hasattr(fields.get("sheet"), "seek"):
        fields["sheet"].seek(0)
    response = send(api(people.olga), *good_rows(1), **fields)
    assert response.status_code == 400, response.content
    assert list(response.json()) == [field]
    assert not Upload.objects.exists()


def test_the_ladder_of_uploading(api, people):
    assert api(people.olga).get(UPLOADS).status_code == 405
    assert send(api(), *good_rows(1)).status_code == 401
    assert send(api(people.oscar), *good_rows(1)).status_code == 404
    assert send(api(people.olga), *good_rows(1), team="no-such-team").status_code == 404
    assert send(api(people.rita), *good_rows(1)).status_code == 403
    assert api(people.olga).post(UPLOADS, "team=blue", content_type="text/plain").status_code == 415
    assert api(people.olga).post(UPLOADS, {"team": "blue"}, format="json").status_code == 400
    assert not Upload.objects.exists()


def test_too_many_files_are_400_in_json(api, people, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 2
    response = send(api(people.olga), *good_rows(1))
    assert response.status_code == 400
    assert "detail" in response.json()


def test_good_rows_are_committed_without_the_bad_ones(api, people, upload):
    response = api(people.olga).post(f"{upload['url']}commit/", {"rows": "good", "name": "May"})
    assert response.status_code == 201, response.content
    batch = response.json()
    assert (batch["name"], batch["state"], batch["counts"]["total"], batch["team"]) == ("May", "queued", 2, "blue")
    assert Job.objects.filter(batch=batch["id"]).count() == 2
    shown = api(people.olga).get(upload["url"]).json()
    assert (shown["state"], shown["batch"]) == ("committed", batch["id"])


def test_all_rows_are_not_committed_while_one_is_bad(api, people, upload):
    response = api(people.olga).post(f"{upload['url']}commit/", {"rows": "all"})
    assert (response.status_code, list(response.json())) == (400, ["rows"])
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rows"),
        ({"rows": "some"}, "rows"),
        ({"rows": "good", "name": "x" * 201}, "name"),
        ({"rows": "good", "name": "a\0"}, "name"),
    ],
)
def test_a_commit_that_makes_no_sense_is_400(api, people, upload, body, field):
    response = api(people.olga).post(f"{upload['url']}commit/", body)
    assert (response.status_code, list(response.json())) == (400, [field])


@pytest.mark.parametrize(("verb", "body"), [("commit", {"rows": "good"}), ("check", {})])
def test_the_ladder_of_committing_and_checking(api, people, upload, verb, body):
    where = f"{upload['url']}{verb}/"
    assert api(people.olga).get(where).status_code == 405
    assert api().post(where, body).status_code == 401
    assert api(people.oscar).post(where, body).status_code == 404
    assert api(people.rita).post(where, body).status_code == 403
    assert api(people.olga).post(f"{upload['url']}commit/", {"rows": "good"}).status_code == 201
    again = api(people.olga).post(where, body)
    assert again.status_code == 409
    assert (again.json()["state"], again.json()["allowed"]) == ("committed", [])
    assert Batch.objects.count() == 1


def test_rows_are_judged_anew(api, people, upload):
    make_job(Batch.objects.create(team_id=Upload.objects.get().team_id, name="x", created_by=people.olga), job_id="J-1")
    checked = api(people.olga).post(f"{upload['url']}check/").json()
    assert (checked["good"], checked["bad"]) == (1, 2)


def test_a_job_opened_since_the_preview_is_a_conflict(api, people, upload, batch):
    make_job(batch, job_id="J-1")
    response = api(people.olga).post(f"{upload['url']}commit/", {"rows": "good"})
    assert response.status_code == 409
    assert response.json()["state"] == "preview"
    assert response.json()["allowed"] == ["check", "commit", "discard"]


def test_the_ladder_of_discarding(api, people, upload):
    assert api().delete(upload["url"]).status_code == 401
    assert api(people.oscar).delete(upload["url"]).status_code == 404
    assert api(people.vera).delete(upload["url"]).status_code == 403
    assert api(people.olga).put(upload["url"]).status_code == 405
    assert api(people.olga).delete(upload["url"]).status_code == 204
    assert api(people.olga).delete(upload["url"]).status_code == 404


def test_a_committed_upload_cannot_be_discarded(api, people, upload):
    api(people.olga).post(f"{upload['url']}commit/", {"rows": "good"})
    assert api(people.olga).delete(upload["url"]).status_code == 409
    assert Upload.objects.count() == 1


# Batches --------------------------------------------------------------------------------------------------------------
def test_a_batch_has_its_state_and_counts_and_leads_to_its_jobs(api, people, batch, red):
    make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    make_job(batch, Stage.DELIVERY, State.DONE)
    make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    client = api(people.vera)
    shown = client.get(f"/api/batches/{batch.pk}/").json()
    assert shown["state"] == "awaiting_review"
    assert (shown["counts"]["total"], shown["counts"]["in_review"], shown["counts"]["completed"]) == (2, 1, 1)
    assert shown.pop("first_jobs") == client.get(f"{shown['jobs']}&ordering=row_line").json()["results"]
    assert len(client.get(shown["jobs"]).json()["results"]) == 2
    assert client.get("/api/batches/").json()["results"] == [shown]


def test_a_batch_has_its_first_jobs_inside_in_the_order_of_the_sheet(api, people, batch, monkeypatch):
    monkeypatch.setattr(batch_detail, "FIRST_JOBS", 3)
    jobs = [make_job(batch, Stage.MATCHING, State.IN_REVIEW, row_line=line) for line in (5, 2, 4, 3)]
    client, where = api(people.rita), f"/api/batches/{batch.pk}/"
    shown = client.get(where).json()["first_jobs"]
    assert [job["id"] for job in shown] == [jobs[place].pk for place in (1, 3, 2)]
    assert "approve_matches" in shown[0]["allowed"]
    assert client.get(f"{where}?fields=first_jobs.job_id").json() == {
        "first_jobs": [{"job_id": jobs[place].job_id} for place in (1, 3, 2)]
    }
    with CaptureQueriesContext(connection) as with_jobs:
        client.get(where)
    with CaptureQueriesContext(connection) as without:
        assert list(client.get(f"{where}?fields=name,state").json()) == ["name", "state"]
    assert len(without) < len(with_jobs) < 20


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Autumn", "Spring"]),
        ("state=processing", ["Autumn"]),
        ("state=queued", ["Spring"]),
        ("client=Café", ["Autumn"]),
        ("search=spr", ["Spring"]),
        ("search=needle", ["Autumn"]),
        ("team=blue", ["Autumn", "Spring"]),
        ("team=red", []),
        ("created_after=2020-01-01T00:00:00Z", ["Autumn", "Spring"]),
        ("created_before=2020-01-01T00:00:00Z", []),
        ("ordering=-name", ["Spring", "Autumn"]),
        ("page_size=1", ["Autumn"]),
    ],
)
def test_filters_and_orders_of_batches(api, people, batch, query, found):
    autumn = Batch.objects.create(team=batch.team, name="Autumn", created_by=people.olga)
    make_job(autumn, state=State.QUEUED, client_name="Café", job_id="needle")
    make_job(autumn, state=State.QUEUED, client_name="Café")
    response = api(people.vera).get(f"/api/batches/?{query}")
    assert [row["name"] for row in response.json()["results"]] == found


@pytest.mark.parametrize("query", ["state=x", "created_after=x", "ordering=created_by__password", "search=%00"])
def test_a_filter_of_batches_that_makes_no_sense_is_400(api, people, query):
    assert api(people.vera).get(f"/api/batches/?{query}").status_code == 400


def test_the_first_jobs_are_started_then_the_others(api, people, batch):
    for _ in range(3):
        make_job(batch)
    client, where = api(people.olga), f"/api/batches/{batch.pk}/start/"
    first = client.post(where, {"first": 1}).json()
    assert (first["started"], first["batch"]["counts"]["pending"]) == (1, 2)
    assert client.post(where).json()["started"] == 2
    again = client.post(where)
    assert again.status_code == 409
    assert (again.json()["state"], again.json()["allowed"]) == ("processing", [])
    assert again.json()["batch"]["counts"]["processing"] == 3


@pytest.mark.parametrize("first", [0, -1, "x", 1.5, 10**30, [], True])
def test_a_number_of_jobs_that_is_none_is_400(api, people, batch, first):
    job = make_job(batch)
    response = api(people.olga).post(f"/api/batches/{batch.pk}/start/", {"first": first})
    assert (response.status_code, list(response.json())) == (400, ["first"])
    job.refresh_from_db()
    assert job.state == State.PENDING


def test_the_ladder_of_starting(api, people, batch):
    make_job(batch)
    where = f"/api/batches/{batch.pk}/start/"
    assert api(people.olga).get(where).status_code == 405
    assert api().post(where).status_code == 401
    assert api(people.oscar).post(where).status_code == 404
    assert api(people.rita).post(where).status_code == 403
    assert batch.jobs.get().state == State.PENDING


# Foreign headers, workbooks, large sheets -----------------------------------------------------------------------------
def test_a_mapping_comes_along_or_later(api, people):
    client = api(people.olga)
    sheet = named("s.csv", b"one,two,three,four\nJ-1,a.psd,a.aepx,o.aep\n")
    upload = send(client, sheet=sheet).json()
    assert (upload["state"], upload["rows"]) == ("mapping", [])
    assert upload["problem"].startswith("Say which column is job_id")
    assert client.post(f"{upload['url']}commit/", {"rows": "all"}).json() == {"mapping": [upload["problem"]]}
    given = {"job_id": "One", "psd_path": "two", "aepx_path": "three", "output_name": "four"}
    changed = client.patch(upload["url"], {"mapping": given})
    assert changed.status_code == 200, changed.content
    assert (changed.json()["good"], changed.json()["mapping"]["job_id"]) == (1, {"title": "one", "how": "chosen"})
    sheet.seek(0)
    again = send(client, sheet=sheet, mapping=json.dumps({**given, "output_name": "three", "aepx_path": "four"}))
    assert (again.json()["good"], again.json()["bad"]) == (0, 1)


def test_the_header_row_is_chosen_later(api, people):
    client = api(people.olga)
    sheet = named("s.csv", b"see,the,rows,below\none,two,three,four\nJ-1,a.psd,a.aepx,o.aep\n")
    upload = send(client, sheet=sheet).json()
    assert (upload["header_row"], upload["columns"]) == (1, ["see", "the", "rows", "below"])
    given = {"job_id": "one", "psd_path": "two", "aepx_path": "three", "output_name": "four"}
    changed = client.patch(upload["url"], {"header_row": 2, "mapping": given}).json()
    assert (changed["header_row"], changed["columns"], changed["good"]) == (2, ["one", "two", "three", "four"], 1)
    for row, words in ((4, "the sheet ends with row 3"), (0, "greater than or equal to 1"), ("x", "valid integer")):
        refused = client.patch(upload["url"], {"header_row": row})
        assert (refused.status_code, list(refused.json())) == (400, ["header_row"])
        assert words in refused.json()["header_row"][0]


@pytest.mark.parametrize("given", ["[]", "no json", '{"job_id": 1}', '{"colour": "a"}', '{"job_id": "nowhere"}'])
def test_a_mapping_that_makes_no_sense_is_400(api, people, given):
    response = send(api(people.olga), *good_rows(1), mapping=given)
    assert (response.status_code, list(response.json())) == (400, ["mapping"])
    assert not Upload.objects.exists()


def test_the_ladder_of_changing_an_upload(api, people, upload):
    body = {"mapping": {"job_id": "job_id"}}
    assert api().patch(upload["url"], body).status_code == 401
    assert api(people.oscar).patch(upload["url"], body).status_code == 404
    assert api(people.vera).patch(upload["url"], body).status_code == 403
    assert api(people.olga).patch(upload["url"], {"mapping": "no"}).status_code == 400
    assert api(people.olga).patch(upload["url"], {"sheet_name": "May"}).json() == {
        "sheet_name": ["“spring.csv” has no sheets to choose “May” from."]
    }
    api(people.olga).post(f"{upload['url']}commit/", {"rows": "good"})
    assert api(people.olga).patch(upload["url"], body).status_code == 409


def test_a_sheet_of_a_workbook_is_chosen(api, people):
    client = api(people.olga)
    data = xlsx({"May": [TITLES, *rows_of(1)], "June": [TITLES, *rows_of(3)]})
    upload = send(client, sheet=named("plan.xlsx", data), sheet_name="June").json()
    assert (upload["good"], upload["sheet_name"], upload["sheet_names"]) == (3, "June", ["May", "June"])
    assert client.patch(upload["url"], {"sheet_name": "May"}).json()["good"] == 1
    assert send(client, sheet=named("plan.xlsx", data), sheet_name="July").json().keys() == {"sheet_name"}


def test_all_rows_come_page_by_page(api, people, upload):
    client = api(people.vera)
    page = client.get(upload["all_rows"], {"page_size": 2}).json()
    assert page["results"] == upload["rows"][:2]
    assert client.get(page["next"]).json()["results"] == upload["rows"][2:]
    assert client.get(upload["all_rows"], {"only": "bad"}).json()["results"] == upload["rows"][2:]
    assert client.get(upload["all_rows"], {"only": "good"}).json()["results"] == upload["rows"][:2]


def test_a_large_sheet_is_polled(api, people, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    client = api(people.olga)
    upload = send(client, *good_rows(5)).json()
    assert (upload["state"], upload["rows"]) == ("judging", [])
    assert upload["progress"] == {"step": "", "done": 0, "total": 7}
    tasks.work()
    assert client.get(upload["url"]).json()["good"] == 5
    committed = client.post(f"{upload['url']}commit/", {"rows": "all"})
    assert (committed.status_code, committed.json()["state"], committed.json()["batch"]) == (202, "opening", None)
    assert client.delete(upload["url"]).status_code == 409
    assert client.get("/api/batches/").json()["results"] == []
    tasks.work()
    done = client.get(upload["url"]).json()
    assert (done["state"], client.get(f"/api/batches/{done['batch']}/").json()["counts"]["total"]) == ("committed", 5)


# Names, verbs and figures of batches ----------------------------------------------------------------------------------
def test_names_and_ids_elsewhere_are_patched(api, people, batch):
    make_job(batch, psd_path="in/PL-DXB1.psd")
    client, where = api(people.olga), f"/api/batches/{batch.pk}/"
    body = {"name": "", "prefix": "", "description": "3-view Render", "external_ids": {"monday": "4711"}}
    shown = client.patch(where, body).json()
    directory = f"PL_DXB_{batch.day}_batch-1"
    assert (shown["name"], shown["directory_name"], shown["prefix"]) == (directory, directory, "PL_DXB")
    assert (shown["description"], shown["external_ids"]) == ("3-view Render", {"monday": "4711"})
    assert client.patch(where, {"name": "Launch"}).json()["external_ids"] == {"monday": "4711"}
    assert [row["name"] for row in client.get("/api/batches/?external_id=monday:4711").json()["results"]] == ["Launch"]
    assert client.get("/api/batches/?external_id=monday:4712").json()["results"] == []


SENSELESS = [
    *[{"name": "x" * 201}, {"name": None}, {"prefix": "a/b"}, {"description": "a\0"}],
    *[{"external_ids": ids} for ids in ({"A b": "x"}, {"a": ""}, "x", {"a": {"b": "c"}})],
]


@pytest.mark.parametrize("body", SENSELESS)
def test_names_that_make_no_sense_are_400_by_field(api, people, batch, body):
    response = api(people.olga).patch(f"/api/batches/{batch.pk}/", body)
    assert (response.status_code, list(response.json())) == (400, list(body))
    batch.refresh_from_db()
    assert batch.name == "Spring"


@pytest.mark.parametrize("verb", ["cancel", "retry", "archive", "unarchive", "delete", "patch"])
def test_the_ladder_of_the_verbs_of_a_batch(api, people, batch, verb):
    make_job(batch, state=State.FAILED)
    if verb == "unarchive":
        api(people.olga).post(f"/api/batches/{batch.pk}/archive/")

    def call(person=None):
        client, where = api(person) if person else api(), f"/api/batches/{batch.pk}/"
        if verb in {"delete", "patch"}:
            return getattr(client, verb)(where, {"name": "x"} if verb == "patch" else None)
        return client.post(f"{where}{verb}/")

    before = list(Batch.objects.values()), list(batch.jobs.values("state"))
    assert call().status_code == 401
    assert call(people.oscar).status_code == call(people.nobody).status_code == 404
    assert call(people.vera).status_code == call(people.adam).status_code == 403
    if verb == "delete":
        assert call(people.olga).status_code == 403
    assert (list(Batch.objects.values()), list(batch.jobs.values("state"))) == before
    done = call(people.root if verb == "delete" else people.olga)
    assert done.status_code == (204 if verb == "delete" else 200)
    again = call(people.root if verb == "delete" else people.olga)
    assert again.status_code == {"delete": 404, "patch": 200}.get(verb, 409)


def test_what_is_at_work_is_not_deleted(api, people, batch):
    make_job(batch, state=State.RUNNING)
    response = api(people.root).delete(f"/api/batches/{batch.pk}/")
    assert (response.status_code, response.json()["allowed"]) == (409, ["cancel"])
    assert "Cancel the batch first" in response.json()["detail"]


def test_the_stats_of_a_batch(api, people, batch):
    make_job(batch, Stage.DELIVERY, State.DONE, bytes_out=5)
    make_job(batch, state=State.QUEUED, project_path="b.aepx")
    stats = api(people.vera).get(f"/api/batches/{batch.pk}/stats/").json()
    assert stats["figures"] == {"files": 2, "bytes_in": 0, "bytes_out": 5, "percent": 50.0}
    assert stats["states"] == {"processing": 1, "completed": 1}
    assert stats["templates"] == [{"name": "a.aepx", "jobs": 1}, {"name": "b.aepx", "jobs": 1}]
    assert stats["description"] == "2 designs into 2 templates"
    assert stats["forecast"] == {"text": "Waits for a worker", "low_seconds": None, "high_seconds": None}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("archived=true", ["Old"]),
        ("archived=false", ["Spring"]),
        ("prefix=OLD", ["Old"]),
        ("priority=urgent", ["Spring"]),
        ("created_by=olga&ordering=files", ["Old", "Spring"]),
        ("ordering=-files", ["Spring", "Old"]),
        ("ordering=-size", ["Spring", "Old"]),
        ("ordering=state", ["Spring", "Old"]),
        ("since=2020-01-01&until=2020-01-02", []),
    ],
)
def test_more_filters_and_orders_of_batches(api, people, batch, query, found):
    make_job(batch, priority=0, bytes_out=1)
    old = Batch.objects.create(team=batch.team, name="Old", prefix="OLD", created_by=people.olga)
    api(people.olga).post(f"/api/batches/{old.pk}/archive/")
    response = api(people.vera).get(f"/api/batches/?{query}")
    assert [row["name"] for row in response.json()["results"]] == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("since=2025-11-05", ["5", "6"]),
        ("until=2025-11-05", ["4", "5"]),
        ("since=2025-11-05&until=2025-11-05", ["5"]),
        ("external_id=monday", ["4", "6"]),
        ("external_id=monday:6", ["6"]),
        ("external_id=dropbox", []),
    ],
)
def test_days_and_ids_elsewhere_of_batches(api, people, blue, query, found):
    for day in (4, 5, 6):
        ids = {"monday": str(day)} if day != 5 else {}
        made = open_batch(people.olga, blue, name=str(day), prefix=f"P{day}", external_ids=ids)
        Batch.objects.filter(pk=made.pk).update(day=f"2025-11-0{day}")
    response = api(people.vera).get(f"/api/batches/?ordering=id&{query}")
    assert [row["name"] for row in response.json()["results"]] == found


@pytest.mark.parametrize("query", ["priority=x", "archived=x", "since=x", "ordering=bytes", "until=2025-13-01"])
def test_more_filters_that_make_no_sense_are_400(api, people, batch, query):
    assert api(people.vera).get(f"/api/batches/?{query}").status_code == 400
