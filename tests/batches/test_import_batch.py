"""manage.py import_batch"""

from __future__ import annotations

import io
import itertools

import pytest
from django.core.management import CommandError, call_command

from batches.management.commands import import_batch
from batches.models import Batch, Upload
from jobs.states import State
from tests.batches.google.fake import ID, NO_PERMISSION, Tab, google, refusal, status
from tests.batches.sheets import HEADER, aepx_bytes, good_rows, psd_bytes, put_in_root, sheet_of


@pytest.fixture
def sheet(tmp_path):
    put_in_root(tmp_path / "sent" / "deep", a_psd=psd_bytes(), a_aepx=aepx_bytes())

    def write(*lines):
        path = tmp_path / "spring.csv"
        path.write_bytes(sheet_of(*lines))
        return path

    return write


def run(*args, **options):
    out = io.StringIO()
    call_command("import_batch", *[str(arg) for arg in args], stdout=out, **options)
    return out.getvalue()


def refused(*args):
    with pytest.raises(CommandError) as error:
        run(*args)
    assert "\n" not in str(error.value)
    assert error.value.returncode == 2
    return str(error.value)


def test_a_batch_is_opened_from_a_sheet_and_a_folder(people, sheet, tmp_path):
    said = run(sheet(*good_rows(2)), "--team", "Blue", "--assets", tmp_path / "sent", "--name", "Launch")
    batch = Batch.objects.get()
    assert (batch.name, batch.created_by, batch.jobs.count()) == ("Launch", people.olga, 2)
    assert batch.jobs.first().psd is not None
    assert "Launch: batch" in said


def at_the_second_look(monkeypatch, state):
    """The command looks at its batch without a pause, and finds the jobs in this state when it looks again."""
    looks, look = itertools.count(1), import_batch._progress

    def progress(user, batch):
        if next(looks) == 2:
            batch.jobs.update(state=state)
        return look(user, batch)

    monkeypatch.setattr(import_batch, "POLL_SECONDS", 0)
    monkeypatch.setattr(import_batch, "_progress", progress)


def test_the_jobs_are_started_and_waited_for(people, sheet, tmp_path, monkeypatch):
    at_the_second_look(monkeypatch, State.IN_REVIEW)
    run(sheet(*good_rows(1)), "--team", "blue", "--user", "olga", "--assets", tmp_path / "sent", "--start", "--wait")
    assert Batch.objects.get().jobs.get().state == State.IN_REVIEW


def test_a_failed_job_makes_the_wait_fail(people, sheet, tmp_path, monkeypatch):
    at_the_second_look(monkeypatch, State.FAILED)
    with pytest.raises(CommandError, match="a job failed") as error:
        run(sheet(*good_rows(1)), "--team", "blue", "--assets", tmp_path / "sent", "--start", "--wait")
    assert error.value.returncode == 1


def test_row_errors_are_told_with_line_and_column_and_nothing_is_kept(people, sheet, tmp_path, capsys):
    path = sheet(*good_rows(1), "bad id,a.psd,a.aepx,x.aep")
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("import_batch", str(path), "--team", "Blue", "--assets", str(tmp_path / "sent"), stdout=out)
    assert "spring.csv: Line 3: job_id “bad id” may only hold" in out.getvalue()
    assert str(error.value).startswith("spring.csv: 1 row has errors")
    assert not Upload.objects.exists()


def test_the_good_rows_may_be_opened_alone(people, sheet, tmp_path):
    run(
        sheet(*good_rows(1), "bad id,a.psd,a.aepx,x.aep"),
        "--team",
        "Blue",
        "--assets",
        tmp_path / "sent",
        "--good-rows",
    )
    assert Batch.objects.get().jobs.count() == 1


def test_bad_input_names_file_and_cause(people, sheet, tmp_path):
    good = sheet(*good_rows(1))
    assert "none.csv: No such file" in refused(tmp_path / "none.csv", "--team", "Blue")
    assert "there is no team called Green" in refused(good, "--team", "Green")
    assert "there is no user zed" in refused(good, "--team", "Blue", "--user", "zed")
    assert "nowhere: is not a folder" in refused(good, "--team", "Blue", "--assets", tmp_path / "nowhere")
    assert "role operator" in refused(good, "--team", "Blue", "--user", "vera")
    assert "Is a directory" in refused(tmp_path, "--team", "Blue")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    assert "x.csv: " in refused(tmp_path / "x.csv", "--team", "Blue")


@pytest.fixture
def shared(settings, tmp_path):
    """A Google Sheet with two rows, whose files lie in ``tmp_path / "sent"``."""
    put_in_root(tmp_path / "sent", a_psd=psd_bytes(), a_aepx=aepx_bytes())
    with google(settings, key=True) as fake:
        fake.tabs = [Tab("Jobs", 0, [line.split(",") for line in (HEADER, *good_rows(2))])]
        yield fake


def test_a_batch_is_opened_from_a_google_sheet(people, shared, tmp_path):
    run("--google", ID, "--team", "Blue", "--assets", tmp_path / "sent", "--name", "Launch")
    batch = Batch.objects.get()
    assert (batch.source, [job.job_id for job in batch.jobs.order_by("job_id")]) == ("gsheet", ["J-1", "J-2"])
    assert batch.upload.sheet.name == "Spring.gsheet"


def test_a_range_of_a_google_sheet_is_taken_and_errors_name_its_cells(people, shared, tmp_path):
    shared.tabs[0].rows[2][0] = "bad id"
    out = io.StringIO()
    arguments = ["--google", ID, "--range", "Jobs!A1:D", "--team", "Blue", "--assets", str(tmp_path / "sent")]
    with pytest.raises(CommandError, match="Google Sheet: 1 row has errors"):
        call_command("import_batch", *arguments, stdout=out)
    assert "Google Sheet: Jobs!A3: job_id “bad id” may only hold" in out.getvalue()
    assert "--range" not in refused("--google", ID, "--team", "Blue", "--range", "A1")


def test_a_google_sheet_that_cannot_be_read_is_one_line(people, shared):
    for fault, words in ((NO_PERMISSION, "not shared with us"), (status(500), "500"), (refusal(429, "X"), "no more")):
        shared.faults_at["/v4/"] = [fault]
        assert words in refused("--google", ID, "--team", "Blue")
    assert "no address below" in refused("--google", "https://example.com/x", "--team", "Blue")


def test_a_file_or_a_google_sheet_is_named_not_both_or_none(people, sheet):
    for arguments in (["--team", "Blue"], [str(sheet(*good_rows(1))), "--google", ID, "--team", "Blue"]):
        with pytest.raises(CommandError):
            run(*arguments)
