"""manage.py verify_history: says what was touched, and ends with 1 when anything was."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from jobs import history_guards
from jobs.history_chain import head
from jobs.lifecycle import annotate, move
from jobs.management.commands import verify_history
from jobs.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def history(blue, red, job, people):
    """Three sealed events and one that waits, all of Blue."""
    move(job, "start", actor=people.olga)
    annotate(job, "comment", actor=people.rita, reason="Look")
    annotate(job, "prioritise", actor=people.olga)
    head(blue)
    return list(Event.objects.values_list("pk", flat=True))


def edit(pk, reason="x"):
    """Changes an event as somebody would who has the database, and covers the traces in the triggers."""
    connection.check_constraints()
    history_guards.take_down(connection)
    Event.objects.filter(pk=pk).update(reason=reason)
    history_guards.put_up(connection)


def run(capsys, *arguments):
    """The exit code and what was printed."""
    try:
        call_command("verify_history", *arguments)
    except SystemExit as end:
        return end.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_an_untouched_history_is_said_to_be_one(blue, history, job, capsys):
    annotate(job, "comment")
    code, out = run(capsys)
    assert code == 0
    assert "red: nothing was touched. Head 0:\n" in out
    assert "blue: nothing was touched. Head 3:" in out
    assert "1 events wait for their seal" in out


def test_an_edited_event_is_named(blue, history, capsys):
    edit(history[1])
    code, out = run(capsys)
    assert code == 1
    assert f"edited: blue, position 2, event {history[1]}: the event (comment) or its seal was changed" in out
    assert "blue: 1 findings" in out


TOUCHED = {
    "edited": ["UPDATE jobs_event SET verb = 'approve_preview' WHERE id = {second}"],
    "deleted": ["DELETE FROM jobs_event WHERE id = {second}"],
    "missing": ["DELETE FROM jobs_seal WHERE event_id = {second}", "DELETE FROM jobs_event WHERE id = {second}"],
    "inserted": [
        "INSERT INTO jobs_event (team_id, batch_id, job_id, verb, from_state, to_state, reason, data, at)"
        " SELECT team_id, batch_id, job_id, verb, from_state, to_state, 'put in', data, at FROM jobs_event"
        " WHERE id = {second}"
    ],
    "reordered": [
        "UPDATE jobs_seal SET position = 1000 WHERE event_id = {second}",
        "UPDATE jobs_seal SET position = 2 WHERE event_id = {third}",
        "UPDATE jobs_seal SET position = 3 WHERE event_id = {second}",
    ],
}
"""What somebody does who has the database, by what is said of it."""


@pytest.mark.parametrize("kind", TOUCHED)
def test_whatever_was_done_to_the_history_is_said_and_ends_with_1(blue, history, capsys, monkeypatch, kind):
    monkeypatch.setattr(verify_history, "unguarded", lambda: ())  # the triggers would be put up again
    connection.check_constraints()
    history_guards.take_down(connection)
    with transaction.atomic():
        assert run(capsys)[0] == 0
        with connection.cursor() as cursor:
            for statement in TOUCHED[kind]:
                cursor.execute(statement.format(second=history[1], third=history[2]))
        code, out = run(capsys)
        transaction.set_rollback(True)
    assert code == 1
    assert f"{kind}: blue, " in out


def test_one_team_is_checked_alone(blue, red, history, capsys):
    edit(history[1])
    assert run(capsys, "--team", "red")[0] == 0
    assert run(capsys, "--team", "blue")[0] == 1
    assert run(capsys, "--team", "blue", "--since", "2")[0] == 0


def test_json_for_programs(blue, red, history, capsys):
    noted = head(blue)
    code, out = run(capsys, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["findings"]) == (0, True, [])
    assert [team["team"] for team in told["teams"]] == ["blue", "red"]
    assert told["teams"][0] == {
        **{"team": "blue", "position": 3, "digest": noted.digest, "waiting": 0},
        **{"findings": [], "findings_total": 0},
    }
    edit(history[0])
    code, out = run(capsys, "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)
    (finding,) = json.loads(out)["teams"][0]["findings"]
    assert (finding["kind"], finding["position"], finding["event"]) == ("edited", 1, history[0])


def test_a_head_that_was_noted_elsewhere_is_expected(blue, history, capsys):
    noted = str(head(blue))
    assert run(capsys, "--team", "blue", "--expect", noted)[0] == 0
    assert run(capsys, "--team", "blue", "--expect", noted[:20])[0] == 0
    code, out = run(capsys, "--team", "blue", "--expect", f"4:{noted[2:]}")
    assert code == 1
    assert "cut: blue, position 4: the chain ends at 3, but it once reached 4" in out


def test_a_trigger_that_is_gone_is_told(history, capsys):
    connection.check_constraints()
    history_guards.take_down(connection)
    code, out = run(capsys)
    assert code == 1
    assert "unguarded: the trigger jobs_event_keeps_rows is not in the database" in out


def test_the_list_of_findings_has_an_end(blue, history, capsys, monkeypatch):
    monkeypatch.setattr(verify_history, "MOST_LISTED", 2)
    for pk in history:
        edit(pk)
    code, out = run(capsys)
    assert code == 1
    assert out.count("edited:") == 2
    assert "… and 1 more" in out
    assert "blue: 3 findings" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--team", "green"], "There is no team green. Teams: blue, red"),
        (["--expect", "3:" + "a" * 64], "name it with --team"),
        (["--since", "1"], "name it with --team"),
        (["--team", "blue", "--expect", "3:abc"], "3:abc is no head: POSITION:DIGEST"),
        (["--team", "blue", "--expect", "x:" + "a" * 64], "x is not a position"),
        (["--team", "blue", "--expect", "a" * 64], "is no head"),
        (["--team", "blue", "--since", "-1"], "-1 is not a position"),
        (["--team", "blue", "--since", "9" * 30], "is not a position"),
        (["--team", "blue", "--since", "3", "--expect", "2:" + "a" * 64], "lies before --since 3"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(blue, red, arguments, words):
    with pytest.raises(CommandError, match=words.replace("(", r"\(")):
        call_command("verify_history", *arguments)
