"""review.api: the verbs, each up the whole ladder."""

from __future__ import annotations

import pytest

from jobs.models import Event, Warning
from jobs.states import Role, Stage, State
from review.models import Decision
from tests.people import make_person
from tests.review.builders import at_delivery, at_matching, at_preview, place

pytestmark = pytest.mark.django_db


def failed(batch):
    job = at_matching(batch)
    place(job, Stage.MATCHING, State.FAILED)
    return job


def pending(batch):
    job = at_matching(batch)
    place(job, Stage.INGESTION, State.PENDING)
    return job


def held(batch):
    job = at_matching(batch)
    place(job, Stage.MATCHING, State.ON_HOLD, held_state="in_review")
    return job


# verb: (how the job is made, who may, body, state afterwards)
VERBS = {
    "start": (pending, "olga", {}, "processing"),
    "approve": (at_matching, "rita", {"version": 0}, "processing"),
    "approve_preview": (at_preview, "adam", {"version": 0}, "ready_for_validation"),
    "force": (at_delivery, "adam", {"version": 0, "reason": "The client wants it."}, "ready_for_validation"),
    "reject": (at_preview, "adam", {"version": 0, "reason": "Too dark."}, "awaiting_review"),
    "retry": (failed, "olga", {}, "processing"),
    "cancel": (at_matching, "olga", {"reason": "Not needed."}, "cancelled"),
    "hold": (at_matching, "olga", {}, "on_hold"),
    "release": (held, "olga", {}, "awaiting_review"),
    "requeue": (at_preview, "olga", {"stage": "ingestion"}, "processing"),
    "amend": (at_matching, "rita", {"version": 0, "slot_id": "1:1", "layer_id": 5}, "awaiting_review"),
    "choose_comp": (at_matching, "rita", {"version": 0, "comp_id": 2}, "processing"),
}
ADDRESSES = {"approve_preview": "approve", "force": "approve"}
# reject leads back into matching's review, but only when its preparation can be shown again.
AFTER = {"reject": ("awaiting_review", "processing")}


def test_the_newest_change_is_taken_back_once(api, people, batch):
    job = at_matching(batch)
    before = list(job.matches.order_by("id").values("slot_id", "layer_id"))
    client = api(people.rita)
    amended = client.post(f"/api/jobs/{job.pk}/amend/", {"version": 0, "slot_id": "1:1", "layer_id": None}).json()
    assert list(job.matches.order_by("id").values("slot_id", "layer_id")) != before
    for who, status in (("vera", 403), ("olga", 403), ("oscar", 404)):
        answer = api(getattr(people, who)).post(f"/api/jobs/{job.pk}/undo/", {"version": amended["version"]})
        assert answer.status_code == status
    assert client.post(f"/api/jobs/{job.pk}/undo/", {}).status_code == 400
    undone = client.post(f"/api/jobs/{job.pk}/undo/", {"version": amended["version"]})
    assert undone.status_code == 200
    assert list(job.matches.order_by("id").values("slot_id", "layer_id")) == before
    again = client.post(f"/api/jobs/{job.pk}/undo/", {"version": undone.json()["version"]})
    assert (again.status_code, again.json()["job"]["id"]) == (409, job.pk)


def address(name, job):
    return f"/api/jobs/{job.pk}/{ADDRESSES.get(name, name)}/"


@pytest.fixture(params=VERBS)
def rung(request, batch, people):
    make, who, body, after = VERBS[request.param]
    return request.param, make(batch), getattr(people, who), body, after


def test_the_verb_moves_the_job_and_answers_with_it_fresh(api, rung):
    name, job, who, body, after = rung
    response = api(who).post(address(name, job), body)
    assert response.status_code == 200, response.content
    shown = response.json()
    job.refresh_from_db()
    assert shown["state"] in AFTER.get(name, (after,))
    assert (shown["state"], shown["version"]) == (job.public_state, job.version)
    assert job.version > 0
    assert Event.objects.filter(job=job, version=1, actor=who).exists()


def test_other_methods_are_405(api, rung):
    name, job, who, _, _ = rung
    client = api(who)
    for method in ("get", "put", "patch", "delete", "options"):
        response = getattr(client, method)(address(name, job))
        assert response.status_code == 405, method
        assert "POST" in response["Allow"]


def test_without_credentials_it_is_401_and_tells_how(api, rung):
    name, job, _, body, _ = rung
    response = api().post(address(name, job), body)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/json"


def test_another_teams_job_is_404_and_stays_as_it_is(api, rung, people):
    name, job, _, body, _ = rung
    assert api(people.oscar).post(address(name, job), body).status_code == 404
    job.refresh_from_db()
    assert job.version == 0


