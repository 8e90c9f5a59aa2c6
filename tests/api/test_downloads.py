"""Batches and jobs as ZIPs, through the API."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from jobs.states import Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db
ADDRESSES = ("/api/batches/{batch}/download/", "/api/jobs/{job}/download/")


@pytest.fixture(params=ADDRESSES)
def address(request, rich):
    return request.param.format(batch=rich.batch_id, job=rich.pk)


def unpacked(response):
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read(archive.namelist()[0]))
        return archive.namelist(), manifest


def test_everything_comes_as_a_zip(api, people, rich, address):
    response = api(people.vera).get(address)
    assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
    names, manifest = unpacked(response)
    assert len(names) == rich.assets.count() + 1
    assert [job["id"] for job in manifest["jobs"]] == [rich.pk]


def test_kinds_are_chosen(api, people, address):
    response = api(people.vera).get(f"{address}?kinds=working&kinds=reports")
    names, manifest = unpacked(response)
    assert manifest["kinds"] == ["reports", "working"]
    assert all("/working/" in name for name in names[1:])
    response = api(people.vera).get(f"{address}?kinds=all")
    assert response.status_code == 400
    assert "There is no kind of files 'all'" in response.json()["kinds"][0]


def test_a_download_is_taken_up(api, people, address):
    client = api(people.vera)
    first = client.get(address)
    whole = first.getvalue()
    second = client.get(address, headers={"Range": "bytes=50-", "If-Range": first["ETag"]})
    assert (second.status_code, second.getvalue()) == (206, whole[50:])


def test_what_cannot_be_packed_is_a_conflict(api, people, rich):
    empty = make_job(rich.batch, Stage.INGESTION, State.PENDING)
    response = api(people.vera).get(f"/api/jobs/{empty.pk}/download/")
    told = {"detail": f"{empty.job_id} has no files yet.", "state": "pending", "allowed": []}
    assert (response.status_code, response.json()) == (409, told)
    for asset in rich.assets.all():
        asset.size_bytes += 1
        asset.save()
    response = api(people.vera).get(f"/api/batches/{rich.batch_id}/download/")
    assert response.status_code == 409
    assert "bytes in the storage, not" in response.json()["detail"]
    assert "more. Leave out" in response.json()["detail"]
