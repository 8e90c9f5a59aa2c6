"""A walk over every operation of the schema, as people who should get nothing from it."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO

import pytest
from django.utils.timezone import now
from drf_spectacular.generators import SchemaGenerator

from batches.bundles.sharing import share
from batches.models import Download, LinkedSheet, ShareLink, Upload
from jobs import sending
from jobs.models import (
    Asset,
    Delivery,
    Errand,
    Event,
    Job,
    Pin,
    RetentionPolicy,
    SentFile,
    StageRun,
    WebhookEndpoint,
)
from jobs.notices import announce_test
from jobs.states import Stage, State
from tests.batches.sheets import sheet_of
from tests.people import make_job

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
SECRET = "Kestrel"
BLUE_FILE = f"filename {b64encode(b'a.psd').decode()},team {b64encode(b'blue').decode()}"
BODIES = {
    "jobs": {"team": "blue", "psd_path": "a.psd", "project_path": "a.aepx"},
    "batch": {"team": "blue", "jobs": [{"psd_path": "a.psd", "project_path": "a.aepx"}]},
    "approve": {"version": 0},
    "reject": {"version": 0, "reason": "Too dark."},
    "requeue": {"stage": 1},
    "amend": {"version": 0, "slot_id": "1:1", "layer_id": 5},
    "undo": {"version": 0},
    "choose_comp": {"version": 0, "comp_id": 2},
    "assign": {"assignee": "rita"},
    "comment": {"text": "Hello."},
    "priority": {"priority": "urgent"},
    "resolve": {"resolution": "resolved"},
    "commit": {"rows": "good"},
    "linked-sheets": {"team": "blue", "url": "1aBcDeFgHiJkLmNoPqRsTuVwXyZ"},
    "shares": {"days": 7},
    "webhooks": {"team": "blue", "url": "https://hooks.example/x"},
    "replay-dead": {"team": "blue"},
}


def operations():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return [(path, method) for path, item in schema["paths"].items() for method in item if method in METHODS]


OPERATIONS = operations()
OF_ONESELF = ("/api/token", "/api/notices/")
OF_NO_TEAM = "/api/workers/"
"""Machines: tests/api/test_workers.py walks them."""
OWN = {("/api/token/", 400), ("/api/tokens/", 400), ("/api/notices/choices/", 400)}


@pytest.fixture
def ours(rich, people, tmp_path, settings):
    """Blue's records, every one of which has the secret in it; ids by the part of the address they belong to."""
    settings.USER_REQUESTS_PER_MINUTE = settings.PROJECT_REQUESTS_PER_MINUTE = 10_000  # the walk is long
    Job.objects.filter(pk=rich.pk).update(client_name=SECRET, notes=SECRET)
    rich.batch.name = SECRET
    rich.batch.save()
    sheet = tmp_path / "s.csv"
    sheet.write_bytes(sheet_of(f"{SECRET},a.psd,a.aepx,x.aep"))
    from batches.intake.opening import preview_upload

    with sheet.open("rb") as file:
        upload = preview_upload(people.olga, rich.team, sheet_name="s.csv", sheet_file=file)
    endpoint = WebhookEndpoint.objects.create(team=rich.team, url=f"https://hooks.example/{SECRET}")
    Download.objects.create(team=rich.team, batch=rich.batch, kinds=[], etag="x", size_bytes=1, agent=SECRET)
    asset = rich.assets.get(kind="layer")
    Asset.objects.filter(pk=asset.pk).update(name=f"{SECRET}.png")
    linked = _linked(rich.batch, people.olga)
    return {
        "jobs": rich.pk,
        "job_id": rich.job_id,
        "batches": rich.batch_id,
        "uploads": upload.pk,
        "linked-sheets": linked.pk,
        "assets": asset.pk,
        "warnings": rich.warnings.get().pk,
        "teams": rich.team_id,
        "dead-letters": failed(rich.batch).pk,
        "errands": Errand.objects.create(
            kind="read_linked_sheet", subject=linked.pk, team=rich.team, state="failed", error=SECRET, ended_at=now()
        ).pk,
        "shares": share(people.olga, rich.batch, kinds=["project"], days=7, note=SECRET)[0].pk,
        "webhooks": endpoint.pk,
        "deliveries": announce_test(endpoint).pk,
        "files": sending.begin(people.olga, rich.team, name=f"{SECRET}.psd", size_bytes=3).pk,
    }


REFUSED = {
    ("/api/uploads/", 400),
    ("/api/linked-sheets/", 404),
    ("/api/files/", 404),
    ("/api/jobs/", 404),
    ("/api/jobs/batch/", 404),
    ("/api/shares/", 404),
    ("/api/webhooks/", 404),
    ("/api/deliveries/replay-dead/", 404),
    ("/api/batch/upload", 404),
}


def _linked(batch, user):
    return LinkedSheet.objects.create(
        team=batch.team, batch=batch, url="https://docs.google.com/", title=SECRET, asked_by=user, created_by=user
    )


