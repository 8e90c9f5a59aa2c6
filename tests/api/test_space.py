"""/api/teams/{id}/retention/ and pins: what files take, and how long they are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from jobs.models import Asset, Event, Job, Pin, RetentionPolicy
from jobs.states import Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(batch):
    job = make_job(batch, Stage.DELIVERY, State.FAILED)
    Job.objects.filter(pk=job.pk).update(moved_at=timezone.now() - timedelta(days=30))
    return Asset.objects.create(
        team=batch.team, job=job, kind="layer", name="a.png", storage_name="aa/a.png", size_bytes=2048, sha256="0" * 64
    )


def test_use_policy_and_dry_run_for_all_of_the_team(api, people, blue, filled, batch):
    shown = api(people.vera).get(f"/api/teams/{blue.pk}/retention/").json()
    assert shown["policy"] == dict.fromkeys(RetentionPolicy.DAYS)
    assert shown["use"] == {"files": 1, "named_bytes": 2048, "stored_bytes": 2048}
    assert {row["files"] for row in shown["due"]} == {0}
    assert [(row["batch"], row["pinned"]) for row in shown["largest_batches"]] == [(batch.pk, False)]
    assert api(people.vera).get(f"/api/teams/{blue.pk}/retention/?fields=use.files").json() == {"use": {"files": 1}}


def test_leads_change_the_policy_and_see_what_it_would_remove(api, people, blue, filled, batch):
    address = f"/api/teams/{blue.pk}/retention/"
    for who, status in (("olga", 403), ("rita", 403), ("adam", 403), ("vera", 403), ("oscar", 404), ("nobody", 404)):
        assert api(getattr(people, who)).patch(address, {"failed_days": 7}).status_code == status
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    client = api(people.olga)
    shown = client.patch(address, {"failed_days": 7, "preview_days": 30}).json()
    assert [(row["rule"], row["files"], row["size_bytes"]) for row in shown["due"] if row["files"]] == [
        ("failed_days", 1, 2048)
    ]
    assert client.patch(address, {"preview_days": None}).json()["policy"]["failed_days"] == 7
    assert Asset.objects.get(pk=filled.pk).removed_at is None  # a dry run
    client.post(f"/api/batches/{batch.pk}/pin/")
    assert not [row for row in client.get(address).json()["due"] if row["files"]]
    assert Event.objects.filter(verb="set_retention").count() == 2


def test_the_dry_run_lists_every_file_that_would_go(api, people, blue, red, filled, batch):
    other = Asset.objects.create(
        team=blue, job=filled.job, kind="layer", name="b.png", storage_name="bb", size_bytes=1, sha256="1" * 64
    )
    address = f"/api/teams/{blue.pk}/retention/due/"
    client = api(people.vera)
    assert client.get(address).json()["results"] == []
    assert client.get(f"{address}?failed_days=31").json()["results"] == []
    listed = client.get(f"{address}?failed_days=7&page_size=1&count=true").json()
    row = {
        "id": filled.pk, "name": "a.png", "kind": "layer", "size_bytes": 2048, "rule": "failed_days",
        "job": filled.job_id, "batch": batch.pk, "batch_name": "Spring",
    }  # fmt: skip
    assert (listed["count"], listed["results"]) == (2, [row])
    assert [one["id"] for one in client.get(listed["next"]).json()["results"]] == [other.pk]
    assert not RetentionPolicy.objects.exists()
    RetentionPolicy.objects.create(team=blue, failed_days=7)
    assert len(client.get(f"{address}?rule=failed_days").json()["results"]) == 2
    assert client.get(f"{address}?rule=preview_days").json()["results"] == []
    for wrong in ("rule=x", "failed_days=0", "failed_days=x", "failed_days=", "page=2", "day=1"):
        answer = client.get(f"{address}?{wrong}")
        assert (answer.status_code, list(answer.json())) == (400, [wrong.partition("=")[0]])
    assert client.get(f"/api/teams/{red.pk}/retention/due/").status_code == 404
    assert api(people.oscar).get(address).status_code == 404
    assert api(people.oscar).get(f"/api/teams/{red.pk}/retention/due/?deleted_days=1").json()["results"] == []


@pytest.mark.parametrize(
    "body", [{"failed_days": 0}, {"failed_days": "7"}, {"failed_days": 10**9}, {"forever": 1}, {"failed_days": 1.5}]
)
def test_a_policy_that_makes_no_sense_is_400(api, people, blue, body):
    answer = api(people.root).patch(f"/api/teams/{blue.pk}/retention/", body)
    assert (answer.status_code, list(answer.json())) == (400, list(body))
    assert not RetentionPolicy.objects.exists()


def test_operators_pin_and_unpin_as_often_as_they_like(api, people, batch):
    for who, status in (("rita", 403), ("adam", 403), ("vera", 403), ("oscar", 404)):
        assert api(getattr(people, who)).post(f"/api/batches/{batch.pk}/pin/").status_code == status
    client = api(people.olga)
    for _ in range(2):
        assert client.post(f"/api/batches/{batch.pk}/pin/").json() == {"pinned": True}
    assert Pin.objects.get().by == people.olga
    for _ in range(2):
        assert client.post(f"/api/batches/{batch.pk}/unpin/").json() == {"pinned": False}
    assert list(Event.objects.order_by("id").values_list("verb", flat=True)) == ["pin", "unpin"]
