"""batches.links under kill -9: real processes die while they read a Google Sheet, and the next one finishes it"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from queue import Queue

import pytest
from django.utils import timezone

from batches.links import linking
from batches.models import Upload
from jobs import leftovers, retention, sweeping, tasks
from jobs.models import Asset, Errand, Leftover
from jobs.storage import storage_named
from jobs.storage_check import files_without_record, records_without_file
from tests.batches.links.conftest import cells, read_again, work
from tests.batches.test_large_sheets import lapse
from tests.killing import end_in_a_process, killed_at_commit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
COMMITS = 4
"""The errand is claimed; what is about to be stored is noted; it is stored, compared and named; the note goes."""


@pytest.fixture
def asked(people, sheet, linked, settings, tmp_path):
    """The linked sheet, with a row more, is to be read again."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    sheet.tabs[0].rows.append(cells(4))
    linking.sync(people.olga, linked)
    return linked


def finish(sheet, linked):
    """The sheet has changed once more when the next worker reads it, so that it stores another content."""
    sheet.tabs[0].rows.append(cells(5))
    lapse()
    work()
    upload = linking.newest(linked)
    assert upload.state == "preview"
    assert list(upload.changes.values_list("kind", "name")) == [("new", "J-4"), ("new", "J-5")]
    assert list(Upload.objects.filter(updates=linked.batch)) == [upload]
    assert set(Errand.objects.values_list("state", flat=True)) == {"done"}


def nothing_is_stray(settings):
    """At once all contents are known; two days later only those are left that records name."""
    assert list(files_without_record("default", grace=timedelta(0))) == []
    Leftover.objects.update(since=timezone.now() - retention.GRACE - timedelta(seconds=1))
    long_ago = timezone.now().timestamp() - 2 * 24 * 3600
    for path in settings.FILE_UPLOAD_TEMP_DIR.iterdir():
        os.utime(path, (long_ago, long_ago))
    sweeping.sweep_strays()
    assert set(storage_named("default").names()) == set(Asset.objects.values_list("storage_name", flat=True))
    assert list(records_without_file("default")) == []
    assert not Leftover.objects.filter(gone_at=None).exists()
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "when"), [*((number, "before") for number in range(1, COMMITS + 1)), (1, "after"), (COMMITS, "after")]
)
def test_a_reading_that_is_killed_is_made_up_and_leaves_nothing(sheet, asked, settings, number, when):
    assert killed_at_commit(tasks.work, number, when)
    finish(sheet, asked)
    nothing_is_stray(settings)


def test_there_is_no_commit_that_is_not_tried(asked):
    assert not killed_at_commit(tasks.work, COMMITS + 1, "before")
    assert linking.newest(asked).changes.get().name == "J-4"
    assert not Leftover.objects.filter(since__isnull=False, gone_at=None, storage_name__endswith=".gsheet").exists()


@pytest.mark.parametrize("path", ["/v4/spreadsheets/", "/values/"])
def test_a_worker_that_is_killed_while_google_answers_leaves_nothing(sheet, asked, settings, path):
    pids: Queue[int] = Queue()

    def kill(handler):
        os.kill(pids.get(timeout=30), signal.SIGKILL)

    sheet.faults_at = {path: [kill]}
    before = set(storage_named("default").names())
    assert end_in_a_process(tasks.work, began=pids.put) == signal.SIGKILL
    assert set(storage_named("default").names()) == before
    finish(sheet, asked)
    nothing_is_stray(settings)


def test_a_reading_that_fails_after_it_has_stored_leaves_nothing(people, sheet, asked, settings, monkeypatch):
    monkeypatch.setattr("batches.updates.comparing.Comparison.write", lambda *args: 1 / 0)
    tasks.work()
    monkeypatch.undo()
    assert leftovers.waiting(asked.team)[0]
    Errand.objects.update(available_at=timezone.now())
    finish(sheet, asked)
    nothing_is_stray(settings)
    assert read_again(people.olga, asked).changes.count() == 2
