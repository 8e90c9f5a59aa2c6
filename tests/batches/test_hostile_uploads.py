"""Hostile files at every door: each is refused in words that help, and nothing of it stays behind."""

from __future__ import annotations

import http.client
import io
import re
import resource
import tracemalloc
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from rest_framework.test import APIClient

from batches.intake import csv_source, json_source, opening
from batches.models import Batch, Upload, UploadedFile
from jobs import sending
from jobs.errors import Invalid
from jobs.models import Asset, Errand, Event, Job, SentFile
from jobs.tokens import issue
from rendering.aftereffects.project import read_project
from rendering.errors import FormatError
from tests.api.test_files import begin, patch
from tests.batches.hostile import ARCHIVES, EVERY, TEXTS, WORKBOOKS, Hostile
from tests.batches.sheets import aepx_bytes, psd_bytes
from tests.batches.test_opening import errors, preview

pytestmark = pytest.mark.django_db
ROWS = (Upload, UploadedFile, Batch, Job, Asset, Event, Errand, SentFile)
AT_OTHER_DOORS = [
    ARCHIVES[0],
    ARCHIVES[1],
    ARCHIVES[7],
    ARCHIVES[13],
    TEXTS[0],
    TEXTS[7],
    TEXTS[10],
    WORKBOOKS[0],
    WORKBOOKS[7],
]
"""One of each kind: behind every door is the same code, which the first door tries with all of them."""


