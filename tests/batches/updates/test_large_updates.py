"""batches.updates in a worker: many rows, killed at every moment"""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from batches.intake import committing, judging, opening
from batches.updates import applying, comparing
from jobs import errands, sweeping, tasks
from jobs.errors import Conflict
from jobs.models import Errand, Event
from tests.batches.sheets import both, sheet_of
from tests.batches.test_large_sheets import Killed, dies_after, lapse
from tests.batches.updates.conftest import ROW, WIDE, newer, opened_with, wide

pytestmark = pytest.mark.django_db
ROWS = 23


@pytest.fixture(autouse=True)
def _small_chunks(settings, monkeypatch):
    settings.SHEET_ROWS_AT_ONCE = 5
    for module in (judging, committing, comparing, applying):
        monkeypatch.setattr(module, "CHUNK", 4)


@pytest.fixture
def large(people, blue, settings):
    settings.SHEET_ROWS_AT_ONCE = 500
    batch = opened_with(people, blue, *wide(ROWS))
    settings.SHEET_ROWS_AT_ONCE = 5
    return batch


def much_newer(people, batch):
    """Seven changed, two of which trade names, eight new, six gone, the others moved."""
    rows = {number: ROW.format(number) for number in range(1, ROWS - 5)}
    rows |= {number: row.replace("red", "blue") for number, row in rows.items() if number in range(3, 8)}
    rows[1], rows[2] = rows[1].replace("out-1", "out-2"), rows[2].replace("out-2", "out-1")
    return newer(people.olga, batch, *reversed(rows.values()), *[ROW.format(100 + n) for n in range(8)])


def check(batch):
    assert batch.jobs.count() == ROWS + 8
    assert batch.jobs.filter(state="cancelled").count() == 6
    assert {row["Colour"] for row in batch.jobs.filter(job_id="J-3").values_list("row_data", flat=True)} == {"blue"}
    names = dict(batch.jobs.filter(job_id__in=["J-1", "J-2"]).values_list("job_id", "output_name"))
    assert names == {"J-1": "out-2.aep", "J-2": "out-1.aep"}
    assert Counter(Event.objects.filter(job__batch=batch).values_list("verb", flat=True)) == {"correct": 7, "cancel": 6}
    whole = Event.objects.get(verb="update_batch").data
    assert (whole["new"], whole["changed"], whole["removed"], whole["left_out"]) == (8, 7, 6, 0)
    there = batch.jobs.exclude(state="cancelled").order_by("row_line").values_list("job_id", flat=True)
    assert list(there) == [f"J-{n}" for n in range(ROWS - 6, 0, -1)] + [f"J-{100 + n}" for n in range(8)]


def test_a_worker_compares_and_applies(people, large):
    upload = much_newer(people, large)
    assert upload.state == "judging"
    tasks.work()
    upload.refresh_from_db()
    assert applying.counts_of(upload) == {
        "new": 8, "changed": 7, "removed": 6, "unchanged": 10, "errors": 0, "hindered": 0,
    }  # fmt: skip
    applying.apply(people.olga, upload, cancel=6)
    assert (upload.state, opening.errand_of(upload).total) == ("opening", 21)
    with pytest.raises(Conflict, match="worker is at this sheet"):
        applying.apply(people.olga, upload)
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.committed_by) == ("committed", people.olga)
    check(large)


@pytest.mark.parametrize("calls", range(1, 17))
def test_a_worker_killed_while_it_compares_starts_over(people, large, monkeypatch, calls):
    upload = much_newer(people, large)
    with monkeypatch.context() as patched:
        dies_after(patched, calls)
        with pytest.raises(Killed):
            tasks.work()
    lapse()
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.changes.count()) == ("preview", 21)


@pytest.mark.parametrize("calls", range(14))
def test_a_worker_killed_while_it_applies_does_nothing_twice(people, large, monkeypatch, calls):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload, cancel=6)
    with monkeypatch.context() as patched:
        dies_after(patched, calls)
        with pytest.raises(Killed):
            tasks.work()
    assert Event.objects.filter(verb="update_batch").count() == 0
    lapse()
    tasks.work()
    check(large)


def test_a_late_worker_applies_nothing(people, large):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload, cancel=6)
    late = errands.claim("late")
    lapse()
    tasks.work()
    check(large)
    type(upload).objects.update(state="opening")
    upload.changes.update(outcome="")
    errands.perform(late)
    assert set(upload.changes.values_list("outcome", flat=True)) == {""}


