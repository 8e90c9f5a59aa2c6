"""batches.downloads: the one door for files"""

from __future__ import annotations

import pytest
from django.core.files.storage import storages
from django.urls import reverse

from jobs.models import Asset
from jobs.store import put_asset

DATA = bytes(range(256)) * 4


@pytest.fixture
def asset(blue, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(DATA)
    return put_asset(path, team=blue, kind="preview_video", name="clip.mp4")


@pytest.fixture
def as_vera(client, people):
    client.force_login(people.vera)
    return client


def at(asset):
    return reverse("admin:asset_download", args=[asset.pk])


def body(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_member_gets_the_file(as_vera, asset):
    answer = as_vera.get(at(asset))
    assert answer.status_code == 200
    assert body(answer) == DATA
    assert (answer["Content-Type"], answer["Content-Length"]) == ("video/mp4", "1024")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Cache-Control"] == "private, no-cache"


def test_strangers_and_other_teams_do_not(client, people, asset):
    assert client.get(at(asset)).status_code == 302
    client.force_login(people.oscar)
    assert client.get(at(asset)).status_code == 404


def test_nothing_is_written_through_the_door(as_vera, asset):
    assert as_vera.post(at(asset)).status_code == 405


def test_an_unknown_number_is_not_there(as_vera):
    assert as_vera.get("/admin/assets/99999999999999999999999999/").status_code == 404


def test_a_file_that_left_the_storage_is_not_there(as_vera, asset):
    storages["default"].delete(asset.storage_name)
    assert as_vera.get(at(asset)).status_code == 404


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=0-", 0, 1024),
        ("bytes=100-", 100, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=1000-99999", 1000, 1024),
        ("bytes=1023-1023", 1023, 1024),
        ("bytes=-99999", 0, 1024),
    ],
)
def test_a_range_is_answered_with_its_bytes(as_vera, asset, header, start, end):
    answer = as_vera.get(at(asset), headers={"Range": header})
    assert body(answer) == DATA[start:end]
    assert answer["Content-Length"] == str(end - start)
    assert (answer.status_code, answer["Content-Range"]) == (206, f"bytes {start}-{end - 1}/1024")


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_beyond_the_end_is_416(as_vera, asset, header):
    answer = as_vera.get(at(asset), headers={"Range": header})
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */1024")


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "bytes=-", "bytes=9-1", "lines=1-2", "bytes=a-b", "bytes=" + "9" * 40 + "-", ""]
)
def test_a_range_that_makes_no_sense_is_left_aside(as_vera, asset, header):
    answer = as_vera.get(at(asset), headers={"Range": header})
    assert answer.status_code == 200
    assert body(answer) == DATA


def test_a_range_of_an_older_content_gets_the_whole(as_vera, asset):
    answer = as_vera.get(at(asset), headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert answer.status_code == 200
    answer = as_vera.get(at(asset), headers={"Range": "bytes=0-9", "If-Range": f'"{asset.sha256}"'})
    assert answer.status_code == 206


def test_what_the_browser_has_is_not_sent_again(as_vera, asset):
    answer = as_vera.get(at(asset), headers={"If-None-Match": f'"{asset.sha256}"'})
    assert (answer.status_code, body(answer)) == (304, b"")


def test_head_tells_the_size_without_the_bytes(as_vera, asset):
    answer = as_vera.head(at(asset))
    assert (answer.status_code, answer["Content-Length"], body(answer)) == (200, "1024", b"")


def test_an_empty_file_is_sent_as_such(as_vera, blue, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    empty = put_asset(tmp_path / "empty.png", team=blue, kind="x", name="empty.png")
    assert body(as_vera.get(at(empty))) == b""
    assert as_vera.get(at(empty), headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize(
    ("media_type", "in_place"),
    [
        ("image/png", True),
        ("image/jpeg", True),
        ("video/mp4", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("text/plain", False),
    ],
)
def test_only_harmless_types_are_shown_in_place(as_vera, asset, media_type, in_place):
    Asset.objects.filter(pk=asset.pk).update(media_type=media_type)
    answer = as_vera.get(at(asset))
    assert answer["Content-Disposition"].startswith("inline" if in_place else "attachment")
    assert answer["Content-Type"] == (media_type if in_place else "application/octet-stream")


@pytest.mark.parametrize("name", ['a"b\r\nX: y.mp4', "../../etc/passwd", "größe 🎬.mp4", "", "x/"])
def test_odd_names_do_not_break_the_header(as_vera, asset, name):
    Asset.objects.filter(pk=asset.pk).update(name=name)
    answer = as_vera.get(at(asset))
    assert "X" not in answer
    assert "/" not in answer["Content-Disposition"]
    assert "\n" not in answer["Content-Disposition"]
