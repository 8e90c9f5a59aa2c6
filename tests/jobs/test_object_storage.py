"""jobs.object_storage, against an S3 server that runs here: whole objects, never overwritten, read in streams."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import signal
from datetime import timedelta

import pytest
from django.core.exceptions import SuspiciousFileOperation, SuspiciousOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.urls import reverse

from jobs import object_storage
from jobs.models import Asset
from jobs.object_storage import Busy
from jobs.states import Stage, State
from jobs.storage import storage_named, sweep_parts
from jobs.store import Corrupt, fetch, open_asset, put, put_asset
from tests.object_store import BUCKET, refusing
from tests.people import make_job

pytestmark = pytest.mark.usefixtures("s3")


def keys(s3):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


@pytest.mark.django_db
def test_the_same_bytes_are_stored_once(s3, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"same")
    first, second = put(tmp_path / "a.png"), put(tmp_path / "b.png")
    assert first == second
    assert keys(s3) == [f"store/{first[0]}"]


@pytest.mark.parametrize("data", [b"", b"8BPS", bytes(range(256)) * 9000])
def test_an_asset_comes_back_as_it_went_in(tmp_path, blue, data, settings):
    (tmp_path / "a.psd").write_bytes(data)
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="Ünï.psd")
    assert fetch(asset, tmp_path / "work", name="input.psd").read_bytes() == data
    with open_asset(asset) as file:
        assert file.read() == data
    assert (settings.CACHE_DIR / asset.sha256[:2] / asset.sha256).read_bytes() == data


def test_a_name_that_is_taken_is_never_overwritten():
    outputs = storage_named("outputs")
    outputs.put_if_absent("a/final.aep", io.BytesIO(b"one"))
    with pytest.raises(FileExistsError):
        outputs.put_if_absent("a/final.aep", io.BytesIO(b"two"))
    assert outputs.open("a/final.aep").read() == b"one"
    other = storages["outputs"].save("a/final.aep", ContentFile(b"three"))
    assert other != "a/final.aep"
    assert outputs.open(other).read() == b"three"


@pytest.mark.parametrize("size", [3, 12 * 2**20])
def test_the_server_refuses_whoever_comes_second(monkeypatch, size):
    """Both looked and saw nothing: the condition of the write decides, also at the end of a large one."""
    outputs = storages["outputs"]
    monkeypatch.setattr(object_storage, "PART_BYTES", 6 * 2**20)
    monkeypatch.setattr(type(outputs), "exists", lambda *_: False)
    outputs.put_if_absent("a", io.BytesIO(b"one"))
    with pytest.raises(FileExistsError):
        outputs.put_if_absent("a", io.BytesIO(b"x" * size))


def test_a_server_without_conditional_writes_is_served_too(monkeypatch):
    from botocore.exceptions import ClientError

    storage = storages["outputs"]
    sent = []

    def old_server(**values):
        sent.append(values)
        if "IfNoneMatch" in values:
            answer = {"Error": {"Code": "NotImplemented"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
            raise ClientError(answer, "PutObject")

    storage._unless_taken("a", old_server, Key="a")
    assert sent == [{"Key": "a", "IfNoneMatch": "*"}, {"Key": "a"}]


def test_a_large_file_goes_in_parts_and_comes_back(s3, tmp_path, monkeypatch, blue):
    monkeypatch.setattr(object_storage, "PART_BYTES", 5 * 2**20)
    data = os.urandom(2**20) * 11 + b"end"
    (tmp_path / "a.psd").write_bytes(data)
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="a.psd")
    assert s3.head_object(Bucket=BUCKET, Key=f"store/{asset.storage_name}")["ETag"].endswith('-3"')
    assert fetch(asset, tmp_path / "work", name="x").read_bytes() == data


def test_a_write_that_breaks_off_leaves_nothing(s3, monkeypatch):
    monkeypatch.setattr(object_storage, "PART_BYTES", 5 * 2**20)

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 6 * 2**20:
                raise OSError("disk full")
            return super().read(size)

    with pytest.raises(OSError, match="disk full"):
        storage_named("default").put_if_absent("a", Broken(b"x" * (20 * 2**20)))
    assert keys(s3) == []
    assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_a_killed_upload_is_under_no_name_and_is_swept(s3, monkeypatch):
    monkeypatch.setattr(object_storage, "PART_BYTES", 5 * 2**20)

    class Deadly(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 6 * 2**20:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().read(size)

    pid = os.fork()
    if pid == 0:
        storage_named("default").put_if_absent("a", Deadly(b"x" * (20 * 2**20)))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert keys(s3) == []
    assert s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    # The test server says of every upload that it began in 2010.
    with monkeypatch.context() as young:
        young.setattr(object_storage, "ABANDONED_AFTER", timedelta(days=365 * 100))
        assert sweep_parts() == 0, "a young upload may be alive"
    assert sweep_parts() == 1
    assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_every_name_is_listed_without_the_prefix(s3):
    for name in ("b/2", "a", "b/1"):
        storage_named("outputs").put_if_absent(name, io.BytesIO(b""))
    storage_named("default").put_if_absent("c", io.BytesIO(b""))
    assert list(storage_named("outputs").names()) == ["a", "b/1", "b/2"]
    assert storages["outputs"].listdir("") == (["b"], ["a"])
    storage_named("outputs").delete("a")
    storage_named("outputs").delete("a")
    assert list(storage_named("outputs").names()) == ["b/1", "b/2"]


def test_names_cannot_lead_out_of_the_prefix():
    with pytest.raises((SuspiciousOperation, SuspiciousFileOperation)):
        storage_named("outputs").put_if_absent("../store/x", io.BytesIO(b""))


def test_what_is_missing_is_told_as_a_missing_file():
    storage = storage_named("default")
    assert not storage.exists("nothing")
    for look in (storage.open, storage.size):
        with pytest.raises(FileNotFoundError, match="nothing"):
            look("nothing")


def test_a_storage_that_is_away_is_an_os_error_without_secrets(settings, monkeypatch, caplog):
    options = settings.STORAGES["default"]["OPTIONS"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            **settings.STORAGES["default"],
            "OPTIONS": {**options, "endpoint_url": "http://127.0.0.1:9", "client_config": one_try()},
        },
    }
    with caplog.at_level(logging.INFO), pytest.raises(OSError, match="does not answer") as caught:
        storage_named("default").size("a")
    assert "a-secret" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


def one_try():
    from botocore.config import Config

    return Config(retries={"max_attempts": 1}, connect_timeout=1, s3={"addressing_style": "path"})


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {"Retry_After": "30"}, 30), (503, {"Retry_After": "7"}, 7), (503, {}, None)],
)
def test_a_limit_is_an_os_error_that_says_when_it_is_over(settings, status, headers, seconds):
    with refusing(settings, status, **headers):
        for ask in (lambda store: store.size("ab/x"), lambda store: store.client.get_object(Bucket=BUCKET, Key="x")):
            with pytest.raises(Busy, match="takes no more requests") as caught, object_storage._told("ab/x"):
                ask(storage_named("default"))
            assert caught.value.retry_after_seconds == seconds
    assert isinstance(caught.value, OSError)
    assert "ab/x" in str(caught.value)


def test_a_refusal_is_an_os_error_that_names_the_object(settings):
    options = settings.STORAGES["default"]["OPTIONS"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {**options, "bucket_name": "no-such-bucket"}},
    }
    with pytest.raises(OSError, match="ab/x"):
        storage_named("default").put_if_absent("ab/x", io.BytesIO(b"1"))


def test_content_that_changed_in_the_store_is_told(s3, tmp_path, blue, settings):
    (tmp_path / "a.psd").write_bytes(b"8BPS")
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="design.psd")
    s3.put_object(Bucket=BUCKET, Key=f"store/{asset.storage_name}", Body=b"8BPX")
    with pytest.raises(Corrupt, match=r"design\.psd"):
        fetch(asset, tmp_path / "work", name="x")
    assert not (tmp_path / "work" / "x").exists()
    assert not [path for path in settings.CACHE_DIR.rglob(asset.sha256[:8] + "*") if path.is_file()]


def test_a_read_begins_anywhere_and_asks_for_nothing_twice(monkeypatch):
    data = bytes(range(256)) * 8
    storage_named("default").put_if_absent("a", io.BytesIO(data))
    with storage_named("default").open("a") as file:
        file.seek(1000)
        assert file.read(10) == data[1000:1010]
        assert file.read(10) == data[1010:1020]
        file.seek(-5, os.SEEK_END)
        assert file.read() == data[-5:]
        assert file.read(1) == b""
        file.seek(0)
        assert io.BufferedReader(file).read(3) == data[:3]


@pytest.mark.parametrize(("header", "start", "end"), [("bytes=0-99", 0, 100), ("bytes=-24", 1000, 1024), ("", 0, 1024)])
def test_downloads_and_ranges_are_streamed_from_the_bucket(client, people, blue, tmp_path, header, start, end):
    data = bytes(range(256)) * 4
    (tmp_path / "clip.mp4").write_bytes(data)
    asset = put_asset(tmp_path / "clip.mp4", team=blue, kind="preview_video", name="clip.mp4")
    client.force_login(people.vera)
    answer = client.get(reverse("admin:asset_download", args=[asset.pk]), headers={"Range": header} if header else {})
    assert answer.status_code == (206 if header else 200)
    assert b"".join(answer.streaming_content) == data[start:end]
    storage_named("default").delete(asset.storage_name)
    assert client.get(reverse("admin:asset_download", args=[asset.pk])).status_code == 404


def test_a_release_is_packed_from_the_bucket(client, people, batch):
    import zipfile

    job = make_job(batch, Stage.DELIVERY, State.DONE, output_name="out.aep")
    stored = storages["outputs"].save("blue/x/out/out.aep", ContentFile(b"RIFX"))
    Asset.objects.create(
        team=job.team, job=job, stage=4, kind="released_project", name="out.aep", storage="outputs",
        storage_name=stored, size_bytes=4, media_type="application/octet-stream",
        sha256=hashlib.sha256(b"RIFX").hexdigest(),
    )  # fmt: skip
    client.force_login(people.vera)
    answer = client.get(reverse("admin:job_download", args=[job.pk]))
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/out.aep"))
        assert archive.read(name) == b"RIFX"
