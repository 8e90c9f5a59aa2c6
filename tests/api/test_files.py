"""``/api/files/``: tus as its clients speak it, and the uploads that use what arrived."""

from __future__ import annotations

import hashlib
import http.client
import socket
from base64 import b64encode
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from batches.intake.opening import commit_all
from batches.models import Upload
from jobs import pieces, sending
from jobs.models import SentFile
from jobs.states import Role
from jobs.store import open_asset
from tests.batches.sheets import aepx_bytes, good_rows, psd_bytes, sheet_of, zip_of
from tests.people import make_person

pytestmark = pytest.mark.django_db
FILES, UPLOADS = "/api/files/", "/api/uploads/"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"


@pytest.fixture
def olga(api, people):
    return api(people.olga)


def metadata(**pairs):
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())


def begin(client, name="a.psd", size_bytes=10, team="blue", **headers):
    pairs = metadata(filename=name, **({"team": team} if team else {}))
    given = {**TUS, "Upload-Length": str(size_bytes), "Upload-Metadata": pairs, **headers}
    return client.post(FILES, headers={name: value for name, value in given.items() if value is not None})


def patch(client, address, data, offset=0, **headers):
    given = {**TUS, "Upload-Offset": str(offset), **headers}
    given = {name: value for name, value in given.items() if value is not None}
    return client.generic("PATCH", urlsplit(address).path, data, content_type=BYTES, headers=given)


def head(client, address):
    return client.head(urlsplit(address).path, headers=TUS)


def arrived(client, name, data, **options):
    address = begin(client, name, len(data), **options)["Location"]
    if data:
        assert patch(client, address, data).status_code == 204
    return address.rstrip("/").rpartition("/")[2]


def sheet_and_files(client, *rows, **options):
    return [
        arrived(client, "sheet.csv", sheet_of(*rows), **options),
        arrived(client, "a.psd", psd_bytes(), **options),
        arrived(client, "a.aepx", aepx_bytes(), **options),
    ]


# The protocol ---------------------------------------------------------------------------------------------------------
def test_options_tell_what_is_spoken(olga, settings):
    answer = olga.options(FILES)
    assert answer.status_code == 204
    assert answer["Tus-Version"] == answer["Tus-Resumable"] == "1.0.0"
    assert set(answer["Tus-Extension"].split(",")) == {"creation", "checksum", "termination", "expiration"}
    assert answer["Tus-Max-Size"] == str(settings.MAX_UPLOAD_BYTES)
    assert answer["Tus-Checksum-Algorithm"] == "sha256,sha1"


def test_begin_add_cut_and_go_on(olga):
    begun = begin(olga, "Ünï.psd")
    assert (begun.status_code, begun["Upload-Offset"], begun["Tus-Resumable"]) == (201, "0", "1.0.0")
    assert "Upload-Expires" in begun
    address = begun["Location"]
    added = patch(olga, address, b"01234")
    assert (added.status_code, added["Upload-Offset"], added.content) == (204, "5", b"")
    now = head(olga, address)
    assert (now.status_code, now["Upload-Offset"], now["Upload-Length"]) == (200, "5", "10")
    assert (now["Cache-Control"], now.content) == ("no-store", b"")
    assert now["Upload-Metadata"] == metadata(filename="Ünï.psd", team="blue")
    assert olga.get(urlsplit(address).path).json()["state"] == "receiving"
    assert patch(olga, address, b"56789", offset=5)["Upload-Offset"] == "10"
    shown = olga.get(urlsplit(address).path).json()
    assert (shown["state"], shown["name"], shown["received_bytes"]) == ("complete", "Ünï.psd", 10)
    assert shown["sha256"] == hashlib.sha256(b"0123456789").hexdigest()
    assert [one["id"] for one in olga.get(FILES).json()["results"]] == [shown["id"]]


