"""The doors to a ZIP: of a batch, of a job; in parts, looked through first, broken off rather than wrong"""

from __future__ import annotations

import io
import zipfile

import pytest
from django.core.files.storage import storages
from django.urls import reverse

from batches.bundles.layout import Broken
from batches.bundles.plan import plan
from jobs.models import Asset
from jobs.states import Stage, State
from tests.people import make_job


@pytest.fixture
def as_vera(client, people):
    client.force_login(people.vera)
    return client


@pytest.fixture
def job(stocked):
    return stocked.jobs.get(job_id="A/1")


def of_batch(batch, query=""):
    return reverse("admin:batch_download", args=[batch.pk]) + query


def of_job(job, query=""):
    return reverse("admin:job_download", args=[job.pk]) + query


def body(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_batch_is_a_zip_of_exact_length(as_vera, stocked):
    answer = as_vera.get(of_batch(stocked))
    data = body(answer)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer["Content-Length"] == str(len(data))
    assert f'filename="{stocked.directory_name}.zip"' in answer["Content-Disposition"]
    assert (answer["Accept-Ranges"], answer["X-Content-Type-Options"]) == ("bytes", "nosniff")
    assert "no-transform" in answer["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 12
    assert body(as_vera.get(of_batch(stocked))) == data


def test_a_job_is_a_zip_too(as_vera, job):
    answer = as_vera.get(of_job(job, "?kinds=project"))
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        assert [name.partition("/")[2] for name in archive.namelist()] == [
            "manifest.json",
            "A_1/project/out.aep",
            "A_1/project/footage/a.png",
        ]


def test_the_doors_are_for_the_team_alone(client, people, stocked, job):
    for address in (of_batch(stocked), of_job(job)):
        assert client.get(address).status_code == 302
    for person, status in ((people.oscar, 404), (people.nobody, 302), (people.vera, 200), (people.root, 200)):
        client.force_login(person)
        for address in (of_batch(stocked), of_job(job)):
            assert client.get(address).status_code == status
            assert client.post(address).status_code in {405, 302}


def test_what_compresses_answers_leaves_a_zip_alone(as_vera, stocked):
    answer = as_vera.get(of_batch(stocked), headers={"Accept-Encoding": "gzip, br"})
    assert answer["Content-Length"] == str(len(body(answer)))
    assert "Content-Encoding" not in answer


def test_head_tells_the_length_without_reading(as_vera, stocked, monkeypatch):
    size = plan(stocked).layout.size_bytes
    monkeypatch.setattr("batches.bundles.plan.StoredFile.open", None)
    answer = as_vera.head(of_batch(stocked))
    assert (answer.status_code, answer["Content-Length"], body(answer)) == (200, str(size), b"")


@pytest.mark.parametrize("start", [0, 1, 30, 999, 4_000, -1, -22, -100])
def test_a_download_is_taken_up_where_it_broke_off(as_vera, stocked, start):
    whole = body(as_vera.get(of_batch(stocked)))
    start %= len(whole)
    answer = as_vera.get(of_batch(stocked), headers={"Range": f"bytes={start}-"})
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {start}-{len(whole) - 1}/{len(whole)}"
    assert body(answer) == whole[start:]


def test_parts_of_another_state_of_the_batch_are_never_mixed(as_vera, stocked, job):
    first = as_vera.get(of_batch(stocked))
    resume = {"Range": "bytes=100-", "If-Range": first["ETag"]}
    assert as_vera.get(of_batch(stocked), headers=resume).status_code == 206
    job.assets.filter(kind="layer").delete()
    answer = as_vera.get(of_batch(stocked), headers=resume)
    assert answer.status_code == 200
    assert body(answer)[:2] == b"PK"


def test_beyond_the_end_is_416_and_the_known_304(as_vera, stocked):
    size = plan(stocked).layout.size_bytes
    answer = as_vera.get(of_batch(stocked), headers={"Range": f"bytes={size}-"})
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{size}")
    etag = as_vera.get(of_batch(stocked))["ETag"]
    assert as_vera.get(of_batch(stocked), headers={"If-None-Match": etag}).status_code == 304


def test_unknown_kinds_and_nothing_to_pack_are_told(as_vera, stocked):
    answer = as_vera.get(of_batch(stocked, "?kinds=everything"))
    assert answer.status_code == 422
    assert b"'everything'" in answer.content
    empty = make_job(stocked, Stage.INGESTION, State.PENDING)
    answer = as_vera.get(of_job(empty))
    assert (answer.status_code, answer.content) == (409, f"{empty.job_id} has no files yet.".encode())


def test_a_missing_file_is_named_before_the_first_byte(as_vera, stocked, job):
    film = job.assets.get(kind="preview_video")
    storages["default"].delete(film.storage_name)
    answer = as_vera.get(of_batch(stocked))
    assert answer.status_code == 409
    assert b"A_1/previews/side-by-side.mp4 is no longer in the storage." in answer.content
    assert as_vera.head(of_batch(stocked)).status_code == 409
    assert as_vera.get(of_batch(stocked, "?kinds=project,inputs")).status_code == 200


def test_a_file_of_another_size_is_named_before_the_first_byte(as_vera, stocked, job, tmp_path):
    film = job.assets.get(kind="preview_video")
    (tmp_path / "store" / film.storage_name).chmod(0o644)
    (tmp_path / "store" / film.storage_name).write_bytes(b"fil")
    answer = as_vera.get(of_batch(stocked))
    assert answer.status_code == 409
    assert b"side-by-side.mp4 has 3 bytes in the storage, not 20000." in answer.content


@pytest.mark.parametrize("known", [True, False])
def test_a_file_of_another_content_breaks_the_answer_off(as_vera, stocked, job, tmp_path, known):
    film = job.assets.get(kind="preview_video")
    if not known:
        Asset.objects.update(crc32=None)
    stored = tmp_path / "store" / film.storage_name
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    answer = as_vera.get(of_batch(stocked))
    sent = []
    with pytest.raises(Broken, match=r"side-by-side\.mp4"):
        sent.extend(answer.streaming_content)
    assert len(b"".join(sent)) < int(answer["Content-Length"])


def test_files_of_earlier_versions_get_their_checksum_once(as_vera, stocked):
    expected = body(as_vera.get(of_batch(stocked)))
    known = dict(Asset.objects.values_list("pk", "crc32"))
    Asset.objects.update(crc32=None)
    assert body(as_vera.get(of_batch(stocked))) == expected
    packed = Asset.objects.exclude(crc32=None)
    assert {asset.pk: asset.crc32 for asset in packed} == {asset.pk: known[asset.pk] for asset in packed}
    assert packed.count() == 11


def test_open_files_are_closed_when_the_client_goes(as_vera, stocked, monkeypatch):
    from batches.bundles.plan import StoredFile

    opened = []
    original = StoredFile.open

    def remember(self):
        opened.append(original(self))
        return opened[-1]

    monkeypatch.setattr(StoredFile, "open", remember)
    monkeypatch.setattr("batches.bundles.layout.LEAST_PIECE_BYTES", 1)
    answer = as_vera.get(of_batch(stocked, "?kinds=previews"))
    pieces = iter(answer.streaming_content)
    for _ in range(4):  # two members, each a header and a content
        next(pieces)
    assert [file.closed for file in opened] == [False]
    answer.close()
    del pieces
    assert [file.closed for file in opened] == [True]


def test_from_object_storage_it_is_the_same(s3, blue, people, client, request):
    stocked = request.getfixturevalue("stocked")
    client.force_login(people.vera)
    whole = body(client.get(of_batch(stocked)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
    part = client.get(of_batch(stocked), headers={"Range": "bytes=5000-"})
    assert body(part) == whole[5000:]
    film = stocked.jobs.get(job_id="A/1").assets.get(kind="preview_video")
    storages["default"].delete(film.storage_name)
    answer = client.get(of_batch(stocked))
    assert answer.status_code == 409
    assert b"side-by-side.mp4 is no longer in the storage." in answer.content
