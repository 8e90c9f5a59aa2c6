"""batches.naming: how a batch is opened and what it is called"""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from batches.models import Batch
from batches.naming import amend, external_ids_of, open_batch
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Event, Team
from tests.people import make_job, make_person

AT = datetime(2025, 11, 4, 21, 30, tzinfo=UTC)


@pytest.fixture
def at_night(monkeypatch):
    """Half past nine in the evening in London, half past one of the next day in Dubai."""
    monkeypatch.setattr(Batch._meta.get_field("created_at"), "_get_default", lambda: AT)


def test_the_directory_is_named_by_prefix_day_and_number(people, blue, at_night):
    first = open_batch(people.olga, blue, designs=["PL-DXB191_GI_Defense_V1.png", "in/PL-DXB7.psd", "x.psd"])
    assert (first.directory_name, first.name) == ("PL_DXB_2025-11-04_batch-1", "PL_DXB_2025-11-04_batch-1")
    assert not first.is_renamed
    second = open_batch(people.olga, blue, prefix="pl dxb", name="  My   batch ", description="3-view Render")
    assert (second.directory_name, second.name) == ("PL_DXB_2025-11-04_batch-2", "My batch")
    assert (second.is_renamed, second.description) == (True, "3-view Render")
    assert open_batch(people.olga, blue, clients=["Northwind"]).directory_name == "NORTHWIND_2025-11-04_batch-1"
    assert open_batch(people.olga, blue).directory_name == "BATCH_2025-11-04_batch-1"


def test_the_day_is_that_of_the_team(people, blue, at_night):
    blue.time_zone = "Asia/Dubai"
    blue.save()
    batch = open_batch(people.olga, blue)
    assert (batch.day, batch.directory_name) == (date(2025, 11, 5), "BATCH_2025-11-05_batch-1")


def test_every_team_counts_for_itself(people, blue, red):
    assert open_batch(people.olga, blue).number == open_batch(people.oscar, red).number == 1


def test_opening_is_for_operators_and_told(people, blue):
    with pytest.raises(NotAllowed, match="operator"):
        open_batch(people.rita, blue)
    with pytest.raises(NotAllowed):
        open_batch(people.oscar, blue)
    batch = open_batch(people.olga, blue, data={"jobs": 3})
    event = Event.objects.get()
    assert (event.verb, event.batch, event.actor, event.data) == ("open_batch", batch, people.olga, {"jobs": 3})


def test_what_rolls_back_leaves_no_gap(people, blue):
    with transaction.atomic():
        open_batch(people.olga, blue)
        transaction.set_rollback(True)
    assert open_batch(people.olga, blue).number == 1


def test_a_number_that_was_left_is_not_given_again(people, blue, at_night):
    batch = open_batch(people.olga, blue, prefix="OLD")
    had = [batch.directory_name]
    for prefix in ("NEW", "OLD", "NEW"):
        batch = amend(people.olga, batch, prefix=prefix)
        had.append(batch.directory_name)
    had.append(open_batch(people.olga, blue, prefix="OLD").directory_name)
    given = [("OLD", 1), ("NEW", 1), ("OLD", 2), ("NEW", 2), ("OLD", 3)]
    assert had == [f"{prefix}_2025-11-04_batch-{number}" for prefix, number in given]


def test_a_prefix_that_rolls_back_leaves_no_gap(people, blue, batch):
    with transaction.atomic():
        amend(people.olga, batch, prefix="NEW")
        transaction.set_rollback(True)
    assert amend(people.olga, batch, prefix="NEW").number == 1


def test_a_deleted_batch_keeps_its_number(people, blue):
    first = open_batch(people.olga, blue)
    Batch.objects.filter(pk=first.pk).update(deleted_at=AT)
    assert open_batch(people.olga, blue).number == 2


def test_another_reason_not_to_save_is_not_taken_for_a_race(people, blue):
    batch = Batch(team=blue, created_by=people.olga)
    batch.source = None
    with pytest.raises(IntegrityError), transaction.atomic():
        batch.save()