def test_two_sheets_are_not_applied_to_one_batch_at_a_time(people, large):
    one, two = much_newer(people, large), much_newer(people, large)
    tasks.work()
    tasks.work()
    for upload in (one, two):
        upload.refresh_from_db()
    applying.apply(people.olga, one)
    with pytest.raises(Conflict, match="Another sheet is being applied"):
        applying.apply(people.olga, two)
    two.refresh_from_db()
    assert (two.state, set(two.changes.values_list("outcome", flat=True))) == ("preview", {""})
    tasks.work()
    applying.apply(people.olga, two)
    tasks.work()
    assert set(two.changes.filter(kind="new").values_list("note", flat=True)) == {applying.THERE_ALREADY}
    assert set(two.changes.filter(kind="changed").values_list("outcome", flat=True)) == {"done"}
    assert Event.objects.filter(verb="correct").count() == 7


def test_a_sheet_that_cannot_be_applied_to_its_end_goes_on_after_a_check(people, large, monkeypatch, settings):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload, cancel=6)
    monkeypatch.setattr(committing.Maker, "make", lambda *args: 1 / 0)
    for _ in range(2):
        Errand.objects.update(available_at=timezone.now() - timedelta(seconds=1))
        tasks.work()
    upload.refresh_from_db()
    assert (upload.state, Event.objects.filter(verb="correct").count()) == ("preview", 7)
    assert "division by zero): 14 changes are left" in upload.problem
    with pytest.raises(Conflict, match="in part"):
        applying.apply(people.olga, upload)
    with pytest.raises(Conflict, match="in part"):
        opening.discard(people.olga, upload)
    monkeypatch.undo()
    settings.SHEET_ROWS_AT_ONCE = 500
    opening.check_again(people.olga, upload)
    upload.refresh_from_db()
    assert applying.counts_of(upload)["changed"] == 0
    applying.apply(people.olga, upload, cancel=6)
    assert large.jobs.count() == ROWS + 8


def test_a_batch_that_is_deleted_meanwhile_is_left_alone(people, large):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload)
    type(large).objects.update(deleted_at=timezone.now())
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, large.jobs.count()) == ("preview", ROWS)
    assert not Event.objects.filter(verb="correct").exists()
    sweeping.sweep()
    assert Errand.objects.filter(state="done").count() == 2


@pytest.mark.slow
def test_ten_thousand_rows(people, blue, settings, monkeypatch):
    """Turned round, with 30 changed, 30 new and 30 gone."""
    monkeypatch.undo()
    settings.SHEET_ROWS_AT_ONCE = 500
    rows = [ROW.format(number) for number in range(10_000)]
    sheet = io.BytesIO(sheet_of(*rows, header=WIDE))
    upload = opening.preview_upload(people.olga, blue, sheet_name="s.csv", sheet_file=sheet, files=both())
    tasks.work()
    upload.refresh_from_db()
    batch = opening.commit_all(people.olga, upload)
    tasks.work()
    changed = [row.replace("red", "blue") for row in rows[30:60]]
    upload = newer(people.olga, batch, *reversed([*changed, *rows[60:]]), *[ROW.format(f"new-{n}") for n in range(30)])
    tasks.work()
    upload.refresh_from_db()
    assert applying.counts_of(upload) == {
        "new": 30, "changed": 30, "removed": 30, "unchanged": 9_940, "errors": 0, "hindered": 0,
    }  # fmt: skip
    applying.apply(people.olga, upload, cancel=30)
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, batch.jobs.count(), batch.jobs.open().count()) == ("committed", 10_030, 10_000)
    assert batch.jobs.order_by("-row_line").first().job_id == "J-new-29"
    assert batch.jobs.get(job_id="J-9999").row_line == 2


def test_applying_that_was_given_up_goes_on_where_it_stopped(people, large, monkeypatch):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload, cancel=6)
    for _ in range(5):
        with monkeypatch.context() as patched:
            dies_after(patched, 4)
            with pytest.raises(Killed):
                tasks.work()
        lapse()
    upload.refresh_from_db()
    assert upload.state == "preview"
    assert "could not be applied to its end" in upload.problem
    dead = Errand.objects.filter(kind=applying.ERRAND, state="failed").get()
    errands.send_again(people.root, dead)
    upload.refresh_from_db()
    assert (upload.state, upload.committed_by) == ("opening", people.root)
    tasks.work()
    check(large)


def test_what_was_checked_again_is_not_applied_from_among_the_dead_letters(people, large):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload, cancel=6)
    for _ in range(5):
        errands.claim("dying")
        lapse()
    upload.refresh_from_db()
    dead = Errand.objects.filter(kind=applying.ERRAND, state="failed").get()
    opening.check_again(people.olga, upload)
    tasks.work()
    with pytest.raises(Conflict, match="checked again since"):
        errands.send_again(people.olga, dead)
    assert not large.jobs.filter(state="cancelled").exists()


def test_an_archived_batch_is_not_gone_on_with(people, large):
    upload = much_newer(people, large)
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload)
    for _ in range(5):
        errands.claim("dying")
        lapse()
    type(large).objects.filter(pk=large.pk).update(archived_at=timezone.now())
    with pytest.raises(Conflict, match="archived"):
        errands.send_again(people.olga, Errand.objects.filter(kind=applying.ERRAND, state="failed").get())