def test_a_checksum_is_proven(olga):
    address = begin(olga)["Location"]
    wrong = f"sha256 {b64encode(hashlib.sha256(b'x').digest()).decode()}"
    right = f"sha1 {b64encode(hashlib.sha1(b'01234').digest()).decode()}"
    assert patch(olga, address, b"01234", **{"Upload-Checksum": wrong}).status_code == 460
    assert head(olga, address)["Upload-Offset"] == "0"
    assert patch(olga, address, b"01234", **{"Upload-Checksum": right})["Upload-Offset"] == "5"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": None}, 412),
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": None}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "ten"}, 400),
        ({"Upload-Length": "²"}, 400),
        ({"Upload-Length": "9" * 18}, 413),
        ({"Upload-Length": "9" * 400}, 400),
        ({"Upload-Metadata": None}, 400),
        ({"Upload-Metadata": "filename !!"}, 400),
        ({"Upload-Metadata": "filename gA=="}, 400),
        ({"Upload-Metadata": metadata(filename="../a.psd", team="blue")}, 400),
        ({"Upload-Metadata": metadata(filename="/etc/passwd", team="blue")}, 400),
        ({"Upload-Metadata": metadata(filename="a\x00.psd", team="blue")}, 400),
        ({"Upload-Metadata": metadata(filename="x" * 300, team="blue")}, 400),
        ({"Upload-Metadata": metadata(filename="", team="blue")}, 400),
        ({"Upload-Metadata": metadata(filename="a.psd", team="red")}, 404),
        ({"Upload-Metadata": metadata(filename="a.psd", more="x" * 4000)}, 400),
    ],
    ids=range(18),
)
def test_what_cannot_be_begun(olga, headers, status):
    answer = begin(olga, **headers)
    assert (answer.status_code, answer["Tus-Resumable"]) == (status, "1.0.0"), answer.content
    assert answer["Content-Type"] == "application/json"
    assert not SentFile.objects.exists()


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({"Tus-Resumable": None}, b"0", 412),
        ({"Upload-Offset": None}, b"0", 400),
        ({"Upload-Offset": "1"}, b"0", 409),
        ({"Upload-Checksum": "md5 AAAA"}, b"0", 400),
        ({"Upload-Checksum": "sha1 !"}, b"0", 400),
        ({"Upload-Checksum": "sha1"}, b"0", 460),
        ({}, b"0123456789x", 413),
    ],
)
def test_bytes_that_cannot_be_added(olga, headers, data, status):
    address = begin(olga)["Location"]
    answer = patch(olga, address, data, **headers)
    assert (answer.status_code, answer["Tus-Resumable"]) == (status, "1.0.0"), answer.content
    assert head(olga, address)["Upload-Offset"] == "0"
    assert list(pieces.stored()) == []


def test_bytes_have_their_own_content_type(olga):
    address = urlsplit(begin(olga)["Location"]).path
    assert olga.patch(address, {}, headers={**TUS, "Upload-Offset": "0"}).status_code == 415


def test_while_another_adds_one_is_told_to_wait(olga):
    address = begin(olga)["Location"]
    SentFile.objects.update(writer="0" * 32, writer_until=timezone.now() + timedelta(hours=1))
    answer = patch(olga, address, b"01234")
    assert (answer.status_code, answer["Retry-After"]) == (423, "2")


def test_a_file_is_forgotten(olga):
    address = begin(olga)["Location"]
    patch(olga, address, b"01234")
    assert olga.delete(urlsplit(address).path, headers=TUS).status_code == 204
    assert head(olga, address).status_code == 404
    assert list(pieces.stored()) == []