@pytest.fixture
def places(settings, tmp_path):
    """Every folder that an upload may write to, empty."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    settings.WORK_DIR = tmp_path / "work"
    return tmp_path


@pytest.fixture
def api():
    def client(user):
        found = APIClient()
        found.force_login(user)
        return found

    return client


def left_behind(places: Path) -> list[str]:
    """Rows and files that were not there before."""
    rows = [f"{model.__name__}: {model._base_manager.count()}" for model in ROWS if model._base_manager.exists()]
    folders = ("store", "output", "uploads", "work", "cache")
    files = [str(path.relative_to(places)) for name in folders for path in (places / name).rglob("*") if path.is_file()]
    return rows + files


def says(hostile: Hostile, text: str) -> None:
    assert re.search(hostile.words, text), text[:400]


@pytest.mark.parametrize("hostile", EVERY, ids=lambda hostile: hostile.name)
def test_the_page_refuses_it_and_keeps_nothing(client, people, places, hostile):
    client.force_login(people.olga)
    file = SimpleUploadedFile(hostile.name, hostile.make())
    response = client.post(reverse("admin:batch_upload"), {"team": "blue", "files": [file]})
    assert response.status_code == 422
    says(hostile, str(response.context["error"]))
    assert left_behind(places) == []


@pytest.mark.parametrize("hostile", AT_OTHER_DOORS, ids=lambda hostile: hostile.name)
def test_the_api_refuses_it_and_keeps_nothing(api, people, places, hostile):
    file = SimpleUploadedFile(hostile.name, hostile.make())
    response = api(people.olga).post("/api/uploads/", {"team": "blue", "sheet": file}, format="multipart")
    assert response.status_code == 400
    says(hostile, str(response.json()))
    assert left_behind(places) == []


@pytest.mark.parametrize("hostile", AT_OTHER_DOORS, ids=lambda hostile: hostile.name)
def test_what_was_sent_in_pieces_is_refused_and_goes_when_it_is_deleted(api, people, places, hostile):
    olga = api(people.olga)
    data = hostile.make()
    address = begin(olga, hostile.name, len(data))["Location"]
    assert patch(olga, address, data).status_code == 204
    number = urlsplit(address).path.rstrip("/").rpartition("/")[2]
    response = olga.post("/api/uploads/", {"team": "blue", "file_ids": [number]}, format="json")
    assert response.status_code == 400
    says(hostile, str(response.json()))
    assert not Upload.objects.exists()
    assert not list((places / "uploads").rglob("*"))
    sent = SentFile.objects.get()
    assert sent.used_at is None
    sending.discard(people.olga, sent)
    assert not SentFile.objects.exists()
    assert not Asset.objects.exists()


@pytest.mark.parametrize("hostile", AT_OTHER_DOORS, ids=lambda hostile: hostile.name)
def test_the_command_refuses_it_and_keeps_nothing(people, places, hostile):
    path = places / hostile.name
    path.write_bytes(hostile.make())
    with pytest.raises(CommandError) as error:
        call_command("import_batch", str(path), "--team", "blue")
    assert error.value.returncode == 2
    assert hostile.name in str(error.value)
    assert "\n" not in str(error.value)
    says(hostile, str(error.value))
    assert left_behind(places) == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a.psd", "A.PSD"), "may be any of 2 files"),
        (("u\u0308.psd", "\u00fc.psd"), "may be any of 2 files"),
        (("one/a.psd", "two/a.psd"), "may be any of 2 files"),
    ],
)
def test_names_that_are_one_for_some_systems_are_told_apart_by_nobody(people, blue, names, words):
    """Different files whose names differ in case or in how an umlaut is written: the row says so, none is guessed."""
    wanted = "a.psd" if "a" in names[0].casefold() else "\u00fc.psd"
    files = [(name, io.BytesIO(psd_bytes(width_px=place))) for place, name in enumerate(names, 1)]
    upload = preview(
        people.olga, blue, f"J-1,{wanted},a.aepx,x.aep", files=[*files, ("a.aepx", io.BytesIO(aepx_bytes()))]
    )
    assert words in str(errors(upload))


class Line:
    """A file of one line: made while it is read, and counted."""

    def __init__(self, size_bytes: int) -> None:
        self.left = size_bytes
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        size = min(size if size >= 0 else 2**20, self.left)
        self.left -= size
        self.read_bytes += size
        return b"x" * size


GIGABYTE = 2**30


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["line.csv", "line.tsv", "line.txt", "line.json", "line.jsonl", "line.xlsx", "line.ods"]
)
def test_a_gigabyte_of_one_line_is_refused_when_a_tenth_of_it_is_read(people, blue, places, settings, name):
    """Nothing of it is held: it goes to disk in chunks, and no further than the largest sheet may be."""
    line = Line(GIGABYTE)
    with pytest.raises(Invalid, match=f"“{name}” has more than 100.0 MB, the most that a sheet may have") as error:
        opening.preview_upload(people.olga, blue, sheet_name=name, sheet_file=line)
    assert error.value.field == "sheet"
    assert settings.MAX_SHEET_BYTES < line.read_bytes < settings.MAX_SHEET_BYTES + 2 * 2**20
    assert left_behind(places) == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["line.csv", "line.zip"])
def test_a_gigabyte_of_one_line_is_refused_at_the_door(live_server, people, blue, places, name):
    """Sent to a real server: it answers, has held none of it, and what it had spooled is gone."""
    before = f'--B\r\nContent-Disposition: form-data; name="team"\r\n\r\n{blue.slug}\r\n--B\r\n'
    before += f'Content-Disposition: form-data; name="sheet"; filename="{name}"\r\n\r\n'
    ends = before.encode(), b"\r\n--B--\r\n"
    body = chain(ends[:1], repeat(b"x" * 2**20, GIGABYTE // 2**20), ends[1:])
    headers = {
        "Authorization": f"Bearer {issue(people.olga, name='sender')[1]}",
        "Content-Type": "multipart/form-data; boundary=B",
        "Content-Length": str(GIGABYTE + sum(map(len, ends))),
        "Connection": "close",
    }
    connection = http.client.HTTPConnection(*live_server.url.removeprefix("http://").split(":"), timeout=120)
    held_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connection.request("POST", "/api/uploads/", body, headers)
    assert connection.sock is not None
    with connection.sock.dup() as wire:
        answer = connection.getresponse()
        words = answer.read().decode()
        assert wire.recv(1) == b"", "the server is through with the request, its files included, when it hangs up"
    assert answer.status == 400
    assert re.search("more than 100.0 MB" if name == "line.csv" else "cannot be unpacked", words), words
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held_kb < 200 * 2**10
    assert left_behind(places) == []


@pytest.mark.parametrize(("name", "read"), [("line.csv", csv_source.opened), ("line.json", json_source.opened)])
def test_one_line_is_never_held(tmp_path, name, read):
    """However large sheets may be: of 64 MB in one line a few are read before it is refused."""
    path = tmp_path / name
    path.write_bytes(b'[{"a": "' + b"x" * 64 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match="1,048,576 characters"):
            read(path, name) if name.endswith(".csv") else read(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * 2**20


@pytest.mark.slow
def test_a_project_of_one_gigabyte_is_refused_by_its_size_alone(tmp_path):
    for name, start in (
        ("line.aepx", b'<?xml version="1.0"?><AfterEffectsProject>'),
        ("line.aep", b"RIFX\0\0\0\0Egg!"),
    ):
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(GIGABYTE)
        tracemalloc.start()
        try:
            with pytest.raises(FormatError, match=name):
                read_project(tmp_path / name)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 2**20
