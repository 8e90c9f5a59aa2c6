"""/api/shares/ and /api/downloads/: links for people without an account, and who took what."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from batches.models import Download, ShareLink
from jobs.models import Event
from jobs.tokens import Scope, issue

pytestmark = pytest.mark.django_db
SHARES = "/api/shares/"


@pytest.fixture(autouse=True)
def _fresh_counts():
    cache.clear()


@pytest.mark.parametrize("who", ["olga", "adam"])
def test_a_link_of_a_batch_is_made_opened_listed_and_revoked(api, people, rich, who):
    client = api(getattr(people, who))
    asked = {"batch": rich.batch_id, "days": 7, "note": "Ada"}
    answer = client.post(SHARES, asked, headers={"Idempotency-Key": "1"})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["state"], made["note"], made["created_by"], made["job"]) == ("open", "Ada", who, None)
    assert Client().get(made["address"]).status_code == 200
    token = made["address"].rstrip("/").rpartition("/")[2]
    assert client.post(SHARES, asked, headers={"Idempotency-Key": "1"}).json() == made
    assert ShareLink.objects.count() == 1
    for shown in (client.get(SHARES), client.get(f"{SHARES}{made['id']}/"), client.get("/api/events/")):
        assert token not in shown.content.decode()
    assert client.delete(f"{SHARES}{made['id']}/").status_code == 204
    assert Client().get(made["address"]).status_code == 404
    assert client.delete(f"{SHARES}{made['id']}/").status_code == 409
    assert client.get(f"{SHARES}{made['id']}/").json()["state"] == "revoked"
    assert list(Event.objects.order_by("id").values_list("verb", flat=True))[-2:] == ["share", "revoke_share"]


def test_a_link_of_one_job_gives_the_kinds_that_were_chosen(api, people, rich):
    made = api(people.olga).post(SHARES, {"job": rich.pk, "days": 1, "kinds": ["previews"]}).json()
    assert (made["job"], made["batch"], made["kinds"]) == (rich.pk, rich.batch_id, ["previews"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"days": 7}, "batch"), ({"batch": 1, "job": 1, "days": 7}, "batch"), ({"batch": 1, "days": 0}, "days"),
        ({"batch": 1, "days": 10**6}, "days"), ({"batch": 1}, "days"), ({"batch": 1, "days": 7, "kinds": []}, "kinds"),
        ({"batch": 1, "days": 7, "kinds": ["all"]}, "kinds"), ({"batch": -1, "days": 7}, "batch"),
        ({"batch": 1, "days": 7, "note": "x" * 201}, "note"), ({"batch": "1", "days": 7}, "batch"),
        ({"batch": 1, "days": 7, "token": "mine"}, "token"),
    ],
)  # fmt: skip
def test_a_link_that_makes_no_sense_is_400_by_name(api, people, rich, body, field):
    answer = api(people.olga).post(SHARES, body)
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_who_may_not(api, people, rich):
    body = {"batch": rich.batch_id, "days": 7}
    for who, status in (("rita", 403), ("vera", 403), ("oscar", 404), ("nobody", 404)):
        assert api(getattr(people, who)).post(SHARES, body).status_code == status
    reader = api()
    reader.credentials(HTTP_AUTHORIZATION=f"Bearer {issue(people.olga, name='x', scopes=(Scope.READ,))[1]}")
    assert reader.post(SHARES, body).status_code == 403
    assert not ShareLink.objects.exists()


def test_who_took_what_is_listed_for_the_team(api, people, rich):
    client = api(people.olga)
    made = client.post(SHARES, {"batch": rich.batch_id, "days": 7}).json()
    link = ShareLink.objects.get()
    Download.objects.create(team=rich.team, batch=rich.batch, link=link, etag="x", size_bytes=9, sent_bytes=9, kinds=[])
    Download.objects.create(team=rich.team, batch=rich.batch, user=people.vera, etag="x", size_bytes=9, kinds=[])
    rows = api(people.vera).get(f"/api/downloads/?link={made['id']}").json()["results"]
    assert [(row["link"], row["user"], row["is_whole"]) for row in rows] == [(made["id"], None, True)]
    rows = api(people.vera).get(f"/api/downloads/?batch={rich.batch_id}").json()["results"]
    assert [(row["link"], row["user"], row["is_whole"]) for row in rows] == [
        (None, "vera", False), (made["id"], None, True)
    ]  # fmt: skip
    assert api(people.oscar).get("/api/downloads/").json()["results"] == []
