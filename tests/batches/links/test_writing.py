"""batches.links.writing: states go back into named columns, and change nothing else"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from batches.links import linking, writing
from batches.models import LinkedSheet
from jobs import chores, clock
from jobs.errors import Invalid
from jobs.lifecycle import move
from jobs.models import Errand, StageRun
from tests.batches.google.fake import NO_PERMISSION, status
from tests.batches.links.conftest import HEADER, cells, pass_minutes, read_again, work

pytestmark = pytest.mark.django_db
COLUMNS = {"state_column": "State", "link_column": "Page", "error_column": "Trouble"}


@pytest.fixture
def written(people, linked):
    return linking.amend(people.olga, linked, columns=COLUMNS)


def states(sheet):
    return {row[0]: row[5] for row in sheet.tabs[0].visible()[1:]}


def write():
    chores.do_all()
    work()


def test_nothing_is_written_before_columns_are_named(sheet, linked):
    write()
    assert set(states(sheet).values()) == {""}


def test_state_link_and_error_stand_beside_their_rows(people, sheet, written, settings):
    settings.SITE_URL = "https://jobs.example.com"
    one, two, _three = written.batch.jobs.order_by("pk")
    move(one, "start", actor=people.olga)
    two.runs.create(
        stage=1, input_hash="x", state=StageRun.FAILED, error="a.psd is\ncut short.\x07", ended_at=timezone.now()
    )
    type(two).objects.filter(pk=two.pk).update(state="failed", version=1)
    sheet.tabs[0].rows[1:] = reversed(sheet.tabs[0].rows[1:])
    write()
    rows = {row[0]: row[4:] for row in sheet.tabs[0].visible()[1:]}
    assert rows == {
        "J-1": ["red", "processing", f"https://jobs.example.com/admin/jobs/{one.pk}/", ""],
        "J-2": ["red", "failed", f"https://jobs.example.com/admin/jobs/{two.pk}/", "a.psd is cut short."],
        "J-3": ["red", "pending", f"https://jobs.example.com/admin/jobs/{_three.pk}/", ""],
    }


def test_it_is_written_again_when_a_job_has_moved_and_not_before(people, sheet, written, monkeypatch):
    monkeypatch.setattr(writing, "LEAST_WAIT", timedelta(hours=1))
    write()
    asked = len(sheet.requests)
    write()
    assert len(sheet.requests) == asked
    move(written.batch.jobs.get(job_id="J-1"), "start", actor=people.olga)
    write()
    assert len(sheet.requests) == asked
    pass_minutes(60)
    assert states(sheet) == {"J-1": "processing", "J-2": "pending", "J-3": "pending"}


def test_many_moves_are_one_write_and_the_last_value_wins(people, sheet, written):
    job = written.batch.jobs.get(job_id="J-1")
    for verb in ("start", "hold", "release", "cancel"):
        move(job, verb, actor=people.olga)
    write()
    assert states(sheet)["J-1"] == "cancelled"
    assert len([path for path in sheet.paths() if "batchUpdate" in path]) == 1


def test_what_we_wrote_is_no_change_of_the_sheet(people, sheet, written):
    write()
    upload = read_again(people.olga, written)
    assert not upload.changes.exists()
    linking.amend(people.olga, written, is_polling=True, poll_minutes=5)
    move(written.batch.jobs.get(job_id="J-1"), "start", actor=people.olga)
    pass_minutes(5)
    pass_minutes(5)
    assert not linking.newest(written).changes.exists()
    sheet.tabs[0].rows.append(cells(4))
    assert [change.name for change in read_again(people.olga, written).changes.all()] == ["J-4"]


def test_formulas_are_left_alone_and_told(sheet, written):
    sheet.tabs[0].rows[1][5] = "=UPPER(A2)"
    write()
    written.refresh_from_db()
    assert sheet.tabs[0].rows[1][5] == "=UPPER(A2)"
    assert written.write_note == "1 cell was left alone, such as that of J-1 in “State”, which holds a formula."


def test_a_column_that_is_not_there_is_said_and_tried_less_and_less(people, sheet, linked):
    linking.amend(people.olga, linked, columns={"state_column": "Zustand"})
    before = clock.now()
    write()
    linked.refresh_from_db()
    assert "no column called “Zustand”" in linked.write_error
    assert linked.write_after > before + timedelta(seconds=29)
    sheet.tabs[0].rows[0].append("Zustand")
    pass_minutes(1)
    linked.refresh_from_db()
    assert (linked.write_error, linked.write_failures) == ("", 0)
    assert sheet.tabs[0].visible()[1][-1] == "pending"


def test_a_sheet_that_we_may_only_read_says_so(sheet, written):
    sheet.faults_at[":batchUpdate"] = [NO_PERMISSION]
    write()
    written.refresh_from_db()
    assert written.write_error
    assert set(states(sheet).values()) == {""}


def test_a_write_that_was_cut_is_made_up_for(sheet, written):
    sheet.faults_at[":batchUpdate"] = [status(503)]
    write()
    assert set(states(sheet).values()) == {""}
    Errand.objects.filter(state="queued").update(available_at=timezone.now() - timedelta(seconds=1))
    work()
    assert set(states(sheet).values()) == {"pending"}


def test_columns_that_are_changed_while_we_write_are_written_too(people, sheet, written, monkeypatch):
    real = writing.write_back

    def write_back(*args, **kwargs):
        monkeypatch.undo()
        linking.amend(people.olga, written, columns={"state_column": "Trouble", "link_column": "", "error_column": ""})
        return real(*args, **kwargs)

    monkeypatch.setattr(writing, "write_back", write_back)
    write()
    write()
    assert {row[7] for row in sheet.tabs[0].visible()[1:]} == {"pending"}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"state_column": "job id"}, "what we read as job_id"),
        ({"state_column": "State", "link_column": " state "}, "chosen twice"),
        ({"error_column": "a\x00b"}, "cannot be"),
        ({"error_column": "—" * 201}, "cannot be"),
    ],
)
def test_columns_that_cannot_be_are_refused(people, linked, columns, words):
    with pytest.raises(Invalid, match=words):
        linking.amend(people.olga, linked, columns=columns)
    assert LinkedSheet.objects.get().columns == {}


def test_without_a_service_account_nothing_can_be_written(people, linked, settings):
    settings.GOOGLE_SERVICE_ACCOUNT_KEY = {}
    with pytest.raises(Invalid, match="service account"):
        linking.amend(people.olga, linked, columns=COLUMNS)


def test_an_unlinked_sheet_is_not_written(people, sheet, written):
    chores.do_all()
    linking.remove(people.olga, written)
    work()
    assert set(states(sheet).values()) == {""}


def test_the_signature_moves_with_every_job(people, linked):
    before = writing.signature(linked)
    move(linked.batch.jobs.first(), "start", actor=people.olga)
    assert writing.signature(linked) != before
    assert len(HEADER) == 8
