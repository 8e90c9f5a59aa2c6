"""jobs.api_fields: answers with what was asked for alone."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.api_fields import read_fields
from jobs.states import Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db
JOBS = "/api/jobs/"


@pytest.mark.parametrize(
    ("text", "tree"),
    [(None, {}), ("a", {"a": {}}), ("a,b", {"a": {}, "b": {}}),
     (" a , b.c ", {"a": {}, "b": {"c": {}}}),
     ("a.b,a.c", {"a": {"b": {}, "c": {}}}), ("a,a.b", {"a": {}}), ("a.b,a", {"a": {}}), ("a,", {"a": {}, "": {}})],
)  # fmt: skip
def test_names_are_read_as_a_tree(text, tree):
    assert read_fields(text) == tree


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_a_wish_without_names_is_400(api, people, text):
    answer = api(people.vera).get(JOBS, {"fields": text})
    assert (answer.status_code, list(answer.json())) == (400, ["fields"])


def test_a_list_has_the_fields_that_were_asked_for(api, people, waiting):
    page = api(people.vera).get(f"{JOBS}?fields=id,state,version").json()
    assert page["results"] == [{"id": waiting.pk, "state": "awaiting_review", "version": waiting.version}]
    assert set(page) == {"next", "previous", "results"}


def test_a_record_has_the_fields_inside_fields_that_were_asked_for(api, people, rich):
    shown = api(people.vera).get(f"{JOBS}{rich.pk}/?fields=matches.slot_name,matches.score,batch_name").json()
    assert list(shown) == ["matches", "batch_name"]
    assert {tuple(match) for match in shown["matches"]} == {("slot_name", "score")}


def test_progress_is_narrowed_and_stays_null_without_a_run(api, people, batch):
    make_job(batch)
    rows = api(people.vera).get(f"{JOBS}?fields=progress.percent").json()["results"]
    assert rows == [{"progress": None}]


def test_a_wish_is_forgotten_with_its_request(api, people, waiting):
    client = api(people.vera)
    for fields in ("progress.percent", "progress.step", "progress"):
        assert client.get(f"{JOBS}?fields={fields}").status_code == 200


@pytest.mark.parametrize(
    ("address", "fields", "shown"),
    [
        ("/api/batches/", "id,counts.total", ["id", "counts"]),
        ("/api/events/", "verb", ["verb"]),
        ("/api/jobs/{job}/warnings/", "code,message", ["code", "message"]),
        ("/api/jobs/{job}/events/", "verb,at", ["verb", "at"]),
        ("/api/jobs/{job}/comments/", "text", ["text"]),
        ("/api/teams/", "slug", ["slug"]),
    ],
)
def test_lists_of_every_kind_can_be_narrowed(api, people, rich, address, fields, shown):
    rows = api(people.vera).get(f"{address.replace('{job}', str(rich.pk))}?fields={fields}").json()["results"]
    assert rows
    assert all(list(row) == shown for row in rows)


def test_answers_that_are_no_records_can_be_narrowed(api, people, rich):
    client = api(people.vera)
    assert client.get("/api/me/?fields=username,teams.slug").json() == {"username": "vera", "teams": [{"slug": "blue"}]}
    assert list(client.get("/api/dashboard/?fields=total").json()) == ["total"]
    matches = client.get(f"{JOBS}{rich.pk}/matches/?fields=version,compositions.name").json()
    assert list(matches) == ["version", "compositions"]


@pytest.mark.parametrize("address", [JOBS, "/api/jobs/{job}/", "/api/jobs/{job}/matches/", "/api/me/", "/api/batches/"])
@pytest.mark.parametrize(
    "fields", ["nonsense", "id,nonsense", "id,", "id.x", "__class__", "nonsense.x", "😀", "progress.nonsense"]
)
def test_a_field_that_there_is_not_is_400_and_names_those_that_there_are(api, people, rich, address, fields):
    answer = api(people.vera).get(address.replace("{job}", str(rich.pk)), {"fields": fields})
    assert answer.status_code == 400, answer.content
    assert list(answer.json()) == ["fields"]
    assert "There are: " in answer.json()["fields"][0] or "has no fields" in answer.json()["fields"][0]


def test_a_very_long_wish_is_400(api, people):
    assert api(people.vera).get(f"{JOBS}?fields={'a' * 3000}").status_code == 400


def test_what_is_left_out_is_not_asked_of_the_database(api, people, batch):
    for _ in range(3):
        make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    client = api(people.vera)

    def cost(address):
        with CaptureQueriesContext(connection) as seen:
            client.get(address)
        return len(seen)

    client.get(JOBS)  # the count of requests begins
    assert cost(f"{JOBS}?fields=id,state") <= cost(JOBS) - 2


def test_verbs_answer_with_everything(api, people, waiting):
    answer = api(people.rita).post(f"{JOBS}{waiting.pk}/approve/?fields=id", {"version": waiting.version})
    assert "matches" in answer.json()
