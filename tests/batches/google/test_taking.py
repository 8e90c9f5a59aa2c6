"""From a Google Sheet to a batch: by the page and by the API, with everything that Google may answer."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from batches.google.addresses import SheetAddress
from batches.google.snapshot import Snapshot
from batches.google.taking import file_name
from batches.models import Batch, Upload
from jobs import tasks
from tests.batches.google.fake import EMAIL, ID, Tab, google, refusal, status
from tests.batches.sheets import HEADER, both, good_rows

NEW = "/admin/batches/new/"
UPLOADS = "/api/uploads/"
URL = f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=0"


@pytest.fixture
def sheet(settings):
    with google(settings, key=True) as fake:
        fake.tabs = [Tab("Jobs", 0, [line.split(",") for line in ("Spring", HEADER, *good_rows(3))])]
        yield fake


@pytest.fixture
def as_olga(client, people):
    client.force_login(people.olga)
    return client


def files():
    return [SimpleUploadedFile(name, data.read()) for name, data in both()]


def speaker(person=None):
    client = APIClient()
    if person is not None:
        client.force_login(person)
    return client


def test_the_page_takes_an_address_and_the_files_along(as_olga, sheet):
    answer = as_olga.post(NEW, {"url": f" {URL} ", "range": "", "files": files()})
    upload = Upload.objects.get()
    assert answer["Location"].endswith(f"/{upload.pk}/")
    assert (upload.good, upload.bad, upload.sheet.name) == (3, 0, "Spring.gsheet")
    shown = as_olga.get(answer["Location"]).content.decode()
    assert "Google Sheet" in shown
    as_olga.post(f"{answer['Location']}commit/", {"rows": "all"})
    assert Batch.objects.get().jobs.count() == 3


def test_a_newer_sheet_for_a_batch_may_be_a_google_sheet(as_olga, people, sheet):
    as_olga.post(NEW, {"url": URL, "files": files()})
    as_olga.post(f"/admin/batches/preview/{Upload.objects.get().pk}/commit/", {"rows": "all"})
    batch = Batch.objects.get()
    del sheet.tabs[0].rows[2]
    sheet.tabs[0].rows[2][3] = "another.aep"
    sheet.tabs[0].rows.append(good_rows(4)[3].split(","))
    answer = as_olga.post(f"/admin/batches/{batch.pk}/update/", {"url": URL})
    shown = as_olga.get(answer["Location"]).content.decode()
    assert "another.aep" in shown
    changes = Upload.objects.get(updates=batch).changes
    assert {change.kind: change.name for change in changes.all()} == {"new": "J-4", "changed": "J-2", "removed": "J-1"}
    body = {"team": "blue", "url": URL, "updates": batch.pk}
    assert speaker(people.olga).post(UPLOADS, body).json()["changes"]["new"] == 1
    sheet.faults_at["/v4/"] = [status(500)]
    assert as_olga.post(f"/admin/batches/{batch.pk}/update/", {"url": URL}).status_code == 503


def test_errors_of_rows_name_the_cells_of_the_sheet(as_olga, sheet):
    sheet.tabs[0].rows[3][0] = "bad id"
    sheet.tabs[0].rows[4][1] = "#REF!"
    as_olga.post(NEW, {"url": URL, "files": files()})
    told = [error for row in Upload.objects.get().rows.filter(good=False) for error in row.errors]
    assert [where for _, _, where in told] == ["Jobs!A4", "Jobs!B5"]
    assert "is a formula that shows #REF!" in told[1][1]


def test_a_large_sheet_is_judged_by_a_worker(as_olga, sheet, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    as_olga.post(NEW, {"url": URL, "files": files()})
    assert Upload.objects.get().state == Upload.JUDGING
    asked = len(sheet.requests)
    tasks.work()
    upload = Upload.objects.get()
    assert (upload.state, upload.good) == (Upload.PREVIEW, 3)
    assert len(sheet.requests) == asked


@pytest.mark.parametrize(
    ("fields", "words", "code"),
    [
        ({"url": "https://example.com/"}, "is no address below https://docs.google.com/", 422),
        ({"url": URL, "range": "A1"}, "is a single cell", 422),
        ({"url": URL, "range": "Other!A:B"}, "has no tab “Other”", 422),
        ({"url": URL, "range": "A9:D"}, "The sheet is empty", 422),
    ],
)
def test_the_page_says_what_to_change_and_keeps_what_was_typed(as_olga, sheet, fields, words, code):
    answer = as_olga.post(NEW, fields)
    shown = answer.content.decode()
    assert answer.status_code == code
    assert words in shown
    assert f'value="{fields["url"]}"' in shown
    assert not Upload.objects.exists()


@pytest.mark.parametrize("fault", [status(503), refusal(429, "RESOURCE_EXHAUSTED", Retry_After="20")])
def test_google_away_is_no_fault_of_the_person(as_olga, people, sheet, fault):
    sheet.faults_at["/v4/"] = [fault, fault]
    assert as_olga.post(NEW, {"url": URL}).status_code == 503
    answer = speaker(people.olga).post(UPLOADS, {"team": "blue", "url": URL})
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert answer.get("Retry-After") in (None, "20")
    assert not Upload.objects.exists()


def test_the_page_says_with_whom_to_share_and_never_the_key(as_olga, sheet, settings):
    shown = as_olga.get(NEW).content.decode()
    assert EMAIL in shown
    assert "PRIVATE KEY" not in shown
    settings.GOOGLE_SERVICE_ACCOUNT_KEY = {}
    assert "open to anyone with the link" in as_olga.get(NEW).content.decode()


def test_the_api_takes_an_address_in_json_and_multipart(people, sheet):
    client = speaker(people.olga)
    body = {"team": "blue", "url": URL, "range": "Jobs!A2:D"}
    answer = client.post(UPLOADS, body)
    assert (answer.status_code, answer.json()["bad"]) == (201, 3)
    answer = client.post(UPLOADS, {**body, "files": files()}, format="multipart")
    assert (answer.status_code, answer.json()["good"]) == (201, 3)
    assert EMAIL not in json.dumps(answer.json())


def test_the_api_names_the_field(people, sheet):
    client = speaker(people.olga)
    for fields, field in (
        ({"url": "x"}, "url"),
        ({"url": URL, "range": "A1"}, "range"),
        ({"url": URL, "sheet": SimpleUploadedFile("s.csv", b"x")}, "url"),
        ({"url": "x" * 1001}, "url"),
    ):
        answer = client.post(UPLOADS, {"team": "blue", **fields}, format="multipart")
        assert (answer.status_code, list(answer.json())) == (400, [field])
    assert not Upload.objects.exists()


@pytest.mark.parametrize(("name", "code"), [("", 401), ("oscar", 404), ("rita", 403), ("vera", 403)])
def test_google_is_asked_for_nobody_who_may_not_upload(people, sheet, client, name, code):
    person = getattr(people, name) if name else None
    assert speaker(person).post(UPLOADS, {"team": "blue", "url": URL}).status_code == code
    if person is not None:
        client.force_login(person)
    assert client.post(NEW, {"team": "blue", "url": URL}).status_code in (302, 403, 404)
    assert sheet.requests == []


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Spring", "Spring.gsheet"),
        ("", "Google Sheet.gsheet"),
        ("../..", "Google Sheet.gsheet"),
        ("a/b\\c:d", "a b c d.gsheet"),
        (" .hidden\n\0 ", "hidden.gsheet"),
        ("Größe 🎬", "Größe 🎬.gsheet"),
        ("half \ud83d", "half.gsheet"),
        ("ü" * 200, f"{'ü' * 96}.gsheet"),
        ("spring.zip", "spring.zip.gsheet"),
    ],
)
def test_the_title_becomes_a_plain_name(title, name):
    snapshot = Snapshot(address=SheetAddress(spreadsheet_id=ID), title=title, tab="", rows=())
    assert file_name(snapshot) == name
    assert len(name.encode()) <= 200
