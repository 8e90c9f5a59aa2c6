"""jobs.history_check: whatever is done to the history past the application is found, and told with its row."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches.models import Batch
from jobs import history_check, history_guards
from jobs.history_chain import COLUMNS, Head, head, seal_pending
from jobs.history_check import Reading, holes, unguarded, verify
from jobs.lifecycle import annotate, move
from jobs.models import Event, Seal
from tests.people import make_job

pytestmark = pytest.mark.django_db

LENGTH = 7
LAST_MOVE = 2
"""The place of the job's last move; what follows are remarks."""
RED = "(SELECT id FROM jobs_team WHERE slug = 'red')"
LAST = "(SELECT id FROM jobs_event ORDER BY id DESC LIMIT 1)"


@pytest.fixture
def chained(blue, red, batch, people):
    """Blue's seven sealed events, in order, among them three of Red, in a database without triggers."""
    job = make_job(batch, job_id="PC-1")
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    move(job, "start", actor=people.olga)
    annotate(job, "comment", actor=people.rita, reason="Look", data={"slot": "TITLE", "layers": [1, 2]})
    annotate(theirs, "comment")
    head(blue)
    move(job, "claim", data={"worker": "w:1"})
    annotate(theirs, "comment")
    seal_pending()
    for number in range(4):
        annotate(job, "prioritise", actor=people.olga, data={"priority": number})
    seal_pending()
    annotate(theirs, "comment")
    head(red)
    connection.check_constraints()
    history_guards.take_down(connection)
    return list(Event.objects.filter(team=blue).order_by("seal__position").values_list("pk", flat=True))


