"""jobs.history_chain: what happened is sealed in order, once, whoever seals; and can be neither changed nor deleted."""

from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from batches.models import Batch
from jobs import history_chain, history_guards, sweeping
from jobs.history_chain import COLUMNS, Head, digest_of, head, seal_pending
from jobs.lifecycle import annotate, move
from jobs.models import Event, Seal, Unsealed
from tests.people import make_job

pytestmark = pytest.mark.django_db


def chain(team):
    return list(Seal.objects.filter(team=team).order_by("position").values_list("position", "event__verb"))


def test_the_digest_covers_every_column_of_an_event():
    assert set(COLUMNS) == {field.attname for field in Event._meta.concrete_fields}


def test_a_team_without_history_has_an_empty_head(blue):
    assert head(blue) == Head(0, "")
    assert str(head(blue)) == "0:"


def test_the_head_seals_what_waits(blue, job):
    move(job, "start")
    annotate(job, "comment", reason='Ünïcode \U0001f600 \\ " \n', data={"b": [1.5, None, True], "a": "x"})
    assert Unsealed.objects.count() == 2
    found = head(blue)
    assert chain(blue) == [(1, "start"), (2, "comment")]
    first, last = Seal.objects.order_by("position")
    assert found == Head(2, last.digest)
    assert (first.previous, last.previous) == ("", first.digest)
    assert len(found.digest) == 64
    assert Unsealed.objects.count() == 0
    assert head(blue) == found


def test_the_digest_can_be_computed_again_from_what_is_stored(blue, job):
    annotate(job, "comment", data={"number": 1e22, "deep": [{"z": 1, "a": 0.1}]})
    head(blue)
    seal = Seal.objects.get()
    event = Event.objects.values(*COLUMNS).get()
    place = {name: getattr(seal, name) for name in ("number", "team_id", "position", "sealed_at", "previous")}
    assert digest_of(event, **place) == seal.digest


def test_the_sweep_seals_each_team_in_a_chain_of_its_own(blue, red, batch, people):
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    for job in (make_job(batch), theirs, make_job(batch)):
        move(job, "start")
    sweeping.sweep()
    assert [seal[0] for seal in chain(blue)] == [1, 2]
    assert [seal[0] for seal in chain(red)] == [1]
    assert list(Seal.objects.values_list("number", flat=True)) == [1, 2, 3]
    assert Seal.objects.get(team=red).previous == ""


def test_a_long_history_is_sealed_in_bounded_steps(blue, job, monkeypatch):
    monkeypatch.setattr(history_chain, "CHUNK", 10)
    monkeypatch.setattr(history_chain, "SWEEP_SECONDS", 0)
    Event.objects.bulk_create(Event(team=blue, job=job, verb="comment") for _ in range(45))
    assert [seal_pending() for _ in range(6)] == [10, 10, 10, 10, 5, 0]
    assert [position for position, _ in chain(blue)] == list(range(1, 46))


def test_one_sweep_seals_more_than_a_chunk_while_it_has_time(blue, job, monkeypatch):
    monkeypatch.setattr(history_chain, "CHUNK", 10)
    monkeypatch.setattr(history_chain, "SWEEP_SECONDS", 3600)
    Event.objects.bulk_create(Event(team=blue, job=job, verb="comment") for _ in range(45))
    assert [seal_pending(), seal_pending()] == [45, 0]


def test_the_head_needs_more_than_one_step(blue, job, monkeypatch):
    monkeypatch.setattr(history_chain, "CHUNK", 10)
    Event.objects.bulk_create(Event(team=blue, job=job, verb="comment") for _ in range(40))
    assert head(blue).position == 40


def test_what_was_rolled_back_is_not_sealed(blue, job):
    with transaction.atomic():
        move(job, "start")
        transaction.set_rollback(True)
    assert head(blue) == Head(0, "")


def test_a_note_that_was_left_behind_seals_nothing_twice(blue, job):
    event = annotate(job, "comment")
    before = head(blue)
    Unsealed.objects.create(event=event, team=blue)
    assert head(blue) == before
    assert Unsealed.objects.count() == 0


def test_who_never_wins_the_race_is_told_and_does_not_try_for_ever(blue, monkeypatch):
    tries = []

    def lose(waiting):
        tries.append(waiting)
        raise IntegrityError("duplicate key")

    monkeypatch.setattr(history_chain, "_seal", lose)
    with pytest.raises(IntegrityError):
        head(blue)
    assert len(tries) == history_chain.MOST_TRIES
    assert seal_pending() == 0


CHANGES = [
    "UPDATE jobs_event SET reason = 'x'",
    "UPDATE jobs_event SET verb = verb",
    "DELETE FROM jobs_event",
    "UPDATE jobs_seal SET digest = 'x'",
    "DELETE FROM jobs_seal",
]
CHANGES_OF_VENDOR = {
    "postgresql": ["TRUNCATE jobs_seal", "TRUNCATE jobs_event CASCADE"],
    "sqlite": [
        "REPLACE INTO jobs_event SELECT * FROM jobs_event",
        "REPLACE INTO jobs_seal SELECT * FROM jobs_seal",
    ],
}


def test_the_database_refuses_to_change_the_history(blue, job):
    move(job, "start")
    head(blue)
    before = list(Event.objects.values()), list(Seal.objects.values())
    connection.check_constraints()
    for statement in CHANGES + CHANGES_OF_VENDOR[connection.vendor]:
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    for refused in (Event.objects.all().delete, lambda: Seal.objects.update(position=7), Seal.objects.all().delete):
        with pytest.raises(IntegrityError), transaction.atomic():
            refused()
    assert (list(Event.objects.values()), list(Seal.objects.values())) == before


def test_every_trigger_that_is_gone_is_named():
    assert history_guards.missing(connection) == []
    names = history_guards.names(connection.vendor)
    assert len(names) == (5 if connection.vendor == "sqlite" else 7)
    for name in names:
        table = "jobs_seal" if name.startswith("jobs_seal") else "jobs_event"
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {name}{f' ON {table}' if connection.vendor == 'postgresql' else ''}")
        assert history_guards.missing(connection) == [name]
        history_guards.put_up(connection)
    assert history_guards.missing(connection) == []


@pytest.mark.django_db(transaction=True)
def test_many_sealers_and_writers_make_one_chain_of_each_team(blue, red, batch, people):
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    jobs = [make_job(batch), make_job(batch), theirs, theirs]
    gate = threading.Barrier(len(jobs) + 3)
    errors = []

    def run(work):
        try:
            gate.wait()
            for _ in range(8):
                work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    works = [lambda job=job: annotate(job, "comment") for job in jobs]
    works += [seal_pending, lambda: head(blue), lambda: head(red)]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (head(blue).position, head(red).position) == (16, 16)
    assert [position for position, _ in chain(blue)] == list(range(1, 17))
    assert list(Seal.objects.values_list("number", flat=True)) == list(range(1, 33))
    assert Seal.objects.values("event").distinct().count() == 32