def test_without_the_role_it_is_403_and_names_the_role(api, rung, people):
    name, job, _, body, _ = rung
    response = api(people.vera).post(address(name, job), body)
    assert response.status_code == 403
    assert "This takes the role" in response.json()["detail"]
    job.refresh_from_db()
    assert job.version == 0


def test_a_repeated_click_is_409_with_the_present_state(api, rung):
    name, job, who, body, _ = rung
    body = {**body, "version": 0}
    client = api(who)
    assert client.post(address(name, job), body).status_code == 200
    response = client.post(address(name, job), body)
    assert response.status_code == 409
    job.refresh_from_db()
    conflict = response.json()
    assert set(conflict) == {"detail", "state", "allowed", "job"}
    assert conflict["state"] == conflict["job"]["state"] == job.public_state
    assert conflict["job"]["version"] == job.version
    assert conflict["allowed"] == conflict["job"]["allowed"]
    assert job.events.filter(actor=who).count() == 1


def test_a_verb_that_the_state_forbids_is_409(api, people, batch):
    response = api(people.olga).post(f"/api/jobs/{at_matching(batch).pk}/retry/", {})
    assert response.status_code == 409
    assert response.json()["allowed"] == ["cancel", "hold", "requeue"]


@pytest.mark.parametrize("name", ["approve", "reject", "amend", "choose_comp"])
def test_a_version_that_is_none_is_400(api, people, batch, name):
    make, who, body, _ = VERBS[name]
    where, client = address(name, make(batch)), api(getattr(people, who))
    for version in ("x", -1, 1.5, None, [], {}, "", 2**31, 10**400):
        response = client.post(where, {**body, "version": version})
        assert response.status_code == 400, version
        assert list(response.json()) == ["version"]


@pytest.mark.parametrize("name", ["approve", "reject", "amend", "choose_comp"])
def test_the_version_that_was_seen_is_required(api, people, batch, name):
    make, who, body, _ = VERBS[name]
    without = {key: value for key, value in body.items() if key != "version"}
    response = api(getattr(people, who)).post(address(name, make(batch)), without)
    assert (response.status_code, response.json()) == (400, {"version": ["This field is required."]})


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("reject", {"reason": ""}, "reason"),
        ("reject", {"reason": "a\0b"}, "reason"),
        ("reject", {"reason": "x" * 10_001}, "reason"),
        ("reject", {"stage": "nowhere"}, "stage"),
        ("reject", {"stage": True}, "stage"),
        ("reject", {"stage": 4}, "stage"),
        ("force", {"reason": "short"}, "reason"),
        ("requeue", {"stage": None}, "stage"),
        ("requeue", {"stage": 9}, "stage"),
        ("amend", {"slot_id": "9:9"}, "slot_id"),
        ("amend", {"layer_id": 999}, "layer_id"),
        ("amend", {"layer_id": 7}, "layer_id"),
        ("amend", {"layer_id": "x"}, "layer_id"),
        ("amend", {"layer_id": 10**30}, "layer_id"),
        ("choose_comp", {"comp_id": 99}, "comp_id"),
    ],
)
def test_what_cannot_be_used_is_400_with_the_field(api, people, batch, name, change, field):
    make, who, body, _ = VERBS[name]
    job = make(batch)
    response = api(getattr(people, who)).post(address(name, job), {**body, **change})
    assert response.status_code == 400, response.content
    assert list(response.json()) == [field]
    job.refresh_from_db()
    assert job.version == 0


def test_an_approval_is_written_down_with_the_hash_of_what_was_shown(api, people, waiting):
    api(people.rita).post(f"/api/jobs/{waiting.pk}/approve/", {"version": 0, "reason": "Good."})
    decision = Decision.objects.get(job=waiting)
    assert (decision.verb, decision.user, decision.reason) == ("approve_matches", people.rita, "Good.")
    assert len(decision.shown_sha256) == 64


def test_amend_changes_places_and_null_empties_the_slot(api, people, waiting):
    client = api(people.rita)
    body = {"slot_id": "1:1", "layer_id": 5, "version": 0}
    job = client.post(f"/api/jobs/{waiting.pk}/amend/", body).json()
    assert [match["layer_id"] for match in job["matches"]] == [5, 4, 6]
    assert job["matches"][0]["origin"] == "human"
    assert job["matches"][0]["changed_by"] == "rita"
    body = {"slot_id": "1:1", "layer_id": None, "version": job["version"]}
    assert client.post(f"/api/jobs/{waiting.pk}/amend/", body).json()["matches"][0]["layer_id"] is None


