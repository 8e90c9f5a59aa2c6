"""aeproject.health: probes, and the metrics' door."""

from __future__ import annotations

import threading

import pytest
from django.core.files.storage import storages
from django.db import DatabaseError
from django.urls import reverse

from aeproject import health
from tests.object_store import BUCKET


@pytest.fixture(autouse=True)
def _first_probe(monkeypatch):
    """No storage was probed, and however slow this machine is, it neither takes too long nor is it time again."""
    monkeypatch.setattr(health, "_storage", health.StorageProbe())
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(health, "STORAGE_SECONDS", 3600.0)


def test_the_process_says_that_it_lives_without_the_database(client):
    response = client.get("/healthz")  # pytest-django forbids the database here
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.django_db
def test_ready_means_database_migrations_and_storage(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "migrations": "ok", "storage": "ok"}
    assert storages["default"].listdir("probes") == ([], [])


@pytest.mark.django_db
def test_with_object_storage_the_bucket_is_what_must_take_a_file(client, s3, monkeypatch):
    assert client.get("/readyz").json()["storage"] == "ok"
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    monkeypatch.setattr(health, "_storage", health.StorageProbe())
    s3.delete_bucket(Bucket=BUCKET)
    try:
        response = client.get("/readyz")
    finally:
        s3.create_bucket(Bucket=BUCKET)
    assert response.status_code == 503
    assert response.json()["storage"] not in {"", "ok"}


@pytest.mark.django_db
def test_not_ready_says_what_is_missing_and_the_log_why(client, monkeypatch, settings, tmp_path, caplog):
    (tmp_path / "store").write_text("a file where the storage should be")

    def gone():
        raise DatabaseError("connection to db.internal as user secret failed")

    monkeypatch.setattr(health, "_check_database", gone)
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda self, targets: ["0009"])
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"] == "DatabaseError"
    assert response.json()["migrations"] == "MigrationsMissing"
    assert response.json()["storage"] != "ok"
    assert b"secret" not in response.content
    assert "not ready: database: DatabaseError: connection to db.internal as user secret failed" in caplog.messages


@pytest.mark.django_db
def test_a_storage_is_probed_now_and_then_however_often_it_is_asked(client, monkeypatch):
    saved = []
    real = type(storages["default"]).save
    monkeypatch.setattr(type(storages["default"]), "save", lambda self, *a: saved.append(a) or real(self, *a))
    for _ in range(5):
        client.get("/readyz")
    assert len(saved) == 2


@pytest.mark.django_db
def test_a_storage_that_hangs_is_not_waited_for_and_holds_one_thread(client, monkeypatch):
    answers = threading.Event()
    asked = []
    real = type(storages["default"]).save
    monkeypatch.setattr(
        type(storages["default"]), "save", lambda self, *a: asked.append(a) or (answers.wait() and real(self, *a))
    )
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.01)
    for _ in range(3):
        assert (client.get("/readyz").status_code, client.get("/readyz").json()["storage"]) == (503, "TimeoutError")
    assert len(asked) == 1
    answers.set()
    health._storage.under_way.result()
    assert client.get("/readyz").json()["storage"] == "ok"


@pytest.mark.django_db
def test_metrics_are_closed_without_a_token(client, people):
    assert client.get(reverse("metrics")).status_code == 403
    client.force_login(people.olga)
    assert client.get(reverse("metrics")).status_code == 403
    assert client.get(reverse("metrics"), headers={"Authorization": "Bearer "}).status_code == 403
    client.force_login(people.root)
    response = client.get(reverse("metrics"))
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")


@pytest.mark.django_db
@pytest.mark.parametrize(("sent", "status"), [("Bearer s3cret-ü", 200), ("Bearer wrong", 403), ("s3cret-ü", 403)])
def test_metrics_open_with_the_token(client, settings, sent, status):
    settings.METRICS_TOKEN = "s3cret-ü"
    assert client.get(reverse("metrics"), headers={"Authorization": sent}).status_code == status


def test_metrics_without_the_database_say_so(client, settings, monkeypatch, caplog):
    def refuse():
        raise DatabaseError("connection refused")

    settings.METRICS_TOKEN = "token"
    monkeypatch.setattr(health, "exposition", refuse)
    answer = client.get("/metrics", headers={"Authorization": "Bearer token"})
    assert (answer.status_code, answer.content) == (503, b"The database does not answer.")
    assert "connection refused" in caplog.text


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics"])
def test_probes_only_look(client, address):
    assert client.post(address).status_code == 405


def test_probes_work_without_tls(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
