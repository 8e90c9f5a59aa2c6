"""jobs.leftovers: contents whose record went are deleted, and none that anybody else has"""

from __future__ import annotations

import io
import os
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import ProtectedError
from django.utils import timezone

from batches.intake import opening
from jobs import leftovers, retention, sending, sweeping
from jobs.models import Asset, Event, Leftover, SentFile, StageRun
from jobs.outcomes import stored as stored_outcome
from jobs.stages.base import Outcome, Produced
from jobs.states import Stage
from jobs.storage import storage_named
from jobs.storage_check import files_without_record
from jobs.store import open_asset, put_asset
from tests.batches.sheets import good_rows
from tests.batches.test_opening import preview
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored(tmp_path, blue):
    """``stored(content)`` is a record of a content that lies in the storage."""

    def put(content=b"x", team=blue):
        path = tmp_path / "a.png"
        path.write_bytes(content)
        return put_asset(path, team=team, kind="upload", name="a.png")

    return put


def drop(asset):
    leftovers.delete_records(Asset.objects.filter(pk=asset.pk))


def age():
    Leftover.objects.update(since=timezone.now() - retention.GRACE - timedelta(seconds=1))


def strays():
    return list(files_without_record("default", grace=timedelta(0)))


def test_a_content_goes_a_day_after_its_last_record_and_the_history_tells(stored, blue, caplog):
    asset = stored(b"four")
    drop(asset)
    assert not Asset.objects.exists()
    assert leftovers.sweep() == 0, "whoever reads it in this moment may end"
    age()
    with caplog.at_level("INFO", logger="jobs.leftovers"):
        assert leftovers.sweep() == 1
    assert not storage_named("default").exists(asset.storage_name)
    assert asset.storage_name in caplog.text
    event = Event.objects.get()
    assert (event.verb, event.team, event.batch) == ("remove_files", blue, None)
    assert event.data == {"rule": "leftovers", "files": 1, "bytes": 4}
    assert leftovers.sweep() == 0


def test_what_another_record_names_stays(stored, red):
    asset, other = stored(), stored(team=red)
    assert asset.storage_name == other.storage_name
    drop(asset)
    age()
    assert leftovers.sweep() == 0
    assert not Leftover.objects.exists(), "it is the other's, who would leave one of his own"
    with open_asset(other) as file:
        assert file.read() == b"x"
    drop(other)
    age()
    assert leftovers.sweep() == 1


def test_a_marked_record_is_for_retention_to_look_after(stored):
    asset, other = stored(), stored()
    Asset.objects.filter(pk=other.pk).update(removed_at=timezone.now())
    drop(asset)
    age()
    assert leftovers.sweep() == 0
    assert storage_named("default").exists(asset.storage_name)


def test_what_is_stored_again_waits_for_its_record(stored):
    drop(stored())
    age()
    again = stored()
    Asset.objects.filter(pk=again.pk).delete()  # as if its transaction were not committed yet
    assert leftovers.sweep() == 0
    assert storage_named("default").exists(again.storage_name)


def test_what_went_is_stored_anew_and_its_trace_is_forgotten(stored):
    drop(stored())
    age()
    assert leftovers.sweep() == 1
    with open_asset(stored()) as file:
        assert file.read() == b"x"
    Leftover.objects.update(gone_at=timezone.now() - retention.GRACE - timedelta(seconds=1))
    leftovers.sweep()
    assert not Leftover.objects.exists()


def test_a_record_that_is_used_is_neither_deleted_nor_left_over(stored, batch):
    asset = stored()
    make_job(batch, psd=asset)
    with pytest.raises(ProtectedError):
        drop(asset)
    assert not Leftover.objects.exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one writer at a time in anyway")
