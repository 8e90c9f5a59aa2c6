"""The pages of linked sheets"""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from batches.links import linking
from batches.models import LinkedSheet
from jobs import errands
from tests.batches.google.fake import EMAIL, ID, NO_PERMISSION
from tests.batches.links.conftest import cells, read_again, work

pytestmark = pytest.mark.django_db


def at(name, *args):
    return reverse(f"admin:{name}", args=args)


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


@pytest.fixture
def as_olga(client, people):
    client.force_login(people.olga)
    return client


def test_the_way_from_a_sheet_to_its_batch(as_olga, sheet):
    assert at("link_sheet") in as_olga.get(at("batch_upload")).content.decode()
    assert EMAIL in text_of(as_olga.get(at("link_sheet")))
    answer = as_olga.post(at("link_sheet"), {"url": ID, "range": "A1:H"}, follow=True)
    assert "Waiting for a worker" in text_of(answer)
    linked = LinkedSheet.objects.get()
    assert "Waiting for a worker" in text_of(as_olga.get(at("linked_sheet_now", linked.pk)))
    assert "Linked before, no batch yet" in text_of(as_olga.get(at("link_sheet")))
    work()
    assert as_olga.get(at("linked_sheet_now", linked.pk))["HX-Refresh"] == "true"
    page = as_olga.get(at("linked_sheet", linked.pk))
    upload = linking.newest(linked)
    assert "3 of 3 rows can become jobs" in text_of(page)
    assert at("upload_preview", upload.pk) in page.content.decode()
    answer = as_olga.post(at("upload_commit", upload.pk), {"rows": "all"}, follow=True)
    assert "Linked sheet" in text_of(answer)
    assert at("linked_sheet_sync", linked.pk) in answer.content.decode()


def test_sync_now_leads_to_what_differs(as_olga, sheet, linked):
    sheet.tabs[0].rows[1:] = [cells(1, "blue"), cells(2), cells(4), ["J-5", "", "", "", "", "", "", ""]]
    answer = as_olga.post(at("linked_sheet_sync", linked.pk))
    assert answer["Location"] == at("linked_sheet", linked.pk)
    work()
    text = text_of(as_olga.get(at("linked_sheet", linked.pk)))
    assert "1 new, 1 changed, 1 gone, 1 with errors." in text
    assert "1 new, 1 changed" in text_of(as_olga.get(at("batch", linked.batch.pk)))
    as_olga.post(at("upload_apply", linking.newest(linked).pk), {"new": "1", "changed": "1"})
    assert "What it said then was applied." in text_of(as_olga.get(at("linked_sheet", linked.pk)))


def test_a_batch_that_is_there_can_be_linked(as_olga, people, sheet, linked):
    batch = linked.batch
    linking.remove(people.olga, linked)
    page = as_olga.get(at("batch_update", batch.pk)).content.decode()
    assert f"{at('link_sheet')}?batch={batch.pk}" in page
    assert str(batch) in text_of(as_olga.get(at("link_sheet"), {"batch": batch.pk}))
    as_olga.post(at("link_sheet"), {"url": ID, "batch": batch.pk})
    work()
    assert "Nothing differs" in text_of(as_olga.get(at("linked_sheet", LinkedSheet.objects.get().pk)))
    assert as_olga.post(at("link_sheet"), {"url": ID, "batch": batch.pk}).status_code == 409


def test_causes_and_cures_are_on_the_page(as_olga, people, sheet, linked):
    sheet.faults_at[""] = [NO_PERMISSION]
    read_again(people.olga, linked)
    assert EMAIL in text_of(as_olga.get(at("linked_sheet", linked.pk)))


def test_an_address_that_is_none_is_said_beside_it(as_olga, sheet):
    answer = as_olga.post(at("link_sheet"), {"url": "https://example.com/<b>"})
    assert answer.status_code == 422
    assert "https://example.com/&lt;b&gt;" in answer.content.decode()


def test_settings_are_kept_and_told(as_olga, linked):
    sent = {"is_polling": "1", "poll_minutes": "30", "state_column": "State"}
    text = text_of(as_olga.post(at("linked_sheet_settings", linked.pk), sent, follow=True))
    assert "looked at every 30 minutes · states are written back" in text
    assert "changed the sheet link of" in text_of(as_olga.get(at("history")))


@pytest.mark.parametrize("sent", [{"poll_minutes": "4"}, {"poll_minutes": "x"}, {"state_column": "job_id"}])
def test_settings_that_make_no_sense_are_refused(as_olga, linked, sent):
    assert as_olga.post(at("linked_sheet_settings", linked.pk), sent).status_code == 422


def test_unlinking_asks_first(as_olga, linked):
    assert "stay as they are" in text_of(as_olga.get(at("linked_sheet_unlink", linked.pk)))
    assert LinkedSheet.objects.exists()
    answer = as_olga.post(at("linked_sheet_unlink", linked.pk))
    assert answer["Location"] == at("batch", linked.batch.pk)
    assert not LinkedSheet.objects.exists()


@pytest.mark.parametrize(("who", "status"), [("vera", 403), ("adam", 403), ("oscar", 404), ("nobody", 302)])
def test_others_may_not(client, people, linked, who, status):
    client.force_login(getattr(people, who))
    before = list(LinkedSheet.objects.values())
    sent = {"url": ID, "batch": linked.batch.pk}
    for name in ("linked_sheet_sync", "linked_sheet_settings", "linked_sheet_unlink"):
        assert client.post(at(name, linked.pk), sent).status_code == status
    assert client.post(at("link_sheet"), sent).status_code == status
    seen = 200 if status == 403 else status
    for name in ("linked_sheet", "linked_sheet_now"):
        answer = client.get(at(name, linked.pk))
        assert answer.status_code == seen
        assert at("linked_sheet_sync", linked.pk) not in answer.content.decode()
    assert list(LinkedSheet.objects.values()) == before
    assert errands.latest(linking.READ_ERRAND, linked.pk).state == "done"


def test_strangers_are_sent_to_the_login(client, linked):
    for name in ("linked_sheet", "linked_sheet_now", "linked_sheet_unlink"):
        assert client.get(at(name, linked.pk))["Location"].startswith("/admin/login/")
