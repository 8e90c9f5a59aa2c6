"""review.space: the space page, for those who may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from jobs.models import Asset, Pin, RetentionPolicy
from tests.people import make_job

pytestmark = pytest.mark.django_db
DAYS = dict.fromkeys(RetentionPolicy.DAYS, "")


@pytest.fixture
def filled(batch):
    job = make_job(batch)
    return Asset.objects.create(
        team=batch.team, job=job, kind="layer", name="a.png", storage_name="aa/a.png", size_bytes=2048, sha256="0" * 64
    )


def test_the_page_shows_what_the_teams_files_take(client, people, batch, filled):
    client.force_login(people.vera)
    html = client.get(reverse("admin:space")).content.decode()
    assert batch.name in html
    assert "2.0" in html
    assert "Change the policy" not in html
    client.force_login(people.oscar)
    assert batch.name not in client.get(reverse("admin:space")).content.decode()


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


def test_a_removed_file_is_gone_with_words(client, people, filled):
    from django.utils import timezone

    Asset.objects.filter(pk=filled.pk).update(removed_at=timezone.now())
    client.force_login(people.vera)
    answer = client.get(reverse("admin:asset_download", args=[filled.pk]))
    assert answer.status_code == 410
    assert "retention policy" in answer.content.decode()
