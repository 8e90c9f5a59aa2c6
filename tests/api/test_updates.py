"""The API of newer sheets for a batch"""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from tests.batches.sheets import sheet_of
from tests.batches.updates.conftest import ROW, WIDE, newer, opened_with, wide

pytestmark = pytest.mark.django_db


@pytest.fixture
def opened(people, blue):
    return opened_with(people, blue, *wide())


def send(client, batch, *rows, team="blue"):
    sheet = SimpleUploadedFile("newer.csv", sheet_of(*rows, header=WIDE))
    return client.post("/api/uploads/", {"team": team, "sheet": sheet, "updates": batch}, format="multipart")


def test_a_newer_sheet_is_sent_looked_at_and_applied(api, people, opened):
    client = api(people.olga)
    sent = send(client, opened.pk, ROW.format(1).replace("red", "blue"), wide()[1], ROW.format(4)).json()
    assert (sent["state"], sent["updates"], sent["batch"]) == ("preview", opened.pk, None)
    assert sent["changes"] == {"new": 1, "changed": 1, "removed": 1, "unchanged": 1, "errors": 0, "hindered": 0}
    changes = client.get(f"/api/uploads/{sent['id']}/changes/").json()["results"]
    assert [(change["kind"], change["job_id"]) for change in changes] == [
        ("changed", "J-1"), ("new", "J-4"), ("removed", "J-3"),
    ]  # fmt: skip
    assert changes[0]["differences"] == [{"column": "Colour", "before": "red", "after": "blue"}]
    assert changes[0]["job"] == opened.jobs.get(job_id="J-1").pk
    gone = client.get(f"/api/uploads/{sent['id']}/changes/?kind=removed").json()["results"]
    assert [change["job_id"] for change in gone] == ["J-3"]
    answer = client.post(f"/api/uploads/{sent['id']}/apply/", {"cancel": 1})
    assert (answer.status_code, answer.json()["state"], answer.json()["batch"]) == (200, "committed", opened.pk)
    changes = client.get(f"/api/uploads/{sent['id']}/changes/").json()["results"]
    assert {change["outcome"] for change in changes} == {"done"}
    assert changes[1]["job"] == opened.jobs.get(job_id="J-4").pk
    again = client.post(f"/api/uploads/{sent['id']}/apply/", {})
    assert (again.status_code, again.json()["state"], again.json()["allowed"]) == (409, "committed", [])


def test_many_rows_are_accepted(api, people, opened, settings):
    upload = newer(people.olga, opened, *wide(4))
    settings.SHEET_ROWS_AT_ONCE = 2
    answer = api(people.olga).post(f"/api/uploads/{upload.pk}/apply/", {})
    assert (answer.status_code, answer.json()["state"]) == (202, "opening")


@pytest.mark.parametrize("body", [{"cancel": 5}, {"cancel": -1}, {"cancel": "x"}, {"new": "maybe"}, {"cancel": 2**40}])
def test_what_makes_no_sense_is_refused(api, people, opened, body):
    upload = newer(people.olga, opened, *wide(4))
    assert api(people.olga).post(f"/api/uploads/{upload.pk}/apply/", body).status_code == 400
    assert opened.jobs.count() == 3


def test_a_batch_of_another_team_or_of_nobody_is_refused(api, people, opened, red):
    assert send(api(people.oscar), opened.pk, *wide(), team="red").status_code == 400
    answer = send(api(people.olga), 99_999, *wide())
    assert (answer.status_code, answer.json()["updates"]) == (400, ["99999 is no batch of the team Blue."])


def test_a_reader_sees_and_a_stranger_does_not(api, people, opened):
    upload = newer(people.olga, opened, *wide(4))
    assert api(people.vera).get(f"/api/uploads/{upload.pk}/changes/").status_code == 200
    assert api(people.vera).post(f"/api/uploads/{upload.pk}/apply/", {}).status_code == 403
    assert api(people.oscar).get(f"/api/uploads/{upload.pk}/changes/").status_code == 404
    assert api(people.oscar).post(f"/api/uploads/{upload.pk}/apply/", {}).status_code == 404


def test_a_newer_sheet_for_an_archived_batch_is_a_conflict(api, people, opened):
    type(opened).objects.update(archived_at=timezone.now())
    answer = send(api(people.olga), opened.pk, *wide())
    assert (answer.status_code, answer.json()["state"], answer.json()["allowed"]) == (409, "archived", [])