@pytest.mark.django_db(transaction=True)
def test_doors_that_number_batches_at_once_leave_no_gap_and_give_no_number_twice(at_night):
    """Each opens batches, moves them to another prefix, and rolls some openings and moves back."""
    team = Team.objects.create(name="Racers", slug="racers")
    user = make_person("runner", team, "operator")
    start, failures = threading.Barrier(6), []

    def run():
        try:
            start.wait(timeout=30)
            for _ in range(4):
                with transaction.atomic():
                    open_batch(user, team, designs=["PL-DXB1.psd"])
                    transaction.set_rollback(True)
                batch = open_batch(user, team, designs=["PL-DXB1.psd"])
                with transaction.atomic():
                    amend(user, batch, prefix="NEW")
                    transaction.set_rollback(True)
                amend(user, batch, prefix="NEW")
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    moves = [event.data["directory_name"] for event in Event.objects.filter(verb="amend_batch")]
    for names in zip(*moves, strict=True):
        assert sorted(int(name.rpartition("-")[2]) for name in names) == list(range(1, 25))
    assert {name.partition("_2")[0] for names in moves for name in names} == {"PL_DXB", "NEW"}


def test_a_name_of_its_own_and_back(people, blue, batch):
    directory = batch.directory_name
    assert amend(people.olga, batch, name="Launch").name == "Launch"
    assert amend(people.olga, batch, name="  ").name == directory
    assert [event.data for event in Event.objects.order_by("id")] == [
        {"name": ["Spring", "Launch"]},
        {"name": ["Launch", directory]},
    ]


def test_what_stays_as_it_is_is_not_told(people, batch):
    amend(people.olga, batch, name="Spring", prefix=batch.prefix, description="", external_ids={})
    assert not Event.objects.exists()


def test_another_prefix_is_another_directory(people, blue, batch):
    open_batch(people.olga, blue, prefix="NEW")
    moved = amend(people.olga, batch, prefix="new")
    assert (moved.number, moved.name) == (2, "Spring")
    assert moved.directory_name == f"NEW_{moved.day}_batch-2"
    unnamed = amend(people.olga, moved, name="")
    assert amend(people.olga, unnamed, prefix="Other").name == f"OTHER_{moved.day}_batch-1"


def test_a_blank_prefix_is_that_of_the_files(people, batch):
    make_job(batch, psd_path="in/PL-DXB1.psd")
    assert amend(people.olga, batch, prefix=" ").prefix == "PL_DXB"


def test_external_ids_are_replaced_as_a_whole(people, batch):
    amend(people.olga, batch, external_ids={"monday": "4711", "dropbox": " /Clients/PL "})
    assert external_ids_of(batch) == {"dropbox": "/Clients/PL", "monday": "4711"}
    amend(people.olga, batch, external_ids={"monday": "4712"})
    assert external_ids_of(batch) == {"monday": "4712"}


SENSELESS = [
    *[{"": "x"}, {"A": "x"}, {"a b": "x"}, {"a": ""}, {"a": " "}, {"a": "x" * 501}, {"a": "x\0"}, {"a" * 61: "x"}],
    {f"k{number}": "x" for number in range(51)},
]


@pytest.mark.parametrize("known", SENSELESS, ids=range(len(SENSELESS)))
def test_external_ids_that_make_no_sense_are_refused(people, blue, batch, known):
    with pytest.raises(Invalid) as amended:
        amend(people.olga, batch, external_ids=known)
    with pytest.raises(Invalid) as opened:
        open_batch(people.olga, blue, external_ids=known)
    assert amended.value.field == opened.value.field == "external_ids"
    assert Batch.objects.count() == 1


@pytest.mark.parametrize("field", ["name", "description"])
@pytest.mark.parametrize("text", ["x" * 501, "a\0b", "\ud800"])
def test_words_that_cannot_be_shown_are_refused(people, batch, field, text):
    with pytest.raises(Invalid) as caught:
        amend(people.olga, batch, **{field: text})
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["rita", "adam", "vera", "oscar", "nobody"])
def test_amending_is_for_operators(people, batch, name):
    with pytest.raises(NotAllowed):
        amend(getattr(people, name), batch, name="x")


def test_a_deleted_batch_is_not_amended(people, batch):
    Batch.objects.filter(pk=batch.pk).update(deleted_at=AT)
    with pytest.raises(Conflict, match="deleted"):
        amend(people.olga, batch, name="x")
