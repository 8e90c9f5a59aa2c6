"""/api/events/: the history with filters, for those who keep a copy of it, and as files."""

from __future__ import annotations

import csv
import io
import json
import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from batches.models import Batch
from jobs.csv_files import guarded
from jobs.history_chain import head, seal_pending
from jobs.lifecycle import annotate, move
from jobs.models import Event, Seal
from review import event_export
from tests.people import make_job

pytestmark = pytest.mark.django_db
EVENTS = "/api/events/"


def rows(response):
    assert response.status_code == 200, response.content
    return response.json()["results"]


def lines(response):
    assert response.status_code == 200, response.content
    return [json.loads(line) for line in response.getvalue().decode().splitlines()]


def table(response):
    assert response.status_code == 200, response.content
    text = response.getvalue().decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def follow(client, since=0, **parameters):
    """What a program gets that asks until there is nothing more, and the number to go on from."""
    got = []
    while page := rows(client.get(EVENTS, {"since": since, "page_size": 2, **parameters})):
        got += page
        since = page[-1]["number"]
    return got, since


@pytest.fixture
def past(people, batch, red):
    """Five events of Blue and two of Red, in turn, sealed but for the last of Blue."""
    ours = make_job(batch, job_id="PC-1")
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    move(ours, "start", actor=people.olga)
    move(theirs, "start", actor=people.oscar)
    annotate(ours, "comment", actor=people.rita, reason="=1+1", data={"slot": "TITLE"})
    move(ours, "claim")
    annotate(theirs, "comment", actor=people.oscar)
    annotate(ours, "assign", actor=people.rita, data={"assignee": "adam"})
    seal_pending()
    annotate(ours, "comment", actor=people.adam, reason="later")
    return ours


def test_events_tell_their_seal(api, people, past):
    last, sealed, *_ = rows(api(people.vera).get(EVENTS))
    assert (last["number"], last["position"], last["digest"]) == (None, None, None)
    assert (sealed["number"], sealed["position"]) == (6, 4)
    assert sealed["digest"] == Seal.objects.get(number=6).digest
    assert rows(api(people.vera).get(f"/api/jobs/{past.pk}/events/"))[0]["position"] in {1, None}


def test_a_program_that_follows_gets_each_event_of_its_teams_once(api, people, past, blue):
    client = api(people.vera)
    got, since = follow(client)
    assert [event["number"] for event in got] == [1, 3, 4, 6]
    assert [event["position"] for event in got] == [1, 2, 3, 4]
    assert follow(client, since) == ([], since)
    head(blue)
    more, since = follow(client, since)
    assert [(event["number"], event["verb"], event["reason"]) for event in more] == [(7, "comment", "later")]
    assert [event["number"] for event in follow(api(people.root))[0]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_program_may_follow_a_part(api, people, past):
    client = api(people.vera)
    assert [event["number"] for event in follow(client, verb="comment")[0]] == [3]
    assert [event["number"] for event in follow(client, actor="rita")[0]] == [3, 6]
    assert follow(client, team="red")[0] == []
    assert [event["verb"] for event in lines(client.get(f"{EVENTS}export.jsonl?since=3"))] == ["claim", "assign"]


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "9" * 30, "%00", "null"])
def test_a_cursor_that_makes_no_sense_is_400(api, people, past, since):
    for address in (EVENTS, f"{EVENTS}export.csv", f"{EVENTS}export.jsonl"):
        response = api(people.vera).get(address, {"since": since})
        assert response.status_code == 400
        assert list(response.json()) == ["since"]


def test_an_empty_cursor_is_an_error_and_a_far_one_finds_nothing(api, people, past):
    assert "since" in api(people.vera).get(EVENTS, {"since": ""}).json()
    assert rows(api(people.vera).get(EVENTS, {"since": 2**63 - 1})) == []


def test_who_follows_cannot_choose_the_order(api, people, past):
    response = api(people.vera).get(EVENTS, {"since": 0, "ordering": "-at"})
    assert response.status_code == 400
    assert list(response.json()) == ["ordering"]


def test_the_exports_hold_what_the_list_holds_oldest_first(api, people, past):
    client = api(people.vera)
    listed = rows(client.get(EVENTS))[::-1]
    assert lines(client.get(f"{EVENTS}export.jsonl")) == listed
    shown = table(client.get(f"{EVENTS}export.csv"))
    assert list(shown[0]) == list(listed[0])
    assert [row["verb"] for row in shown] == [event["verb"] for event in listed]
    assert shown[1]["reason"] == "'=1+1"
    assert json.loads(shown[1]["data"]) == {"slot": "TITLE"}
    assert (shown[-1]["number"], shown[0]["number"]) == ("", "1")


def test_the_exports_take_the_filters_of_the_list(api, people, past, batch):
    client = api(people.vera)
    for query, count in (
        ("verb=comment", 2), ("actor=rita", 2), ("by_machine=true", 1), (f"job={past.pk}", 5), ("job_id=pc-", 5),
        (f"batch={batch.pk}&verb=claim", 1), ("team=red", 0), ("after=2999-01-01", 0), ("before=2999-01-01", 5),
    ):  # fmt: skip
        assert len(rows(client.get(f"{EVENTS}?{query}"))) == count, query
        assert len(lines(client.get(f"{EVENTS}export.jsonl?{query}"))) == count, query
        assert len(table(client.get(f"{EVENTS}export.csv?{query}"))) == count, query
    assert client.get(f"{EVENTS}export.csv?after=soon").status_code == 400


