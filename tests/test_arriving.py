"""aeproject.arriving: what is too large is refused before it is read."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from aeproject.arriving import IN_PIECES, MOST_FORM_BYTES
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def send(client, path, kind, length):
    """A request that says of itself that it is so long; nothing of it ever arrives."""
    return client.generic("POST", path, b"x", content_type=kind, CONTENT_LENGTH=str(length))


@pytest.mark.parametrize(
    ("path", "kind", "setting", "more"),
    [
        ("/admin/batches/new/", "multipart/form-data; boundary=x", "MAX_UPLOAD_BYTES", MOST_FORM_BYTES),
        ("/api/uploads/", "multipart/form-data; boundary=x", "MAX_UPLOAD_BYTES", MOST_FORM_BYTES),
        ("/api/files/", IN_PIECES, "MAX_UPLOAD_BYTES", 0),
        ("/api/jobs/", "application/json", "MAX_BODY_BYTES", 0),
        ("/admin/login/", "application/x-www-form-urlencoded", "MAX_BODY_BYTES", 0),
    ],
)
def test_a_request_is_refused_by_its_length(client, settings, path, kind, setting, more):
    answer = send(client, path, kind, getattr(settings, setting) + more + 1)
    assert answer.status_code == 413
    assert "MB are allowed" in answer.content.decode()
    assert answer["Content-Type"].startswith("application/json") is path.startswith("/api/")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_log_in_is_short(client):
    assert send(client, "/api/token/", "application/json", MOST_FORM_BYTES + 1).status_code == 413


@pytest.mark.parametrize("length", ["x", "-1", ""])
def test_a_length_that_is_none_is_nobodys_trouble(client, length):
    assert send(client, "/api/token/", "application/json", length).status_code in (400, 401, 411)


def test_strangers_have_no_files_spooled(people, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    client = Client(enforce_csrf_checks=True)
    client.get(reverse("admin:login"))
    token = client.cookies["csrftoken"].value
    file = SimpleUploadedFile("a.psd", bytes(MOST_FORM_BYTES + 1))
    data = {"csrfmiddlewaretoken": token, "username": "olga", "password": PASSWORD, "file": file}
    assert client.post(reverse("admin:login"), data).status_code == 400
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    client.force_login(people.olga)
    small = {**data, "file": SimpleUploadedFile("a.psd", b"x")}
    assert client.post(reverse("admin:login"), small).status_code == 302
