"""The API of linked sheets"""

from __future__ import annotations

import pytest

from batches.models import Batch, LinkedSheet
from tests.batches.google.fake import ID
from tests.batches.links.conftest import cells, linked, sheet, work

pytestmark = pytest.mark.django_db
__all__ = ["linked", "sheet"]


def test_a_program_links_commits_syncs_and_applies(api, people, sheet):
    client = api(people.olga)
    answer = client.post("/api/linked-sheets/", {"team": "blue", "url": ID, "range": "A1:H"})
    assert (answer.status_code, answer.json()["is_reading"], answer.json()["upload"]) == (202, True, None)
    address = f"/api/linked-sheets/{answer.json()['id']}/"
    work()
    told = client.get(address).json()
    assert (told["is_reading"], told["title"], told["batch"], told["error"]) == (False, "Spring", None, "")
    assert client.post(f"/api/uploads/{told['upload']}/commit/", {"rows": "all"}).status_code == 201
    sheet.tabs[0].rows.append(cells(4))
    assert client.post(f"{address}sync/").status_code == 202
    work()
    told = client.get(address).json()
    assert told["batch"] == Batch.objects.get().pk
    changes = client.get(f"/api/uploads/{told['upload']}/changes/").json()["results"]
    assert [(change["kind"], change["job_id"]) for change in changes] == [("new", "J-4")]
    assert client.post(f"/api/uploads/{told['upload']}/apply/", {}).status_code == 200
    assert Batch.objects.get().jobs.count() == 4


def test_polling_and_columns_are_changed_one_by_one(api, people, linked):
    client, address = api(people.olga), f"/api/linked-sheets/{linked.pk}/"
    assert client.patch(address, {"is_polling": True, "poll_minutes": 5}).json()["poll_minutes"] == 5
    told = client.patch(address, {"state_column": "State"}).json()
    assert (told["is_polling"], told["state_column"]) == (True, "State")
    told = client.patch(address, {"error_column": "Trouble"}).json()
    assert (told["state_column"], told["error_column"]) == ("State", "Trouble")
    assert client.delete(address).status_code == 204
    assert not LinkedSheet.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"team": "blue"}, "url"),
        ({"team": "blue", "url": "https://example.com/"}, "url"),
        ({"team": "blue", "url": ID, "range": "A1"}, "range"),
        ({"team": "blue", "url": ID, "mapping": {"colour": "x"}}, "mapping"),
        ({"team": "blue", "url": ID, "mapping": ["x"]}, "mapping"),
        ({"team": "blue", "url": ID, "batch": 99_999}, "batch"),
    ],
)
def test_what_cannot_be_linked_names_the_field(api, people, sheet, body, field):
    answer = api(people.olga).post("/api/linked-sheets/", body)
    assert (answer.status_code, list(answer.json())) == (400, [field])


@pytest.mark.parametrize("body", [{"poll_minutes": 4}, {"poll_minutes": 10**9}, {"state_column": "job_id"}])
def test_settings_that_make_no_sense_are_refused(api, people, linked, body):
    assert api(people.olga).patch(f"/api/linked-sheets/{linked.pk}/", body).status_code == 400


def test_a_second_sheet_for_a_batch_is_a_conflict(api, people, linked):
    answer = api(people.olga).post("/api/linked-sheets/", {"team": "blue", "url": ID, "batch": linked.batch.pk})
    assert answer.status_code == 409
