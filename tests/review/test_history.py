"""review.history: what happened in my teams, in words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobs import workers
from jobs.history_chain import head
from jobs.lifecycle import annotate, move
from jobs.models import Event
from jobs.states import VERBS, Stage, State
from review.decisions import approve, assign, set_priority
from review.history import PAST, in_words
from tests.people import make_job

pytestmark = pytest.mark.django_db


def told(client, user, **parameters):
    client.force_login(user)
    response = client.get(reverse("admin:history"), parameters)
    assert response.status_code == 200
    return [in_words(entry["event"]) for entry in response.context["told"]]


def test_an_approval_is_told_in_words(client, people, batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, job_id="PC-003")
    approve(people.rita, job, version=0)
    assert told(client, people.vera)[0] == "rita approved the matches of PC-003: awaiting review → processing"
    html = client.get(reverse("admin:history")).content.decode()
    assert "approved the matches of" in html
    assert "Awaiting review" in html


def test_remarks_beside_the_life_of_a_job_are_told(client, people, batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, job_id="A")
    assign(people.rita, job, assignee=people.adam)
    set_priority(people.olga, job, priority=0)
    annotate(job, "amend", actor=people.rita, data={"slot": "TITLE", "from": "", "to": "Überschrift"})
    assert told(client, people.vera) == [
        "rita amended the matches of A (TITLE: nothing → Überschrift)",
        "olga changed the priority of A (to urgent)",
        "rita assigned A (to adam)",
    ]


def test_machines_are_told_apart_from_people(client, people, batch):
    job = make_job(batch, Stage.INGESTION, State.QUEUED, job_id="A")
    move(job, "claim", data={"worker": "w:1"})
    move(job, "fail", reason="a.psd: ends early", data={"attempt": 3})
    move(job, "retry", actor=people.olga)
    assert told(client, people.vera, person="machines") == [
        "The machine gave up on A (attempt 3): processing → failed",
        "The machine began to work on A (worker w:1)",
    ]
    assert told(client, people.vera, person=str(people.olga.pk)) == ["olga tried again A: failed → processing"]
    assert "a.psd: ends early" in client.get(reverse("admin:history")).content.decode()


def test_other_teams_events_are_not_told(client, people, batch):
    move(make_job(batch), "start", actor=people.olga)
    assert told(client, people.oscar) == []
    assert len(told(client, people.root)) == 1
    client.force_login(people.oscar)
    html = client.get(reverse("admin:history")).content.decode()
    assert "Spring" not in html
    assert "olga" not in html


def test_filters_by_verb_batch_job_and_date(client, people, batch):
    first, second = make_job(batch, job_id="AAA"), make_job(batch, job_id="BBB")
    move(first, "start", actor=people.olga)
    Event.objects.create(
        team=batch.team, batch=batch, job=second, verb="comment", at=datetime(2020, 5, 4, 23, 59, tzinfo=UTC)
    )
    assert len(told(client, people.vera, verb="start")) == 1
    assert len(told(client, people.vera, verb="comment")) == 1
    assert len(told(client, people.vera, job="bb")) == 1
    assert len(told(client, people.vera, batch=str(batch.pk))) == 2
    assert len(told(client, people.vera, since="2020-05-05")) == 1
    assert len(told(client, people.vera, until="2020-05-04")) == 1
    assert len(told(client, people.vera, since="2020-05-04", until="2020-05-04")) == 1


@pytest.mark.parametrize(
    "parameters",
    [{"verb": "explode"}, {"person": "-3"}, {"batch": "x"}, {"since": "yesterday"}, {"page": "0"}, {"job": ""}],
)
def test_filters_that_make_no_sense_filter_nothing(client, people, batch, parameters):
    move(make_job(batch), "start", actor=people.olga)
    assert len(told(client, people.vera, **parameters)) == 1


def test_a_date_that_is_none_is_named(client, people):
    client.force_login(people.vera)
    assert "Enter a valid date" in client.get(reverse("admin:history"), {"since": "yesterday"}).content.decode()


def test_the_history_is_closed_to_strangers_and_to_other_methods(client, people):
    assert client.get(reverse("admin:history")).status_code == 302
    client.force_login(people.vera)
    assert client.post(reverse("admin:history")).status_code == 405


def test_every_verb_has_words():
    assert set(VERBS) | {*workers.VERBS.values(), "lift_block"} <= set(PAST)


@pytest.mark.parametrize("verb", [*PAST, "unheard_of"])
@pytest.mark.parametrize("data", [{}, {"priority": 77}, {"assignee": None}, [], {"slot": None}])
def test_no_event_breaks_the_page(client, people, batch, verb, data):
    Event.objects.create(team=batch.team, batch=batch, verb=verb, data=data)
    assert told(client, people.vera)[0].startswith("The machine ")


def test_events_of_a_batch_are_told_without_a_job(client, people, batch):
    Event.objects.create(
        team=batch.team, batch=batch, verb="open_batch", actor=people.olga, data={"jobs": 12, "sheet": "demo.csv"}
    )
    assert told(client, people.vera) == ["olga opened Spring (12 jobs from demo.csv)"]


@pytest.mark.parametrize("jobs", [2, 30])
def test_the_queries_do_not_grow_with_the_events(client, people, batch, jobs):
    for _ in range(jobs):
        move(make_job(batch), "start", actor=people.olga)
    client.force_login(people.vera)
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("admin:history"))
    # session, person, membership, two for Django's permissions; people, batches, how many, events, heads
    assert len(queries) <= 10, [query["sql"][:120] for query in queries]


def test_the_heads_of_my_teams_are_shown(client, people, batch, blue, red):
    Event.objects.create(team=red, verb="pause")
    move(make_job(batch), "start", actor=people.olga)
    heads = {team.name: str(head(team)) for team in (blue, red)}
    client.force_login(people.vera)
    html = client.get(reverse("admin:history")).content.decode()
    assert heads["Blue"] in html
    assert heads["Red"] not in html
    assert "Sealed up to event 1 of Blue" in html
    client.force_login(people.root)
    html = client.get(reverse("admin:history")).content.decode()
    assert heads["Blue"] in html
    assert heads["Red"] in html
    client.force_login(people.nobody)
    assert "Sealed" not in client.get(reverse("admin:history")).content.decode()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"verb": "comment"},
        {"person": "machines"},
        {"person": "rita"},
        {"job": "AA&b=1"},
        {"since": "2020-05-05", "until": "2020-05-06"},
        {"since": "2020-05-05", "verb": "comment", "batch": "this"},
        {"verb": "explode", "since": "yesterday", "job": ""},
    ],
)
def test_an_export_from_the_page_holds_what_the_page_shows(client, people, batch, parameters):
    named = {"person": {"rita": people.rita.pk}, "batch": {"this": batch.pk}}
    parameters = {name: named.get(name, {}).get(value, value) for name, value in parameters.items()}
    for name, actor in (("AAA", None), ("AA&b=1", people.rita)):
        job = make_job(batch, job_id=name)
        for day in (4, 5, 6, 7):
            for hour in (0, 23):
                at = datetime(2020, 5, day, hour, 59, tzinfo=UTC)
                Event.objects.create(team=batch.team, batch=batch, job=job, verb="comment", actor=actor, at=at)
        annotate(job, "assign", actor=actor)
    client.force_login(people.vera)
    page = client.get(reverse("admin:history"), parameters)
    links = re.findall(r'href="(/api/events/export\.[^"]+)"', page.content.decode())
    assert [link.partition("?")[0] for link in links] == ["/api/events/export.csv", "/api/events/export.jsonl"]
    lines = client.get(unescape(links[1])).getvalue().decode().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {entry["event"].pk for entry in page.context["told"]}


def test_a_long_history_has_pages(client, people, batch):
    Event.objects.bulk_create(Event(team=batch.team, batch=batch, verb="comment") for _ in range(120))
    assert len(told(client, people.vera)) == 50
    assert len(told(client, people.vera, page="3")) == 20