def test_a_colleague_is_asked_to_look_after_a_job_and_nobody_again(api, people, waiting):
    client = api(people.rita)
    where = f"/api/jobs/{waiting.pk}/assign/"
    assert client.post(where, {"assignee": "adam"}).json()["assignee"] == "adam"
    assert client.post(where, {"assignee": None}).json()["assignee"] is None


@pytest.mark.parametrize("name", ["oscar", "nobody-there", "vera", "", 7, ["adam"]])
def test_only_those_who_decide_in_the_team_can_be_asked(api, people, waiting, name):
    response = api(people.rita).post(f"/api/jobs/{waiting.pk}/assign/", {"assignee": name})
    assert response.status_code == 400
    assert list(response.json()) == ["assignee"]


def test_people_of_other_teams_and_people_who_are_not_look_alike(api, people, waiting):
    def words(name):
        response = api(people.rita).post(f"/api/jobs/{waiting.pk}/assign/", {"assignee": name})
        return response.json()["assignee"][0].replace(name, "X")

    assert words("oscar") == words("no-such-person")


def test_a_comment_is_created(api, people, waiting):
    response = api(people.rita).post(f"/api/jobs/{waiting.pk}/comment/", {"text": " Please check. "})
    assert response.status_code == 201
    assert (response.json()["text"], response.json()["user"]) == ("Please check.", "rita")
    assert waiting.comments.count() == 1


def test_the_priority_is_changed_by_its_name(api, people, waiting):
    where = f"/api/jobs/{waiting.pk}/priority/"
    assert api(people.olga).post(where, {"priority": "urgent"}).json()["priority"] == "urgent"
    waiting.refresh_from_db()
    assert waiting.priority == 0
    for wrong in ("0", 0, "medium", None, {}):
        assert api(people.olga).post(where, {"priority": wrong}).status_code == 400


BESIDE = {"assign": {"assignee": "adam"}, "comment": {"text": "Hello."}, "priority": {"priority": "low"}}


@pytest.mark.parametrize("name", BESIDE)
def test_the_ladder_of_what_is_done_beside_the_life_of_a_job(api, people, waiting, name):
    where = f"/api/jobs/{waiting.pk}/{name}/"
    assert api(people.olga).get(where).status_code == 405
    assert api().post(where, BESIDE[name]).status_code == 401
    assert api(people.oscar).post(where, BESIDE[name]).status_code == 404
    assert api(people.vera).post(where, BESIDE[name]).status_code == 403
    assert api(people.olga).post(where, {}).status_code == 400
    assert waiting.events.count() == 0


@pytest.fixture
def warning(rich):
    return Warning.objects.get(job=rich)


def test_a_warning_is_accepted_with_a_note_and_opened_again(api, people, warning):
    client = api(people.rita)
    where = f"/api/warnings/{warning.pk}/resolve/"
    shown = client.post(where, {"resolution": "accepted", "note": "The client knows."}).json()
    assert (shown["resolution"], shown["resolved_by"], shown["note"]) == ("accepted", "rita", "The client knows.")
    assert client.post(where, {"resolution": ""}).json()["resolved_by"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [({"resolution": "accepted"}, "note"), ({"resolution": "gone"}, "resolution"), ({}, "resolution")],
)
def test_a_resolution_that_is_none_is_400(api, people, warning, body, field):
    response = api(people.rita).post(f"/api/warnings/{warning.pk}/resolve/", body)
    assert (response.status_code, list(response.json())) == (400, [field])


def test_the_ladder_of_resolving(api, people, warning):
    where, body = f"/api/warnings/{warning.pk}/resolve/", {"resolution": "resolved"}
    assert api(people.rita).get(where).status_code == 405
    assert api().post(where, body).status_code == 401
    assert api(people.oscar).post(where, body).status_code == 404
    assert api(people.vera).post(where, body).status_code == 403
    warning.refresh_from_db()
    assert warning.resolution == ""


def test_a_role_in_one_team_counts_for_nothing_in_another(api, people, waiting, blue, red):
    """A viewer of Blue who approves in Red."""
    both = make_person("both", red, Role.REVIEWER, Role.APPROVER, Role.OPERATOR)
    blue.memberships.create(user=both, role=Role.VIEWER)
    client = api(both)
    assert client.get(f"/api/jobs/{waiting.pk}/").json()["allowed"] == []
    assert client.post(f"/api/jobs/{waiting.pk}/approve/", {"version": 0}).status_code == 403