def failed(batch):
    job = make_job(batch, Stage.INGESTION, State.FAILED)
    return StageRun.objects.create(job=job, stage=1, input_hash="x", state="failed", error=SECRET, ended_at=now())


def call(client, path, method, ours):
    collection = "errands" if "/errands/" in path else path.split("/")[2]
    if collection == "files" and method != "get":
        address = path.replace("{id}", str(ours.get("files", "")))
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Offset": "0", "Upload-Metadata": BLUE_FILE}
        kind = "application/offset+octet-stream"
        return client.generic(method.upper(), address, b"abc", content_type=kind, headers=headers)
    address = path.replace("{id}", str(ours.get(collection, 0))).replace("{stage}", str(Stage.MATCHING.value))
    address = address.replace("{queue}", "light").replace("{batch_id}", str(ours.get("batches", 0)))
    address = address.replace("{job_id}", ours.get("job_id", "x"))
    verb = path.rstrip("/").rpartition("/")[2]
    if verb == "upload":
        return client.post(address, {"team": "blue", "csv_file": BytesIO(b"x")}, format="multipart")
    body = {**BODIES["shares"], "batch": ours.get("batches", 0)} if verb == "shares" else BODIES.get(verb, {})
    return getattr(client, method)(address, body if method != "get" else None)


def state_of_everything():
    return [
        list(ShareLink.objects.values("pk", "revoked_at")),
        list(WebhookEndpoint.objects.order_by("pk").values()),
        list(Delivery.objects.order_by("pk").values()),
        list(RetentionPolicy.objects.values()),
        Pin.objects.count(),
        list(Job.objects.order_by("pk").values()),
        Event.objects.count(),
        list(Upload.objects.values("pk", "committed_at")),
        list(LinkedSheet.objects.order_by("pk").values()),
        list(Errand.objects.order_by("pk").values()),
        list(SentFile.objects.values("pk", "received_bytes")),
    ]


def test_the_schema_has_operations_to_walk():
    assert len(OPERATIONS) > 35
    assert {path.split("/")[2] for path, _ in OPERATIONS} >= {"jobs", "batches", "uploads", "events", "assets", "token"}


@pytest.mark.parametrize("who", ["oscar", "nobody"])
def test_a_stranger_finds_nothing_behind_any_operation(api, people, ours, who):
    """Oscar has every role, in another team; Nobody has no team."""
    before = state_of_everything()
    client = api(getattr(people, who))
    for path, method in OPERATIONS:
        if path.startswith(OF_NO_TEAM) or path == "/api/notices/test/":
            continue
        response = call(client, path, method, ours)
        content = response.getvalue().decode(errors="replace")
        where = f"{method} {path}: {response.status_code} {content[:200]}"
        assert SECRET not in content, where
        if {"{id}", "{batch_id}", "{job_id}"} & set(path.split("/")):
            assert response.status_code == 404, where
        elif "export" in path:
            assert len(content.splitlines()) == (1 if path.endswith(".csv") else 0), where
        elif path.startswith("/api/uploads/sample."):
            assert response.status_code == 200, where
        elif response.status_code == 200:
            shown = json.loads(content)
            assert shown.get("results", []) == [] or path == "/api/teams/", where
            assert shown.get("total", 0) == 0, where
        elif "{queue}" in path:
            assert response.status_code == 403, where
        else:
            assert (path, response.status_code) in {*REFUSED, *OWN}, where
    assert state_of_everything() == before


def test_without_credentials_every_operation_is_401_in_json(api, ours):
    before = state_of_everything()
    for path, method in OPERATIONS:
        if path != "/api/token/":
            response = call(api(), path, method, ours)
            assert response.status_code == 401, f"{method} {path}"
            assert response["Content-Type"] == "application/json"
            assert response["WWW-Authenticate"] == "Bearer"
    assert state_of_everything() == before


def test_a_viewer_reads_everything_and_changes_nothing(api, people, ours):
    before = state_of_everything()
    client = api(people.vera)
    for path, method in OPERATIONS:
        if path.startswith((*OF_ONESELF, OF_NO_TEAM)) or path == "/api/uploads/":
            continue
        response = call(client, path, method, ours)
        expected = 200 if method == "get" else 403
        assert response.status_code == expected, f"{method} {path}: {response.status_code}"
    assert state_of_everything() == before


def test_what_is_read_a_second_time_is_304(api, people, ours):
    """Everything but what is written while it is sent; the two that are 404 are not Vera's."""
    client, seen = api(people.vera), 0
    for path, method in OPERATIONS:
        if method != "get" or path.endswith((".csv", ".jsonl", ".xlsx")):
            continue
        first = call(client, path, method, ours)
        if path in {"/api/tokens/{id}/", "/api/workers/{id}/"}:
            assert first.status_code == 404, path
            continue
        again = client.get(first.wsgi_request.get_full_path(), headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again["ETag"]) == (304, first["ETag"]), path
        seen += 1
    assert seen > 40


def test_a_superuser_sees_every_team(api, people, ours):
    assert api(people.root).get(f"/api/jobs/{ours['jobs']}/").json()["client_name"] == SECRET