def test_where_patch_and_delete_cannot_be_sent_post_says_them(olga):
    address = urlsplit(begin(olga)["Location"]).path
    headers = {**TUS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert olga.generic("POST", address, b"01234", content_type=BYTES, headers=headers).status_code == 204
    headers["X-HTTP-Method-Override"] = "DELETE"
    assert olga.post(address, headers=headers).status_code == 204


def test_beginning_twice_with_one_key_begins_once(olga):
    first, again = (begin(olga, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first["Location"] == again["Location"]
    assert begin(olga, "b.psd", **{"Idempotency-Key": "k"}).status_code == 409
    assert SentFile.objects.count() == 1


def test_what_is_no_id_is_400_and_what_is_not_there_404(olga):
    for number, status in (("x", 400), ("7", 400), ("0" * 32, 404), ("1e9d2c3a-0000-4000-8000-000000000000", 404)):
        assert olga.get(f"{FILES}{number}/").status_code == status


def test_requests_about_files_have_a_limit_of_their_own(olga, settings):
    settings.USER_REQUESTS_PER_MINUTE, settings.FILE_REQUESTS_PER_MINUTE = 1, 4
    address = begin(olga)["Location"]
    for _ in range(3):
        assert head(olga, address).status_code == 200
    answer = head(olga, address)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


# People ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("who", "new", "seen", "changed"),
    [
        ("olga", 201, 200, 204),
        ("root", 201, 200, 204),
        ("rita", 403, 200, 403),
        ("adam", 403, 200, 403),
        ("vera", 403, 200, 403),
        ("oscar", 404, 404, 404),
        ("nobody", 404, 404, 404),
    ],
)
def test_who_may_what(api, people, olga, who, new, seen, changed):
    address = begin(olga)["Location"]
    client = api(getattr(people, who))
    assert begin(client).status_code == new
    assert head(client, address).status_code == seen
    assert client.get(urlsplit(address).path).status_code == seen
    assert patch(client, address, b"0").status_code == changed
    assert client.delete(urlsplit(address).path, headers=TUS).status_code == changed
    assert api().get(FILES).status_code == 401


def test_the_team_may_be_left_out_where_there_is_only_one(api, people, olga, red):
    assert begin(olga, team=None).json()["team"] == "blue"
    people.olga.memberships.create(team=red, role="operator")
    assert list(begin(olga, team=None).json()) == ["Upload-Metadata"]


# Uploads --------------------------------------------------------------------------------------------------------------
def test_a_sheet_and_files_that_arrived_become_a_batch(olga, people):
    ids = sheet_and_files(olga, *good_rows(2))
    answer = olga.post(UPLOADS, {"team": "blue", "file_ids": ids}, format="json")
    assert answer.status_code == 201, answer.content
    assert (answer.json()["good"], answer.json()["bad"]) == (2, 0)
    assert set(answer.json()["files"]) == {"a.psd", "a.aepx"}
    assert SentFile.objects.filter(used_at=None).count() == 0
    job = commit_all(people.olga, Upload.objects.get()).jobs.first()
    with open_asset(job.psd) as file:
        assert file.read() == psd_bytes()
    SentFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sending.sweep() == 3
    job.refresh_from_db()
    with open_asset(job.psd) as file:
        assert file.read() == psd_bytes()


def test_one_arrival_serves_several_uploads(olga):
    ids = sheet_and_files(olga, *good_rows(1))
    for _ in range(2):
        assert olga.post(UPLOADS, {"team": "blue", "file_ids": ids}, format="json").status_code == 201
    for upload in Upload.objects.all():
        assert olga.delete(f"{UPLOADS}{upload.pk}/").status_code == 204
    assert olga.post(UPLOADS, {"team": "blue", "file_ids": ids}, format="json").status_code == 201


def test_folders_are_kept_and_a_zip_is_opened(olga):
    files = {"in/sheet.csv": sheet_of("J-1,in/a.psd,deep/a.aepx,one.aep"), "in/a.psd": psd_bytes()}
    ids = [arrived(olga, "all.zip", zip_of(files).read()), arrived(olga, "deep\\a.aepx", aepx_bytes())]
    answer = olga.post(UPLOADS, {"team": "blue", "file_ids": ids}, format="json").json()
    assert (answer["good"], set(answer["files"])) == (1, {"in/a.psd", "deep/a.aepx"})


def test_what_arrived_goes_with_what_is_sent_along(olga):
    ids = sheet_and_files(olga, *good_rows(1))[1:]
    body = {"team": "blue", "sheet": SimpleUploadedFile("s.csv", sheet_of(*good_rows(1))), "file_ids": ids}
    answer = olga.post(UPLOADS, body, format="multipart")
    assert answer.status_code == 201, answer.content
    assert answer.json()["good"] == 1


def test_a_file_that_has_not_arrived_cannot_be_used(olga):
    sheet = arrived(olga, "sheet.csv", sheet_of(*good_rows(1)))
    half = begin(olga, "a.psd", 10)
    patch(olga, half["Location"], b"0123")
    answer = olga.post(UPLOADS, {"team": "blue", "file_ids": [sheet, half.json()["id"]]}, format="json")
    assert (answer.status_code, answer.json()) == (
        400, {"files": ["“a.psd” has not arrived: 6 of 10 bytes are missing."]},
    )  # fmt: skip
    assert not Upload.objects.exists()


def test_a_file_of_another_team_is_none(api, olga, people, blue, red):
    foreign = sheet_and_files(api(people.oscar), *good_rows(1), team="red")
    answer = olga.post(UPLOADS, {"team": "blue", "file_ids": foreign}, format="json")
    assert (answer.status_code, list(answer.json())) == (400, ["file_ids"])
    both = make_person("both", blue, Role.OPERATOR)
    both.memberships.create(team=red, role=Role.OPERATOR)
    assert api(both).post(UPLOADS, {"team": "blue", "file_ids": foreign}, format="json").status_code == 400


def test_two_different_files_of_one_name_are_refused(olga):
    ids = [*sheet_and_files(olga, *good_rows(1)), arrived(olga, "a.psd", b"other")]
    answer = olga.post(UPLOADS, {"team": "blue", "file_ids": ids}, format="json")
    assert (answer.status_code, list(answer.json())) == (400, ["files"])
    assert not Upload.objects.exists()


def test_files_are_added_to_an_open_upload(olga, people):
    sheet, psd, project = sheet_and_files(olga, *good_rows(1))
    upload = olga.post(UPLOADS, {"team": "blue", "file_ids": [sheet]}, format="json").json()
    assert upload["bad"] == 1
    more = f"{UPLOADS}{upload['id']}/files/"
    answer = olga.post(more, {"file_ids": [psd, project]}, format="json")
    assert (answer.status_code, answer.json()["good"], answer.json()["bad"]) == (200, 1, 0)
    assert olga.post(more, {"file_ids": [psd]}, format="json").status_code == 200
    other = arrived(olga, "a.psd", b"other")
    assert list(olga.post(more, {"file_ids": [other]}, format="json").json()) == ["files"]
    assert list(olga.post(more, {"file_ids": [sheet]}, format="json").json()) == ["files"]
    commit_all(people.olga, Upload.objects.get())
    assert olga.post(more, {"file_ids": [psd]}, format="json").status_code == 409


# A real connection ----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_breaks_in_the_middle_loses_no_byte(live_server, people, monkeypatch, settings):
    """Half of a PATCH over a real socket, then it is reset; HEAD tells where to go on."""
    settings.FILE_REQUESTS_PER_MINUTE = 0
    monkeypatch.setattr(sending, "PIECE_BYTES", 100_000)
    monkeypatch.setattr(sending, "RECEIVED_AT_ONCE_BYTES", 10_000)
    api_client = APIClient()
    api_client.force_login(people.olga)
    data = bytes(range(256)) * 4000
    address = begin(api_client, size_bytes=len(data))["Location"]
    path, host = urlsplit(address).path, urlsplit(live_server.url)
    cookie = f"sessionid={api_client.cookies['sessionid'].value}; csrftoken={'a' * 32}"
    headers = {
        **TUS, "Host": host.netloc, "Content-Type": BYTES, "Cookie": cookie, "X-CSRFToken": "a" * 32,
    }  # fmt: skip

    with socket.create_connection((host.hostname, host.port)) as line:
        asked = {**headers, "Upload-Offset": "0", "Content-Length": str(len(data))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
        line.sendall(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode() + data[:450_000])
    server = http.client.HTTPConnection(host.hostname, host.port)
    while True:
        server.request("HEAD", path, headers=headers)
        answer = server.getresponse()
        answer.read()
        if SentFile.objects.filter(writer=None, received_bytes__gt=0).exists():
            break
    server.request("HEAD", path, headers=headers)
    answer = server.getresponse()
    answer.read()
    offset = int(answer.headers["Upload-Offset"])
    assert 400_000 <= offset <= 450_000
    server.request("PATCH", path, data[offset:], {**headers, "Upload-Offset": str(offset)})
    assert server.getresponse().status == 204
    server.close()
    sent = SentFile.objects.get()
    assert sent.asset.sha256 == hashlib.sha256(data).hexdigest()
    assert list(pieces.stored()) == []
