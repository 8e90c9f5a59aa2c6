"""batches.intake.sample and its page"""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from batches.intake import sample
from jobs.errors import Invalid
from jobs.models import Asset, StageRun
from rendering.samples import tiny_project
from tests.batches.test_opening import preview
from tests.people import make_job

pytestmark = pytest.mark.django_db
SLOTS = (
    {"name": "Headline", "kind": "text", "text": "Big\nnews"},
    {"name": "Client", "kind": "text", "text": "=1+1"},
    {"name": "headline ", "kind": "text", "text": ""},
    {"name": "Photo", "kind": "image", "text": None},
)


def table(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.fixture
def page():
    return reverse("admin:template_sample")


@pytest.fixture
def used(batch, blue):
    """A template that a job was ingested with."""
    project = Asset.objects.create(
        team=blue, kind="project", name="card.aepx", storage_name="x", size_bytes=1, sha256="a"
    )
    job = make_job(batch, project=project)
    return StageRun.objects.create(job=job, stage=1, input_hash="x", state="done", result={"slots": list(SLOTS)})


def test_slots_are_columns_that_are_taken_for_none_of_ours(people, blue):
    data = sample.sample(sample.Template(name="card.aepx", slots=SLOTS))
    header, first, second = table(data)
    assert header[-4:] == ["slot: Headline", "slot: Client", "slot: headline 2", "slot: Photo (image)"]
    assert first[-4:] == ["Big\nnews", "'=1+1", "", ""]
    assert (first[2], second[2]) == ("card.aepx", "card.aepx")
    lines = data.decode("utf-8-sig").split("\r\n", 1)
    upload = preview(people.olga, blue, lines[1].rstrip(), header=lines[0])
    assert {choice["how"] for choice in upload.mapping.values()} == {"same"}
    assert {column for row in upload.rows.all() for column, _, _ in row.errors} == {"psd_path", "aepx_path"}


def test_a_template_that_was_used_is_known_to_its_team_once(blue, red, used, batch):
    again = make_job(batch, project=used.job.project)
    newest = StageRun.objects.create(job=again, stage=1, input_hash="x", state="done", result=used.result)
    (found,) = sample.known_templates(blue)
    assert (found.key, found.name, len(found.slots)) == (newest.pk, "card.aepx", 4)
    assert sample.known_templates(red) == []


def test_the_sheet_of_a_known_template_is_downloaded(client, people, used, page):
    client.force_login(people.olga)
    assert "card.aepx (4 slots)" in client.get(page).content.decode()
    answer = client.post(page, {"known": f"blue:{used.pk}"})
    assert answer["Content-Disposition"] == 'attachment; filename="card - sample.csv"'
    assert "slot: Headline" in table(b"".join(answer))[0]


def test_the_templates_of_another_team_are_not_there(client, people, used, page):
    client.force_login(people.oscar)
    assert "card.aepx" not in client.get(page).content.decode()
    assert client.post(page, {"known": f"blue:{used.pk}"}).status_code == 404
    assert client.post(page, {"known": f"red:{used.pk}"}).status_code == 422


def test_a_template_that_is_sent_is_read_in_a_process_of_its_own(client, people, page, tmp_path):
    client.force_login(people.olga)
    path = tiny_project(tmp_path / "tiny.aepx")
    answer = client.post(page, {"template": SimpleUploadedFile("Größe 1.aepx", path.read_bytes())})
    assert answer.status_code == 200
    assert any(title.startswith("slot: ") for title in table(b"".join(answer))[0])
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("card.psd", b"8BPS", "must end in .aepx or .aep"),
        ("card.aep", b"RIFX and no more", "cannot be read"),
        ("card.aepx", b"8BPS", "cannot be read"),
        ("../../x.aepx", b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'aaaa'>]><l>&a;</l>", "cannot be read"),
    ],
)
def test_what_is_no_template_is_refused_in_words(client, people, page, name, data, words):
    client.force_login(people.olga)
    answer = client.post(page, {"template": SimpleUploadedFile(name, data)})
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_a_template_over_the_limit_is_refused(settings):
    settings.MAX_PROJECT_BYTES = 3
    with pytest.raises(Invalid, match="more than"):
        sample.read_template("a.aepx", io.BytesIO(b"1234"))


def test_nothing_chosen_says_so(client, people, page):
    client.force_login(people.vera)
    assert client.post(page, {}).status_code == 422
    client.logout()
    assert client.get(page).status_code == 302
