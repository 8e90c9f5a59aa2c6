"""jobs.sources: nothing outside the asset roots can be reached, and what was mended there is read again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from batches.models import Upload, UploadedFile
from jobs import deadletters, pipeline
from jobs.lifecycle import move
from jobs.models import Asset, Event, Job
from jobs.sources import collect, find_in_roots, roots_of
from jobs.states import Stage, State
from jobs.store import put_asset
from rendering.errors import FormatError
from rendering.samples import tiny_document, tiny_project
from tests.people import make_job


@pytest.fixture
def root(blue, settings, tmp_path):
    settings.ASSET_ROOTS = [tmp_path / "roots" / "{team}"]
    root = roots_of(blue)[0]
    root.mkdir(parents=True)
    (tmp_path / "secret.psd").write_bytes(b"8BPS")
    return root


def test_a_file_below_the_root_is_found(blue, root):
    (root / "a b").mkdir()
    (root / "a b" / "ü.psd").write_bytes(b"8BPS")
    assert find_in_roots(blue, "a b/ü.psd") == root / "a b" / "ü.psd"
    assert find_in_roots(blue, "a b\\ü.psd") == root / "a b" / "ü.psd"


def test_what_is_not_there_is_not_found(blue, root):
    assert find_in_roots(blue, "missing.psd") is None
    assert find_in_roots(blue, ".") is None


@pytest.mark.parametrize(
    "name", ["../secret.psd", "a/../../secret.psd", "/etc/passwd", "C:\\secret.psd", "\\\\host\\a.psd", "a\0.psd"]
)
def test_paths_that_lead_out_are_refused(blue, root, name):
    with pytest.raises(FormatError):
        find_in_roots(blue, name)


def test_links_that_lead_out_are_refused(blue, root, tmp_path):
    (root / "link.psd").symlink_to(tmp_path / "secret.psd")
    (root / "folder").symlink_to(tmp_path)
    for name in ("link.psd", "folder/secret.psd"):
        with pytest.raises(FormatError, match="link"):
            find_in_roots(blue, name)


def test_teams_have_roots_of_their_own(blue, red, root):
    (root / "a.psd").write_bytes(b"8BPS")
    assert find_in_roots(red, "a.psd") is None


# Files that change ----------------------------------------------------------------------------------------------------
@pytest.fixture
def job(batch, root):
    tiny_document(root / "a.psd")
    tiny_project(root / "a.aep")
    return make_job(batch, psd_path="a.psd", project_path="a.aep")


def read(job, stage, folder) -> bytes:
    """What the stage gets of the PSD, by a worker who knows no more than the database."""
    folder.mkdir()
    return collect(Job.objects.get(pk=job.pk), stage, folder).psd.read_bytes()


def test_a_damaged_file_that_was_mended_in_the_root_is_read_when_its_job_is_retried(job, root, people):
    whole = (root / "a.psd").read_bytes()
    (root / "a.psd").write_bytes(whole[: len(whole) // 2])
    move(job, "start")
    assert pipeline.work_once()
    job.refresh_from_db()
    assert (job.state, job.bytes_in) == (State.FAILED, len(whole) // 2)
    damaged = job.psd.sha256
    (root / "a.psd").write_bytes(whole)
    deadletters.retry_many(people.olga, deadletters.letters(people.olga))
    assert pipeline.work_once()
    job.refresh_from_db()
    assert (job.stage, job.bytes_in) == (Stage.MATCHING, len(whole))
    told = Event.objects.get(verb="read_anew")
    assert told.data == {"what": "a.psd", "before": damaged, "after": job.psd.sha256}


def test_what_did_not_change_is_stored_once(job, tmp_path):
    for number in range(2):
        read(job, Stage.INGESTION, tmp_path / str(number))
    assert Asset.objects.count() == 2
    assert not Event.objects.exists()


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage > Stage.INGESTION])
def test_later_stages_work_on_what_ingestion_read(job, root, tmp_path, stage):
    before = read(job, Stage.INGESTION, tmp_path / "1")
    (root / "a.psd").write_bytes(b"another")
    assert read(job, stage, tmp_path / "2") == before


def test_what_is_no_longer_in_the_root_is_still_stored(job, root, tmp_path):
    before = read(job, Stage.INGESTION, tmp_path / "1")
    (root / "a.psd").unlink()
    assert read(job, Stage.INGESTION, tmp_path / "2") == before


def test_another_file_of_the_same_size_is_another_file(job, root, tmp_path):
    before = read(job, Stage.INGESTION, tmp_path / "1")
    (root / "a.psd").write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert read(job, Stage.INGESTION, tmp_path / "2") == (root / "a.psd").read_bytes() != before


def test_what_was_sent_along_is_not_replaced_by_a_file_of_the_root(job, batch, root, tmp_path, people):
    (tmp_path / "sent.psd").write_bytes(b"sent")
    sent = put_asset(tmp_path / "sent.psd", team=batch.team, kind="psd", name="a.psd")
    upload = Upload.objects.create(team=batch.team, user=people.olga, sheet=sent)
    UploadedFile.objects.create(upload=upload, name="a.psd", asset=sent)
    Job.objects.filter(pk=job.pk).update(psd=sent)
    assert read(job, Stage.INGESTION, tmp_path / "1") == b"sent"


def test_what_the_policy_removed_comes_back_from_the_root(job, root, tmp_path):
    before = read(job, Stage.INGESTION, tmp_path / "1")
    Asset.objects.filter(kind="psd").update(removed_at=timezone.now())
    assert read(job, Stage.INGESTION, tmp_path / "2") == before