def found(team, *statements, **options):
    """What the check finds in the team's chain after the statements, which are taken back."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        findings = list(verify(team, **options))
        transaction.set_rollback(True)
    return findings


def kinds(findings):
    return [(finding.kind, finding.position) for finding in findings]


def its_job(place):
    """What the job tells besides when the event of its last move is gone."""
    return [("deleted", None)] if place == LAST_MOVE else []


def test_an_untouched_chain_has_no_findings(blue, red, chained):
    assert len(chained) == LENGTH
    reading = Reading()
    assert list(verify(blue, reading=reading)) == []
    assert reading.head == head(blue)
    assert (reading.waiting, reading.head.position) == (0, LENGTH)
    assert list(verify(red)) == []
    assert list(holes()) == []


def test_a_team_without_history_has_no_findings(blue):
    assert list(verify(blue)) == []
    assert list(verify(blue, expect=Head(0, ""))) == []


# A value for each column of an event and of a seal that differs from what stands there.
EVENT_VALUES = {
    "id": "900001",
    "team_id": RED,
    "batch_id": "NULL",
    "job_id": "NULL",
    "version": "77",
    "verb": "'approve_matches'",
    "actor_id": "(SELECT id FROM auth_user WHERE username = 'adam')",
    "from_stage": "3",
    "from_state": "'failed'",
    "to_stage": "4",
    "to_state": "'cancelled'",
    "reason": "'nothing to see'",
    "data": "'{\"a\": 1}'",
    "at": "'2024-02-29 12:00:00+00:00'",
}
SEAL_VALUES = {
    "number": "900001",
    "team_id": RED,
    "position": "900001",
    "event_id": LAST,
    "sealed_at": "'2024-02-29 12:00:00+00:00'",
    "previous": f"'{'0' * 64}'",
    "digest": f"'{'0' * 64}'",
}
# An event has one seal, and a place in a chain is held by one: what must go first, for the change to be possible.
ROOM = {
    "event_id": f"DELETE FROM jobs_seal WHERE event_id = {LAST}",
    "team_id": f"UPDATE jobs_seal SET position = position + 100 WHERE team_id = {RED}",
}


def test_every_column_is_mutated_below():
    assert set(EVENT_VALUES) == set(COLUMNS)
    assert set(SEAL_VALUES) == {field.attname for field in Seal._meta.concrete_fields}


@pytest.mark.parametrize("place", [0, 3, LENGTH - 1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("column", EVENT_VALUES)
def test_an_edited_event_is_found(blue, chained, column, place):
    pk = chained[place]
    findings = found(blue, f"UPDATE jobs_event SET {column} = {EVENT_VALUES[column]} WHERE id = {pk}")
    kind = "deleted" if column == "id" else "edited"
    assert kinds(findings)[0] == (kind, place + 1)
    assert findings[0].event == pk
    # Renumbering one event deletes one and puts in another.
    assert [one.kind for one in findings[1:]] == (["inserted"] if column == "id" else [])


@pytest.mark.parametrize("place", [0, 3, LENGTH - 1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("column", SEAL_VALUES)
def test_an_edited_seal_is_found(blue, red, chained, column, place):
    change = f"UPDATE jobs_seal SET {column} = {SEAL_VALUES[column]} WHERE event_id = {chained[place]}"
    findings = found(blue, ROOM.get(column, "SELECT 1"), change)
    if column in {"team_id", "position"}:
        assert {"missing", "inserted"} & {one.kind for one in findings}
    elif column == "event_id":
        assert ("edited", place + 1) in kinds(findings)
        assert ("inserted", chained[place]) in [(one.kind, one.event) for one in findings]
    else:
        assert ("edited", place + 1) in kinds(findings)
    if column == "digest" and place < LENGTH - 1:
        assert ("reordered", place + 2) in kinds(findings)


@pytest.mark.parametrize("place", range(LENGTH))
def test_a_deleted_event_is_found(blue, chained, place):
    findings = found(blue, f"DELETE FROM jobs_event WHERE id = {chained[place]}")
    assert kinds(findings) == [("deleted", place + 1), *its_job(place)]
    assert findings[0].event == chained[place]


@pytest.mark.parametrize("place", range(LENGTH))
def test_an_event_that_was_deleted_with_its_seal_is_found(blue, chained, place):
    before = head(blue)
    statements = [
        f"DELETE FROM {table} = {chained[place]}" for table in ("jobs_seal WHERE event_id", "jobs_event WHERE id")
    ]
    if place < LENGTH - 1:
        assert kinds(found(blue, *statements)) == [("missing", place + 1), *its_job(place)]
    else:
        assert kinds(found(blue, *statements)) == []
        assert kinds(found(blue, *statements, expect=before)) == [("cut", LENGTH)]


@pytest.mark.parametrize("left", range(LENGTH))
def test_a_cut_end_with_moves_in_it_is_told_by_their_jobs(blue, chained, left):
    """Though nobody noted a head: the job knows how often it moved."""
    gone = f"({', '.join(map(str, chained[left:]))})"
    findings = found(
        blue, f"DELETE FROM jobs_seal WHERE event_id IN {gone}", f"DELETE FROM jobs_event WHERE id IN {gone}"
    )
    if left > LAST_MOVE:
        assert findings == []
    else:
        assert kinds(findings) == [("deleted", None)]
        assert "job PC-1" in findings[0].message
        assert findings[0].message.endswith(f"moved 2 times, but its history ends with move {1 if left else 0}")


def test_the_cut_end_of_one_chain_shows_in_the_numbers_of_all(blue, chained):
    last = Seal.objects.get(team=blue, position=LENGTH).number
    assert last < Seal.objects.count()
    with transaction.atomic():
        Seal.objects.filter(team=blue, position__gte=LENGTH - 1)._raw_delete("default")
        assert [one.message for one in holes()] == [
            f"the seals with the numbers {last - 1} to {last} are gone, of whatever team"
        ]
        transaction.set_rollback(True)


@pytest.mark.parametrize("places", [(0, 1), (2, 3), (0, LENGTH - 1), (LENGTH - 2, LENGTH - 1)])
def test_swapped_events_are_found(blue, chained, places):
    first, second = (chained[place] for place in places)
    # By their seals: each event stands at the place of the other.
    findings = found(
        blue,
        f"UPDATE jobs_seal SET event_id = -1 WHERE event_id = {first}",
        f"UPDATE jobs_seal SET event_id = {first} WHERE event_id = {second}",
        f"UPDATE jobs_seal SET event_id = {second} WHERE event_id = -1",
    )
    assert kinds(findings) == [("edited", place + 1) for place in places]


@pytest.mark.parametrize("places", [(0, 1), (2, 4), (LENGTH - 2, LENGTH - 1)])
def test_swapped_places_are_found(blue, chained, places):
    first, second = (place + 1 for place in places)
    where = "UPDATE jobs_seal SET position = {} WHERE team_id = " + f"{blue.pk} AND position = " + "{}"
    findings = found(blue, where.format(-1, first), where.format(first, second), where.format(second, -1))
    assert {("edited", first), ("edited", second)} <= set(kinds(findings))
    assert "reordered" in {one.kind for one in findings}


@pytest.mark.parametrize("columns", ["reason", "verb", "data", "at"])
def test_swapped_contents_are_found(blue, chained, columns):
    first, second = chained[1], chained[2]
    one, two = (Event.objects.get(pk=pk) for pk in (first, second))
    assert getattr(one, columns) != getattr(two, columns)
    swap = f"UPDATE jobs_event SET {columns} = (SELECT {columns} FROM jobs_event AS other WHERE other.id = {second})"
    assert kinds(found(blue, f"{swap} WHERE id = {first}")) == [("edited", 2)]


def test_an_event_that_was_put_in_past_us_is_found(blue, chained, batch):
    event = Event.objects.create(team=blue, batch=batch, verb="approve_preview")
    findings = list(verify(blue))
    assert [(one.kind, one.event) for one in findings] == [("inserted", event.pk)]


def test_an_event_that_was_put_into_the_past_is_found_though_it_was_sealed(blue, chained, batch):
    history_guards.put_up(connection)
    Event.objects.create(team=blue, batch=batch, verb="approve_preview", at=timezone.now() - timedelta(days=3))
    assert head(blue).position == LENGTH + 1
    findings = list(verify(blue))
    assert kinds(findings) == [("late", LENGTH + 1)]
    assert "approve_preview" in findings[0].message


def test_a_clock_that_was_ahead_once_does_not_make_all_later_events_late(blue, batch):
    Event.objects.create(team=blue, batch=batch, verb="comment", at=timezone.now() + timedelta(days=300))
    head(blue)
    Event.objects.create(team=blue, batch=batch, verb="comment")
    assert head(blue).position == 2
    assert list(verify(blue)) == []


def test_an_old_history_that_is_sealed_later_has_no_findings(blue, batch):
    for days in (40, 30, 30, 2):
        Event.objects.create(team=blue, batch=batch, verb="comment", at=timezone.now() - timedelta(days=days))
    seal_pending()
    assert list(verify(blue)) == []


def test_a_seal_that_was_put_in_between_is_found(blue, chained, batch):
    event = Event.objects.create(team=blue, batch=batch, verb="approve_preview")
    where = f"team_id = {blue.pk} AND position"
    statements = [f"UPDATE jobs_seal SET position = position + 1000 WHERE {where} > 3"]
    statements += [f"UPDATE jobs_seal SET position = position - 999 WHERE {where} > 1000"]
    statements += [
        "INSERT INTO jobs_seal (number, team_id, position, event_id, sealed_at, previous, digest)"
        f" SELECT 9000, {blue.pk}, 4, {event.pk}, sealed_at, digest, '{'a' * 64}' FROM jobs_seal WHERE {where} = 3"
    ]
    assert {("edited", 4), ("reordered", 5), ("edited", 5)} <= set(kinds(found(blue, *statements)))


def test_an_event_that_was_deleted_before_it_was_sealed_is_found(blue, job):
    event = annotate(job, "comment")
    connection.check_constraints()
    history_guards.take_down(connection)
    findings = found(blue, f"DELETE FROM jobs_event WHERE id = {event.pk}")
    assert [(one.kind, one.event) for one in findings] == [("deleted", event.pk)]


def test_what_waits_for_its_seal_is_counted(blue, job):
    annotate(job, "comment")
    reading = Reading()
    assert list(verify(blue, reading=reading)) == []
    assert reading.waiting == 1


def test_the_head_that_was_noted_must_be_in_the_chain(blue, chained):
    noted = Seal.objects.get(team=blue, position=4)
    assert list(verify(blue, expect=Head(4, noted.digest))) == []
    assert list(verify(blue, expect=Head(4, noted.digest[:12]))) == []
    assert list(verify(blue, expect=Head(4, noted.digest), since=4)) == []
    assert kinds(verify(blue, expect=Head(4, noted.digest[:11]))) == [("edited", 4)]
    assert kinds(verify(blue, expect=Head(4, "f" * 64))) == [("edited", 4)]
    assert kinds(verify(blue, expect=Head(99, noted.digest))) == [("cut", 99)]


def test_a_chain_that_was_written_anew_is_found_by_a_head_that_was_noted(blue, red, chained):
    noted = head(blue)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_seal")
        cursor.execute(f"UPDATE jobs_event SET reason = 'fine' WHERE id = {chained[2]}")
        cursor.execute("INSERT INTO jobs_unsealed (event_id, team_id) SELECT id, team_id FROM jobs_event")
    seal_pending()
    assert list(verify(blue)) == []
    assert kinds(verify(blue, expect=noted)) == [("edited", LENGTH)]


def test_a_check_may_begin_in_the_middle(blue, chained):
    edit = f"UPDATE jobs_event SET reason = 'x' WHERE id IN ({chained[1]}, {chained[5]})"
    assert kinds(found(blue, edit)) == [("edited", 2), ("edited", 6)]
    assert kinds(found(blue, edit, since=3)) == [("edited", 6)]
    assert kinds(found(blue, edit, since=LENGTH)) == []
    assert kinds(found(blue, since=50)) == [("missing", 50)]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases keep values of the column's kind alone")
@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE jobs_event SET at = 'yesterday' WHERE id = {}", 3),
        ("UPDATE jobs_event SET at = '2026-13-45 00:00:00' WHERE id = {}", 3),
        ("UPDATE jobs_event SET at = 7 WHERE id = {}", 3),
        ("UPDATE jobs_event SET verb = x'00ff' WHERE id = {}", 3),
        ("UPDATE jobs_seal SET sealed_at = 'yesterday' WHERE event_id = {}", 3),
        ("UPDATE jobs_seal SET digest = 7 WHERE event_id = {}", 3),
        ("UPDATE jobs_seal SET position = 'x' WHERE event_id = {}", 3),
        ("UPDATE jobs_seal SET position = 2.5 WHERE event_id = {}", 3),
    ],
)
def test_values_that_cannot_stand_in_their_column_are_found(blue, chained, statement, position):
    findings = found(blue, "PRAGMA ignore_check_constraints = ON", statement.format(chained[2]))
    assert findings
    assert findings[0].position in {position, 2.5, None}


def test_many_pages_are_read_as_one_chain(blue, batch, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(history_check, "PAGE", 10)
    Event.objects.bulk_create(Event(team=blue, batch=batch, verb="comment", reason=str(n)) for n in range(95))
    head(blue)
    pages = []
    with django_assert_num_queries(10 * 2 + 5):
        assert list(verify(blue, reading=Reading(on_page=pages.append))) == []
    assert pages == [*range(10, 100, 10), 95]
    connection.check_constraints()
    history_guards.take_down(connection)
    pk = Seal.objects.get(position=50).event_id
    assert kinds(found(blue, f"UPDATE jobs_event SET verb = 'x' WHERE id = {pk}")) == [("edited", 50)]
    assert kinds(found(blue, f"DELETE FROM jobs_seal WHERE event_id = {pk}"))[0] == ("missing", 50)


def test_triggers_that_are_gone_are_found(chained):
    assert {one.kind for one in unguarded()} == {"unguarded"}
    assert len(list(unguarded())) == (5 if connection.vendor == "sqlite" else 7)
    history_guards.put_up(connection)
    assert list(unguarded()) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_no_change_of_any_text_is_missed(blue, chained, data):
    """Any text and any data in place of what was there: found unless it is the same."""
    pk = chained[data.draw(st.integers(0, LENGTH - 1))]
    column = data.draw(st.sampled_from(["reason", "verb", "from_state", "to_state"]))
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    value = data.draw(st.text(letters, max_size=20))
    before = Event.objects.values_list(column, flat=True).get(pk=pk)
    with transaction.atomic():
        Event.objects.filter(pk=pk).update(**{column: value})
        assert bool(list(verify(blue))) == (value != before)
        transaction.set_rollback(True)
