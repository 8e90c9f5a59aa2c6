"""/api/workers/: everybody with a team sees the machines, leads look after them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db.models.functions import Now

from jobs import workers
from jobs.models import StageBlock, Worker
from jobs.states import Queue
from tests.people import make_person

pytestmark = pytest.mark.django_db
WORKERS = "/api/workers/"
VERBS = {"drain": "draining", "block": "blocked", "activate": "active"}


@pytest.fixture
def worker():
    return workers.announce([Queue.LIGHT])


@pytest.fixture
def block(worker):
    until = Now() + timedelta(hours=1)
    return StageBlock.objects.create(machine=worker.machine, stage=3, reason="no memory", until=until)


@pytest.fixture
def lead(blue):
    person = make_person("lena", blue, "viewer")
    person.user_permissions.add(Permission.objects.get(codename="lead_job"))
    return person


@pytest.mark.parametrize("who", ["olga", "rita", "adam", "vera", "oscar"])
def test_members_of_any_team_see_machines_and_change_nothing(api, people, worker, block, who):
    client = api(getattr(people, who))
    (shown,) = client.get(WORKERS).json()["results"]
    assert (shown["name"], shown["state"], shown["is_silent"]) == (worker.name, "active", False)
    assert shown["capacity"].keys() == {"light"}
    assert [(one["stage"], one["reason"]) for one in shown["blocked_stages"]] == [(3, "no memory")]
    assert client.get(f"{WORKERS}{worker.pk}/").json() == shown
    for verb in (*VERBS, "lift"):
        assert client.post(f"{WORKERS}{worker.pk}/{verb}/", {}).status_code == 403
    assert Worker.objects.get().state == "active"


def test_people_without_a_team_see_none(api, people, worker):
    client = api(people.nobody)
    assert client.get(WORKERS).json()["results"] == []
    assert client.get(f"{WORKERS}{worker.pk}/").status_code == 404
    assert client.post(f"{WORKERS}{worker.pk}/block/", {}).status_code == 404
    assert api().get(WORKERS).status_code == 401


def test_a_lead_drains_blocks_and_readmits(api, lead, worker):
    client = api(lead)
    for verb in ("drain", "block", "activate"):
        answer = client.post(f"{WORKERS}{worker.pk}/{verb}/", {"reason": "New memory."})
        assert (answer.status_code, answer.json()["state"]) == (200, VERBS[verb])
        assert (answer.json()["reason"], answer.json()["changed_by"]) == ("New memory.", "lena")
        assert client.post(f"{WORKERS}{worker.pk}/{verb}/", {}).status_code == 409


def test_a_lead_lifts_the_block_of_a_stage_once(api, lead, worker, block):
    address = f"{WORKERS}{worker.pk}/lift/"
    assert api(lead).post(address, {"stage": 2}).status_code == 409
    assert api(lead).post(address, {"stage": 9}).status_code == 400
    assert api(lead).post(address, {"stage": "preview"}).json()["blocked_stages"] == []
    assert api(lead).post(address, {"stage": 3}).status_code == 409


def test_machines_that_left_are_not_there(api, people, worker):
    workers.leave(worker)
    assert api(people.vera).get(WORKERS).json()["results"] == []
