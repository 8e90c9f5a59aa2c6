"""The pages from a newer sheet to the changed batch"""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from batches.models import Upload
from jobs import tasks
from jobs.models import Event
from tests.batches.sheets import sheet_of
from tests.batches.updates.conftest import ROW, WIDE, newer, wide

pytestmark = pytest.mark.django_db


def at(name, *args):
    return reverse(f"admin:{name}", args=args)


@pytest.fixture
def as_olga(client, people):
    client.force_login(people.olga)
    return client


def sheet(*rows):
    return SimpleUploadedFile("newer.csv", sheet_of(*rows, header=WIDE))


@pytest.fixture
def upload(people, opened):
    """J-1 changed, J-3 gone, J-4 new, and a row with an error."""
    changed = ROW.format(1).replace("red", "<b>blue</b>")
    return newer(people.olga, opened, changed, wide()[1], ROW.format(4), "J-5,nowhere.psd,a.aepx,five.aep,,,,,")


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_way_from_the_batch_to_the_changed_batch(as_olga, opened):
    page = as_olga.get(at("batch", opened.pk)).content.decode()
    assert at("batch_update", opened.pk) in page
    assert at("batch_update", opened.pk) in as_olga.get(at("batch_update", opened.pk)).content.decode()
    answer = as_olga.post(at("batch_update", opened.pk), {"files": [sheet(*wide(4))]})
    upload = Upload.objects.get(updates=opened)
    assert (answer.status_code, answer["Location"]) == (302, at("upload_preview", upload.pk))
    assert "Open 1 new job" in text_of(as_olga.get(answer["Location"]))
    answer = as_olga.post(at("upload_apply", upload.pk), {"new": "1", "changed": "1"}, follow=True)
    assert "This sheet was applied by olga" in text_of(answer)
    assert opened.jobs.count() == 4


def test_the_page_shows_every_difference_and_what_follows(as_olga, upload):
    answer = as_olga.get(at("upload_preview", upload.pk))
    text = text_of(answer)
    for words in (
        "Colour red → &lt;b&gt;blue&lt;/b&gt;",
        "Nothing is redone.",
        "Becomes a job",
        "type 1",
        "1 row unchanged",
    ):
        assert words in text
    assert "nowhere.psd" in text_of(as_olga.get(at("upload_preview", upload.pk), {"only": "bad"}))
    only_new = text_of(as_olga.get(at("upload_preview", upload.pk), {"only": "new"}))
    assert "Becomes a job" in only_new
    assert "Nothing is redone." not in only_new


def test_nothing_that_differs_is_said_and_cannot_be_applied(as_olga, people, opened):
    upload = newer(people.olga, opened, *wide())
    page = as_olga.get(at("upload_preview", upload.pk))
    assert "Nothing differs: 3 rows say what the batch says already." in text_of(page)
    assert at("upload_apply", upload.pk) not in page.content.decode()
    assert as_olga.post(at("upload_apply", upload.pk), {"new": "1"}).status_code == 422


def test_only_what_is_ticked_is_done_and_a_number_cancels(as_olga, opened, upload):
    answer = as_olga.post(at("upload_apply", upload.pk), {"cancel": "1"}, follow=True)
    assert dict(opened.jobs.values_list("job_id", "state")) == {"J-1": "pending", "J-2": "pending", "J-3": "cancelled"}
    assert "It was not chosen." in text_of(answer)


@pytest.mark.parametrize("number", ["2", "-1", "one", "９", "99999999999999999999"])
def test_a_wrong_number_cancels_nothing(as_olga, opened, upload, number):
    answer = as_olga.post(at("upload_apply", upload.pk), {"new": "1", "cancel": number})
    assert answer.status_code == 422
    assert not Event.objects.filter(verb__in=["cancel", "update_batch"]).exists()


def test_a_second_click_is_a_conflict(as_olga, upload):
    as_olga.post(at("upload_apply", upload.pk), {"new": "1"})
    assert as_olga.post(at("upload_apply", upload.pk), {"new": "1"}).status_code == 409


@pytest.mark.parametrize(("who", "status"), [("rita", 403), ("vera", 403), ("oscar", 404), ("nobody", 302)])
def test_others_may_not(client, people, opened, upload, who, status):
    client.force_login(getattr(people, who))
    for method, name, key in (
        ("get", "batch_update", opened.pk), ("post", "batch_update", opened.pk), ("post", "upload_apply", upload.pk),
    ):  # fmt: skip
        assert getattr(client, method)(at(name, key)).status_code == status
    assert opened.jobs.count() == 3
    if status == 403:
        assert at("batch_update", opened.pk) not in client.get(at("batch", opened.pk)).content.decode()
        assert "What differs" in text_of(client.get(at("upload_preview", upload.pk)))


def test_a_sheet_that_cannot_be_read_is_said_on_the_same_page(as_olga, opened):
    answer = as_olga.post(at("batch_update", opened.pk), {"files": [sheet()]})
    assert (answer.status_code, "no rows" in text_of(answer)) == (422, True)
    type(opened).objects.update(archived_at=opened.created_at)
    answer = as_olga.post(at("batch_update", opened.pk), {"files": [sheet(*wide())]})
    assert (answer.status_code, "archived" in text_of(answer)) == (409, True)


def test_large_sheets_show_what_the_worker_does(as_olga, people, opened, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    upload = newer(people.olga, opened, *wide(4))
    assert "Judging the rows" in text_of(as_olga.get(at("upload_preview", upload.pk)))
    tasks.work()
    answer = as_olga.post(at("upload_apply", upload.pk), {"new": "1"}, follow=True)
    assert "Applying the sheet" in text_of(answer)
    tasks.work()
    assert as_olga.get(at("upload_progress", upload.pk))["HX-Refresh"] == "true"
    assert "Done" in text_of(as_olga.get(at("upload_preview", upload.pk)))


def test_the_history_tells_it(as_olga, people, upload):
    as_olga.post(at("upload_apply", upload.pk), {"new": "1", "changed": "1"})
    text = text_of(as_olga.get(at("history")))
    assert "applied a newer sheet to" in text
    assert "newer.csv: 1 new, 1 changed" in text
    assert "Colour: red →" in text