def test_the_exports_are_downloads(api, people, past):
    for form, kind in (("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")):
        response = api(people.vera).get(f"{EVENTS}export.{form}")
        assert response["Content-Type"] == kind
        assert response["Content-Disposition"] == f'attachment; filename="history.{form}"'
        assert response.streaming
        assert api().get(f"{EVENTS}export.{form}").status_code == 401
        assert api(people.vera).post(f"{EVENTS}export.{form}").status_code == 405


@pytest.mark.parametrize("query", ["", "?since=0"])
def test_an_export_is_read_by_the_page_with_few_queries(api, people, blue, batch, monkeypatch, query):
    monkeypatch.setattr(event_export, "PAGE", 10)
    Event.objects.bulk_create(
        Event(team=blue, batch=batch, verb="comment", actor=people.rita, reason=str(n)) for n in range(95)
    )
    seal_pending()
    with CaptureQueriesContext(connection) as queries:
        shown = lines(api(people.vera).get(f"{EVENTS}export.jsonl{query}"))
    assert [event["reason"] for event in shown] == [str(n) for n in range(95)]
    of_events = [query["sql"] for query in queries if 'FROM "jobs_event"' in query["sql"]]
    assert len(of_events) == 1 + 11
    assert not [query for query in queries if 'FROM "jobs_seal"' in query["sql"]]


def test_events_that_are_written_during_an_export_do_not_prolong_it(api, people, past, monkeypatch):
    monkeypatch.setattr(event_export, "PAGE", 2)
    response = api(people.vera).get(f"{EVENTS}export.jsonl")
    parts = iter(response.streaming_content)
    first = next(parts)
    annotate(past, "comment", reason="meanwhile")
    assert len((first + b"".join(parts)).splitlines()) == 5


def test_hostile_texts_survive_the_exports(api, people, batch, blue):
    texts = [
        'a,"b"\r\nc',
        "\ttab",
        "\rreturn",
        "@cmd",
        "+1",
        "-1",
        " =HYPERLINK(1)",
        "\u00a0=1",
        "Ünï\u2028\U0001f600",
        "'",
        "",
    ]
    for text in texts:
        Event.objects.create(team=blue, batch=batch, verb="comment", reason=text, data={"text": text})
    client = api(people.vera)
    assert [event["reason"] for event in lines_of_jsonl(client.get(f"{EVENTS}export.jsonl"))] == texts
    shown = table(client.get(f"{EVENTS}export.csv"))
    assert [
        row["reason"].removeprefix("'") if guarded(text) != text else row["reason"]
        for row, text in zip(shown, texts, strict=True)
    ] == texts
    assert not [row for row in shown if row["reason"].lstrip(" \u00a0")[:1] in {"=", "+", "-", "@", "\t", "\r"}]
    assert [json.loads(row["data"])["text"] for row in shown] == texts


def lines_of_jsonl(response):
    """By line feeds alone: str.splitlines knows more ends of lines than JSON Lines does."""
    return [json.loads(line) for line in response.getvalue().decode().split("\n") if line]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL takes no half of a surrogate pair")
def test_half_a_surrogate_pair_does_not_end_an_export(api, people, batch, blue):
    Event.objects.create(team=blue, batch=batch, verb="comment", data={"text": "\ud800"})
    client = api(people.vera)
    assert lines_of_jsonl(client.get(f"{EVENTS}export.jsonl"))[0]["data"] == {"text": "\ud800"}
    assert len(table(client.get(f"{EVENTS}export.csv"))) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_committed_after_a_younger_one_is_not_missed(api, people, job, blue):
    client = api(people.vera)
    written, go_on = threading.Event(), threading.Event()

    def write_slowly():
        try:
            with transaction.atomic():
                annotate(job, "comment", reason="first written, last committed")
                written.set()
                assert go_on.wait(30)
        finally:
            connection.close()

    slow = threading.Thread(target=write_slowly)
    slow.start()
    assert written.wait(30)
    annotate(job, "comment", reason="quick")
    seal_pending()
    got, since = follow(client)
    assert [event["reason"] for event in got] == ["quick"]
    go_on.set()
    slow.join()
    seal_pending()
    more, _ = follow(client, since)
    assert [event["reason"] for event in more] == ["first written, last committed"]
    assert more[0]["id"] < got[0]["id"]


@pytest.mark.django_db(transaction=True)
def test_a_program_that_follows_while_many_write_gets_each_event_once(api, people, batch, red):
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    jobs = [make_job(batch), make_job(batch), theirs]
    client, errors, over = api(people.root), [], threading.Event()

    def run(work, times):
        try:
            for _ in range(times):
                work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def write(job):
        with transaction.atomic():
            annotate(job, "comment")
            annotate(job, "comment")

    writers = [threading.Thread(target=run, args=(lambda job=job: write(job), 10)) for job in jobs]
    sealers = [threading.Thread(target=run, args=(seal_pending, 15)) for _ in range(2)]
    for thread in writers + sealers:
        thread.start()
    got, since = [], 0
    while not over.is_set():
        if not any(thread.is_alive() for thread in writers + sealers):
            seal_pending()
            over.set()
        more, since = follow(client, since, page_size=50)
        got += more
    assert errors == []
    assert len(got) == Event.objects.count() == 60
    assert [event["number"] for event in got] == list(range(1, 61))
    assert len({event["id"] for event in got}) == 60


def test_a_copy_may_follow_the_pages_as_well(api, people, past):
    client, got = api(people.root), []
    address = f"{EVENTS}?since=0&page_size=2"
    while address:
        page = client.get(address).json()
        got += [event["number"] for event in page["results"]]
        address = page["next"]
    assert got == [1, 2, 3, 4, 5, 6]
