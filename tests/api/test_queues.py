"""/api/queues/: leads pause and resume a queue; everybody sees which are paused."""

from __future__ import annotations

import pytest

from jobs.claims import claim
from jobs.lifecycle import move
from jobs.models import Event
from tests.people import make_job

pytestmark = pytest.mark.django_db


def shown(client) -> dict[str, tuple[bool, str]]:
    return {row["name"]: (row["paused"], row["reason"]) for row in client.get("/api/queues/").json()["queues"]}


def test_a_lead_pauses_a_queue_and_resumes_it(api, people, batch):
    move(make_job(batch), "start")
    root = api(people.root)
    answer = root.post("/api/queues/light/pause/", {"reason": "The disk is changed."})
    assert (answer.status_code, answer.json()) == (200, {"paused": True})
    assert claim("w") is None
    paused = {"light": (True, "The disk is changed."), "heavy": (False, ""), "io": (False, "")}
    assert shown(root) == shown(api(people.vera)) == paused
    assert root.post("/api/queues/light/pause/", {}).status_code == 409
    assert root.post("/api/queues/light/resume/").json() == {"paused": False}
    assert claim("w") is not None
    assert root.post("/api/queues/light/resume/").status_code == 409
    told = Event.objects.filter(team=batch.team, verb__in=("pause", "resume")).order_by("pk")
    assert list(told.values_list("verb", "reason", "actor__username")) == [
        ("pause", "The disk is changed.", "root"),
        ("resume", "", "root"),
    ]


@pytest.mark.parametrize("who", ["olga", "rita", "adam", "vera", "oscar"])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_nobody_else_does(api, people, who, verb):
    assert api(getattr(people, who)).post(f"/api/queues/light/{verb}/", {}).status_code == 403
    assert shown(api(people.root))["light"] == (False, "")


@pytest.mark.parametrize("name", ["nonsense", "LIGHT", "light%00", "*"])
def test_there_is_no_other_queue(api, people, name):
    assert api(people.root).post(f"/api/queues/{name}/pause/", {}).status_code == 404


def test_a_reason_must_be_words(api, people):
    assert api(people.root).post("/api/queues/light/pause/", {"reason": {"no": "text"}}).status_code == 400
    assert shown(api(people.root))["light"] == (False, "")