@pytest.mark.django_db(transaction=True)
def test_storing_and_sweeping_at_once_never_lose_a_content(stored):
    for number in range(20):
        content = b"race %d" % number
        drop(stored(content))
        age()
        start, found = Barrier(2), []

        def store(content=content, start=start, found=found):
            start.wait()
            found.append(stored(content))
            connection.close()

        thread = Thread(target=store)
        thread.start()
        start.wait()
        leftovers.sweep()
        thread.join()
        assert storage_named("default").exists(found[0].storage_name), number


def test_what_was_foreseen_and_never_stored_is_forgotten_without_a_word(blue):
    with pytest.raises(ZeroDivisionError), leftovers.foreseen(blue, [("ab/abc.csv", 3)]):
        raise ZeroDivisionError
    assert leftovers.waiting(blue) == (1, 3)
    age()
    assert leftovers.sweep() == 0
    assert (leftovers.waiting(blue), Event.objects.count()) == ((0, 0), 0)


def test_what_was_on_its_way_in_goes_when_nobody_has_touched_it_for_a_day(settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    for name in ("old", "young"):
        (tmp_path / "uploads" / f"intake-{name}" / "deep").mkdir(parents=True)
        (tmp_path / "uploads" / f"{name}.upload.psd").write_bytes(b"8BPS")
    two_days_ago = timezone.now().timestamp() - 2 * 24 * 3600
    for path in tmp_path.glob("uploads/*old*"):
        os.utime(path, (two_days_ago, two_days_ago))
    assert sweeping.sweep_arriving() == 2
    assert {path.name for path in tmp_path.glob("uploads/*")} == {"intake-young", "young.upload.psd"}


# Who leaves what behind -----------------------------------------------------------------------------------------------
def test_a_discarded_upload_leaves_nothing_in_the_end(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    opening.discard(people.olga, upload)
    assert len(list(storage_named("default").names())) == 3
    assert strays() == [], "what waits for its end is no stray"
    age()
    sweeping.sweep_strays()
    assert list(storage_named("default").names()) == []
    assert Event.objects.get(verb="remove_files").data["files"] == 3


def test_an_upload_that_uses_the_same_files_keeps_them(people, blue):
    upload, other = (preview(people.olga, blue, *good_rows(count)) for count in (1, 2))
    opening.discard(people.olga, upload)
    age()
    assert leftovers.sweep() == 1, "the sheet alone was its own"
    for file in other.files.all():
        with open_asset(file.asset) as content:
            assert content.read()


def test_a_sent_file_that_expired_leaves_nothing_in_the_end(people, blue):
    for number in range(2):
        sent = sending.begin(people.olga, blue, name=f"{number}.psd", size_bytes=4)
        sending.append(sent, io.BytesIO(b"abc%d" % number), offset=0, length=4)
    SentFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sending.sweep() == 2
    age()
    assert leftovers.sweep() == 2
    assert list(storage_named("default").names()) == []
    assert Event.objects.get().data == {"rule": "leftovers", "files": 2, "bytes": 8}


def test_results_that_are_made_anew_leave_nothing_of_the_old(batch, tmp_path):
    job = make_job(batch, Stage.MATCHING)
    run = StageRun.objects.create(job=job, stage=Stage.MATCHING, input_hash="x")
    for content in (b"old", b"same", b"same"):
        (tmp_path / "a.png").write_bytes(content)
        produced = Produced(kind="comparison", name="a.png", path=tmp_path / "a.png", media_type="image/png")
        with stored_outcome(run, Outcome(result={}, files=(produced,))) as outcome:
            outcome.keep()
    age()
    assert leftovers.sweep() == 1
    assert strays() == []
    with open_asset(job.assets.get()) as file:
        assert file.read() == b"same"


def test_the_command_tells_them_and_ends_them(stored):
    drop(stored(b"x" * 2**20))
    out = io.StringIO()
    call_command("retention", "--dry-run", stdout=out)
    assert "blue: Contents that are nobody's since a day or less: 1 files, 1.0 MB" in out.getvalue()
    age()
    call_command("retention", stdout=out)
    assert list(storage_named("default").names()) == []
