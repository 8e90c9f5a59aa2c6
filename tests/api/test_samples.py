"""GET /api/uploads/sample.csv and sample.xlsx"""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest
from rest_framework.test import APIClient

from jobs.models import Asset, StageRun
from jobs.tokens import Scope, issue
from tests.people import make_job

pytestmark = pytest.mark.django_db
ADDRESS = "/api/uploads/sample.csv"
WORKBOOK = "/api/uploads/sample.xlsx"


@pytest.fixture
def used(batch, blue):
    """A template that a job was ingested with."""
    project = Asset.objects.create(
        team=blue, kind="project", name="card.aepx", storage_name="x", size_bytes=1, sha256="a"
    )
    job = make_job(batch, project=project)
    slots = [{"name": "Headline", "kind": "text"}, {"name": "Photo", "kind": "image"}]
    return StageRun.objects.create(job=job, stage=1, input_hash="x", state="done", result={"slots": slots})


def header(answer):
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return next(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def test_without_a_template_it_has_our_columns(api, people):
    assert header(api(people.vera).get(ADDRESS))[:2] == ["job_id", "psd_path"]


def test_with_a_template_it_has_its_slots(api, people, used):
    answer = api(people.vera).get(ADDRESS, {"team": "blue", "template": "card.aepx"})
    assert header(answer)[-2:] == ["slot: Headline", "slot: Photo (image)"]
    assert answer["Content-Disposition"] == 'attachment; filename="card - sample.csv"'


def test_the_workbook_has_the_same_columns(api, people, used):
    answer = api(people.vera).get(WORKBOOK, {"team": "blue", "template": "card.aepx"})
    assert answer["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert answer["Content-Disposition"] == 'attachment; filename="card - sample.xlsx"'
    titles = [cell.value for cell in openpyxl.load_workbook(io.BytesIO(answer.getvalue())).active[1]]
    assert titles == header(api(people.vera).get(ADDRESS, {"team": "blue", "template": "card.aepx"}))
    assert api(people.vera).get(WORKBOOK)["Content-Disposition"] == 'attachment; filename="sample.xlsx"'


def test_an_unknown_template_is_told_with_those_that_are_there(api, people, used):
    answer = api(people.vera).get(ADDRESS, {"team": "blue", "template": "cart.aepx"})
    assert answer.status_code == 400
    assert "“card.aepx”" in answer.json()["template"][0]


@pytest.mark.parametrize("address", [ADDRESS, WORKBOOK])
def test_another_teams_template_is_not_found(api, people, used, address):
    stranger = api(people.oscar)
    assert stranger.get(address, {"team": "blue", "template": "card.aepx"}).status_code == 404
    assert stranger.get(address, {"template": "card.aepx"}).status_code == 404
    answer = stranger.get(address, {"team": "red", "template": "card.aepx"})
    assert answer.status_code == 400
    assert "card.aepx”. None was used yet" in answer.json()["template"][0]


@pytest.mark.parametrize("name", ["team", "template"])
def test_text_with_a_nul_is_400_by_name(api, people, name):
    answer = api(people.vera).get(ADDRESS, {"team": "blue", "template": "card.aepx"} | {name: "a\0"})
    assert answer.status_code == 400
    assert list(answer.json()) == [name]


@pytest.mark.parametrize("address", [ADDRESS, WORKBOOK])
@pytest.mark.parametrize(("scope", "status"), [(Scope.READ, 200), (Scope.REVIEW, 403), (Scope.SUBMIT, 403)])
def test_a_token_needs_the_scope_read(people, scope, status, address):
    _, secret = issue(people.olga, name="script", scopes=[scope], days=1)
    assert APIClient().get(address, headers={"Authorization": f"Bearer {secret}"}).status_code == status
