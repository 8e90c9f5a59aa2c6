"""review.space: the space page, for those who may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from batches.models import Batch
from jobs.models import Asset, Pin, RetentionPolicy
from review import space
from tests.people import make_job

pytestmark = pytest.mark.django_db
DAYS = dict.fromkeys(RetentionPolicy.DAYS, "")


@pytest.fixture
def filled(batch):
    job = make_job(batch)
    return Asset.objects.create(
        team=batch.team, job=job, kind="layer", name="a.png", storage_name="aa/a.png", size_bytes=2048, sha256="0" * 64
    )


def test_the_page_shows_what_the_teams_files_and_its_batches_take(client, people, batch, filled):
    Asset.objects.create(
        team=batch.team, kind="upload", name="b.psd", storage_name="bb/b.psd", size_bytes=1024, sha256="1" * 64
    )
    client.force_login(people.vera)
    html = client.get(reverse("admin:space")).content.decode().replace("\u00a0", " ")
    assert "2 files, 3.0 KB stored" in html
    row = html[html.index(f">{batch.name}</a>") :].partition("</tr>")[0]
    assert 'data-label="Files">1</td>' in row
    assert 'data-label="Size">2.0 KB</td>' in row
    assert "may share, take 1.0 KB more" in html
    assert "Change the policy" not in html
    client.force_login(people.oscar)
    assert batch.name not in client.get(reverse("admin:space")).content.decode()


def test_every_batch_is_found_page_by_page(client, people, batch, filled, monkeypatch):
    monkeypatch.setattr(space, "BATCHES", 2)
    for number in range(4):
        other = Batch.objects.create(team=batch.team, name=f"B{number}", created_by=people.olga)
        Asset.objects.create(
            team=batch.team, job=make_job(other), kind="layer", name="a", storage_name=f"a{number}", sha256="0" * 64,
            size_bytes=10 - number,
        )  # fmt: skip
    client.force_login(people.vera)
    address = reverse("admin:space")
    html = client.get(address).content.decode()
    assert (">B0</a>" in html, ">B1</a>" in html) == (True, False)
    assert "All 5 batches of Blue" in html
    seen = [client.get(address, {"team": "blue", "page": page}).context["teams"][0]["batches"] for page in (1, 2, 3)]
    assert [row["name"] for page in seen for row in page] == ["Spring", "B0", "B1", "B2", "B3"]
    assert "Page 1 of 3" in client.get(address, {"team": "blue"}).content.decode()
    assert client.get(address, {"team": "red"}).status_code == 404


def test_the_page_says_how_much_the_policy_removes(client, people, batch, filled):
    RetentionPolicy.objects.create(team=batch.team, failed_days=7)
    job = filled.job
    type(job).objects.filter(pk=job.pk).update(state="failed", moved_at=timezone.now() - timedelta(days=30))
    client.force_login(people.vera)
    html = client.get(reverse("admin:space")).content.decode().replace("\u00a0", " ")
    assert "Files of failed and cancelled jobs: 1 file, 2.0 KB" in html
    Pin.objects.create(batch=batch, by=people.olga)
    assert "Files of failed and cancelled jobs: 1" not in client.get(reverse("admin:space")).content.decode()


def test_what_would_go_is_listed_file_by_file_and_with_other_days(client, people, batch, filled, red, monkeypatch):
    monkeypatch.setattr(space, "FILES", 2)
    for number in range(2):
        Asset.objects.create(
            team=batch.team, job=filled.job, kind="poster", name=f"{number}.jpg", storage_name=str(number),
            sha256="0" * 64, size_bytes=1,
        )  # fmt: skip
    job = filled.job
    type(job).objects.filter(pk=job.pk).update(state="failed", moved_at=timezone.now() - timedelta(days=30))
    address = reverse("admin:space_due", args=[batch.team.pk])
    client.force_login(people.vera)
    assert "Nothing would go" in client.get(address).content.decode()
    assert "a.png" not in client.get(address, {"failed_days": "31"}).content.decode()
    html = client.get(address, {"failed_days": "29"}).content.decode().replace("\u00a0", " ")
    assert "3 files of Blue" in html
    assert "Page 1 of 2" in html
    assert not RetentionPolicy.objects.exists()
    RetentionPolicy.objects.create(team=batch.team, failed_days=7)
    html = client.get(address).content.decode().replace("\u00a0", " ")
    row = html[html.index(">a.png</span>") :].partition("</tr>")[0]
    assert reverse("admin:job", args=[job.pk]) in row
    assert reverse("admin:batch", args=[batch.pk]) in row
    assert "Files of failed and cancelled jobs" in row
    assert "2.0 KB" in row
    assert ">1.jpg</span>" in client.get(address, {"page": 2}).content.decode()
    assert "Nothing would go" in client.get(address, {"failed_days": ""}).content.decode()
    assert "Nothing would go" in client.get(address, {"rule": "preview_days"}).content.decode()
    assert client.get(address, {"failed_days": "0"}).status_code == 400
    assert client.get(reverse("admin:space_due", args=[red.pk])).status_code == 404
    client.force_login(people.oscar)
    assert client.get(address).status_code == 404
    assert client.post(address).status_code in (404, 405)


def test_leads_change_the_policy_and_nobody_else(client, people, blue, red):
    address = reverse("admin:space_policy", args=[blue.pk])
    for name, status in (("olga", 403), ("rita", 403), ("adam", 403), ("vera", 403), ("oscar", 404)):
        client.force_login(getattr(people, name))
        assert client.post(address, {**DAYS, "preview_days": "7"}).status_code == status
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    client.force_login(people.olga)
    assert client.post(address, {**DAYS, "preview_days": "7"}).status_code == 302
    assert RetentionPolicy.objects.get(team=blue).preview_days == 7
    assert client.get(address).status_code == 405
    wrong = client.post(address, {**DAYS, "preview_days": "0"})
    assert wrong.status_code == 400
    assert "greater than or equal to 1" in wrong.content.decode()
    assert RetentionPolicy.objects.get(team=blue).preview_days == 7


def test_operators_pin_and_unpin(client, people, batch, filled):
    address = reverse("admin:space_pin", args=[batch.pk])
    for name, status in (("rita", 403), ("vera", 403), ("oscar", 404)):
        client.force_login(getattr(people, name))
        assert client.post(address, {"pinned": "1"}).status_code == status
    client.force_login(people.olga)
    client.post(address, {"pinned": "1"})
    assert Pin.objects.get().batch == batch
    client.post(address, {"pinned": "0"})
    assert not Pin.objects.exists()
    assert client.post(reverse("admin:space_pin", args=[10**6]), {"pinned": "1"}).status_code == 404


def test_one_returns_to_where_one_was(client, people, batch, filled):
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    client.force_login(people.olga)
    pin = reverse("admin:space_pin", args=[batch.pk])
    space_page, here = reverse("admin:space"), f"#team-{batch.team.pk}"
    assert client.post(pin, {"pinned": "1"})["Location"] == f"{space_page}{here}"
    html = client.get(space_page, {"team": "blue", "page": 1}).content.decode()
    assert html.count('name="team" value="blue"') == html.count('name="page" value="1"') == 2
    one_team = {"team": "blue", "page": "1"}
    back = f"{space_page}?team=blue&page=1{here}"
    assert client.post(pin, {"pinned": "0", **one_team})["Location"] == back
    policy = reverse("admin:space_policy", args=[batch.team.pk])
    assert client.post(policy, {**DAYS, **one_team})["Location"] == back
    assert client.post(pin, {"pinned": "1", "team": "//evil.example/&x"})["Location"].startswith(
        f"{space_page}?team=%2F"
    )


def test_a_removed_file_is_gone_with_words(client, people, filled):
    Asset.objects.filter(pk=filled.pk).update(removed_at=timezone.now())
    client.force_login(people.vera)
    answer = client.get(reverse("admin:asset_download", args=[filled.pk]))
    assert answer.status_code == 410
    assert "retention policy" in answer.content.decode()
