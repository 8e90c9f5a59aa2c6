"""manage.py import_batch"""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from batches.models import Batch, Upload
from jobs.states import State
from tests.batches.sheets import aepx_bytes, good_rows, psd_bytes, put_in_root, sheet_of


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


def test_the_jobs_are_started_and_waited_for(people, sheet, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: Batch.objects.get().jobs.update(state=State.IN_REVIEW))
    run(sheet(*good_rows(1)), "--team", "blue", "--user", "olga", "--assets", tmp_path / "sent", "--start", "--wait")
    assert Batch.objects.get().jobs.get().state == State.IN_REVIEW


def test_a_failed_job_makes_the_wait_fail(people, sheet, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: Batch.objects.get().jobs.update(state=State.FAILED))
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
