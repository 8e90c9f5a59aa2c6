"""jobs.store and jobs.storage: the same bytes once, and never half a file."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages

from jobs.store import fetch, media_type_of, open_asset, put, put_asset


@pytest.mark.django_db
def test_the_same_bytes_are_stored_once(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"same")
    first, second = put(tmp_path / "a.png"), put(tmp_path / "b.png")
    assert first == second
    assert first[2] == 4
    assert default_storage.open(first[0]).read() == b"same"


def test_an_asset_comes_back_as_it_went_in(tmp_path, blue):
    (tmp_path / "a.psd").write_bytes(b"8BPS")
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="Ünï.psd")
    assert fetch(asset, tmp_path / "work", name="input.psd").read_bytes() == b"8BPS"
    with open_asset(asset) as file:
        assert file.read() == b"8BPS"
    assert asset.media_type == "image/vnd.adobe.photoshop"
    assert (asset.sha256, asset.crc32) == (hashlib.sha256(b"8BPS").hexdigest(), zlib.crc32(b"8BPS"))


def test_a_name_that_is_taken_is_never_overwritten():
    outputs = storages["outputs"]
    first = outputs.save("a/final.aep", ContentFile(b"one"))
    second = outputs.save("a/final.aep", ContentFile(b"two"))
    assert first != second
    assert outputs.open(first).read() == b"one"


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    class Broken(ContentFile):
        def read(self, *args):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        default_storage.save("x/y.png", Broken(b"1234"))
    assert default_storage.listdir("x") == ([], [])


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.mp4", "video/mp4"), ("a.PNG", "image/png"), ("a.jsx", "text/plain"), ("a", "application/octet-stream")],
)
def test_media_types_go_by_the_ending(name, media_type):
    assert media_type_of(name) == media_type
