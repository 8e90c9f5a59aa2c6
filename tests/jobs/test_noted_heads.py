"""jobs.noted_heads: what is noted outside of the database, and what it finds."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import connection

from jobs import clock, history_guards, noted_heads, sweeping
from jobs.history_chain import head, last_head, seal_pending
from jobs.history_check import verify
from jobs.lifecycle import annotate
from jobs.models import Event, Team
from jobs.noted_heads import NEWEST, Newest, note_heads, note_hourly

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_process_that_noted_nothing_yet(monkeypatch):
    monkeypatch.setattr(noted_heads, "_done", set())


def go_on(job, times=1):
    for _ in range(times):
        annotate(job, "comment")
    return head(job.team)


def noted(team):
    return noted_heads.noted_heads(team)


def kinds(team):
    return [(finding.kind, finding.position) for finding in verify(team, noted=noted(team))]


def tamper(*statements):
    """Does as somebody who has the database and covers the traces in the triggers."""
    connection.check_constraints()
    history_guards.take_down(connection)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    history_guards.put_up(connection)


def cut_off(team, after):
    """Deletes the newest events of a team with their seals."""
    keys = list(Event.objects.filter(team=team, seal__position__gt=after).values_list("pk", flat=True))
    these = f"({', '.join(map(str, keys))})"
    tamper(f"DELETE FROM jobs_seal WHERE event_id IN {these}", f"DELETE FROM jobs_event WHERE id IN {these}")


def test_a_chain_that_went_on_is_noted_once(blue, red, job):
    assert note_heads() == 0
    heads = [go_on(job)]
    assert (note_heads(), note_heads()) == (1, 0)
    heads.append(go_on(job, 11))
    assert note_heads() == 1
    assert noted(blue) == heads
    assert noted(red) == []
    assert kinds(blue) == kinds(red) == []


def test_the_cut_end_is_found_without_being_asked(blue, job, capsys):
    go_on(job, 5)
    note_heads()
    cut_off(blue, 3)
    assert list(verify(blue)) == []  # the database alone does not know
    with pytest.raises(SystemExit) as end:
        call_command("verify_history")
    assert end.value.code == 1
    assert "cut: blue, position 5: the chain ends at 3, but its head was noted at 5" in capsys.readouterr().out


def test_a_cut_chain_that_grew_over_its_end_again_is_found(blue, job):
    go_on(job, 5)
    note_heads()
    cut_off(blue, 3)
    go_on(job, 2)
    assert kinds(blue) == [("edited", 5)]
    note_heads()
    go_on(job)
    note_heads()
    assert kinds(blue) == [("edited", 5)]  # a later note does not make good an earlier one


def test_a_chain_that_was_written_anew_is_found(blue, job):
    go_on(job, 3)
    note_heads()
    tamper(
        "DELETE FROM jobs_seal",
        "UPDATE jobs_event SET reason = 'fine'",
        "DELETE FROM jobs_unsealed",
        "INSERT INTO jobs_unsealed (event_id, team_id) SELECT id, team_id FROM jobs_event",
    )
    seal_pending()
    assert list(verify(blue)) == []
    assert kinds(blue) == [("edited", 3)]


def test_a_check_from_the_middle_asks_for_later_notes_alone(blue, job):
    go_on(job, 2)
    note_heads()
    go_on(job, 2)
    note_heads()
    assert list(verify(blue, since=3, noted=noted(blue))) == []
    cut_off(blue, 3)
    assert [one.kind for one in verify(blue, since=3, noted=noted(blue))] == ["cut"]


def test_the_sweep_notes_once_an_hour(blue, job, monkeypatch):
    def at(text):
        monkeypatch.setattr(clock, "now", lambda: datetime.fromisoformat(text).replace(tzinfo=UTC))

    go_on(job)
    at("2030-06-01T07:00:00")
    sweeping.sweep_strays()
    assert len(noted(blue)) == 1
    go_on(job)
    at("2030-06-01T07:59:59")
    assert note_hourly() == 0
    at("2030-06-01T08:00:00")
    assert note_hourly() == 1
    at("2030-06-02T08:00:00")
    assert note_hourly() == 0  # it did not go on
    assert len(noted(blue)) == 2


def newest(team):
    """The notes in the folder of the newest, by position."""
    folder = f"{team.pk}/{NEWEST}"
    return sorted(int(name.split("/")[-1].split("-")[0]) for name in storages["heads"].names_below(folder))


def test_the_newest_head_is_noted_beside_those_of_the_hours(blue, red, job, django_assert_num_queries):
    first = go_on(job)
    note_heads()
    notes = Newest()
    assert (notes.note(), newest(blue)) == (1, [1])
    with django_assert_num_queries(1):
        assert notes.note() == 0  # nothing was sealed
    last = go_on(job, 3)
    assert (notes.note(), newest(blue)) == (1, [4])
    assert noted(blue) == [first, last]
    assert newest(red) == []
    # Another machine, or the same one begun anew, lets go of what this one left.
    go_on(job)
    assert (Newest().note(), newest(blue)) == (1, [5])
    assert (notes.note(), newest(blue)) == (0, [5])
    assert kinds(blue) == []


def test_an_end_that_was_cut_seconds_ago_is_found_also_when_the_chain_goes_on(blue, job):
    notes = Newest()
    go_on(job, 5)
    notes.note()
    cut_off(blue, 3)
    assert kinds(blue) == [("cut", 5)]
    go_on(job)
    notes.note()
    assert kinds(blue) == [("cut", 5)]
    go_on(job)
    notes.note()  # one seal at the place of another
    go_on(job, 2)
    notes.note()
    assert kinds(blue) == [("edited", 5)]
    assert newest(blue) == [5, 7], "the note that nothing goes on from stays"
    assert Newest().note() == 0
    assert newest(blue) == [5, 7]


def test_a_storage_that_is_away_is_tried_again_and_said(blue, job, settings, tmp_path, caplog):
    go_on(job)
    (tmp_path / "heads").write_text("no folder")
    with caplog.at_level(logging.ERROR):
        sweeping.sweep_strays()
    assert "jobs.noted_heads.note_hourly failed; it is tried again" in caplog.text
    (tmp_path / "heads").unlink()
    assert note_hourly() == 1
    (tmp_path / "heads" / str(blue.pk) / "strange.txt").write_text("not ours")
    assert len(noted(blue)) == 1


def test_notes_are_never_written_over(blue, job):
    first = go_on(job)
    note_heads()
    name = f"{blue.pk}/{first}".replace(":", "-")
    with storages["heads"].open(name) as file:
        assert file.read() == f"{first}\n".encode()
    with pytest.raises(FileExistsError):
        storages["heads"].put_if_absent(name, None)


def test_in_a_bucket_too(blue, red, job, s3):
    other = Team.objects.create(slug="other", name="Other", pk=blue.pk * 10 + 1)
    heads = [go_on(job), go_on(job, 2)]
    note_heads()
    assert noted(blue) == heads[1:]
    assert noted(other) == []
    assert last_head(blue.pk) == heads[1]
    Newest().note()
    go_on(job)
    Newest().note()
    assert newest(blue) == [4]
    cut_off(blue, 1)
    assert kinds(blue) == [("cut", 4)]


def test_notes_that_cannot_be_read_are_no_verdict(blue, job, s3, settings):
    go_on(job)
    s3.delete_bucket(Bucket="files")
    with pytest.raises(CommandError, match="noted heads of blue cannot be read"):
        call_command("verify_history")
    s3.create_bucket(Bucket="files")
