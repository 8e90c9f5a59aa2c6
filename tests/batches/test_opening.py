"""batches.intake.opening: from a sheet to a batch"""

from __future__ import annotations

import csv
import io

import pytest

from batches.intake import bad_rows, checks, committing, opening
from batches.models import Batch, Upload
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Asset, Event, Job
from jobs.states import Stage, State
from tests.batches.sheets import aepx_bytes, both, good_rows, psd_bytes, put_in_root, sent, sheet_of, zip_of
from tests.people import make_job


def preview(person, team, *lines, files=None, name="spring.csv", **header):
    data = sheet_of(*lines, **header)
    return opening.preview_upload(
        person, team, sheet_name=name, sheet_file=io.BytesIO(data), files=both() if files is None else files
    )


def errors(upload):
    return {row.line: [(column, message) for column, message, _ in row.errors] for row in upload.rows.all()}


def test_good_rows_become_the_pending_jobs_of_a_batch(people, blue):
    upload = preview(
        people.olga,
        blue,
        "J-1,a.psd,a.aepx,one.aep,Northwind,Spring,High,Look twice,red",
        "J-2,a.psd,a.aepx,two.aepx,,,,,",
        header="job_id,psd_path,aepx_path,output_name,client_name,project_name,priority,notes,Brand Colour",
    )
    assert (upload.good, upload.bad) == (2, 0)
    batch = opening.commit_all(people.olga, upload, name="  My   batch ")
    one, two = batch.jobs.order_by("row_line")
    assert batch.name == "My batch"
    assert (one.job_id, one.row_line, one.client_name, one.project_name) == ("J-1", 2, "Northwind", "Spring")
    assert (one.priority_name, two.priority_name, one.notes) == ("high", "normal", "Look twice")
    assert one.row_data == {"Brand Colour": "red"}
    assert (one.stage, one.state, one.version) == (Stage.INGESTION, State.PENDING, 0)
    assert one.psd == upload.files.get(name="a.psd").asset
    assert one.project == two.project == upload.files.get(name="a.aepx").asset
    event = Event.objects.get()
    assert (event.verb, event.batch, event.actor, event.data["jobs"]) == ("open_batch", batch, people.olga, 2)


def test_nothing_is_a_job_before_the_commit(people, blue):
    preview(people.olga, blue, *good_rows(3))
    assert not Job.objects.exists()
    assert not Batch.objects.exists()


def test_files_of_the_asset_roots_are_left_where_they_are(people, blue, tmp_path):
    put_in_root(tmp_path / "assets", a_psd=psd_bytes(), a_aepx=aepx_bytes())
    upload = preview(people.olga, blue, *good_rows(1), files=[])
    job = opening.commit_all(people.olga, upload).jobs.get()
    assert (job.psd, job.project, job.psd_path) == (None, None, "a.psd")


def test_footage_and_fonts_stay_with_the_upload(people, blue):
    upload = preview(people.olga, blue, *good_rows(1), files=[*both(), *sent(logo_png=b"P", bold_otf=b"F")])
    assert set(upload.files.values_list("name", flat=True)) == {"a.psd", "a.aepx", "logo.png", "bold.otf"}


def test_the_sheet_may_lie_in_the_zip(people, blue):
    files = {"in/sheet.csv": sheet_of(*good_rows(1)), "in/a.psd": psd_bytes(), "in/a.aepx": aepx_bytes()}
    upload = opening.preview_upload(people.olga, blue, sheet_name="all.zip", sheet_file=zip_of(files))
    assert upload.sheet.name == "sheet.csv"
    assert upload.good == 1
    again = opening.preview_files(people.olga, blue, files=[("all.zip", zip_of(files))])
    assert (again.good, again.bad) == (upload.good, upload.bad)


def test_every_error_names_line_and_column(people, blue):
    upload = preview(
        people.olga,
        blue,
        "J-1,a.psd,a.aepx,one.aep",
        "bad id,none.psd,a.aepx,../x.aep",
        "J-1,a.psd,a.aepx,ONE.aep",
        "J-4,a.psd,a.aepx,four.aep,surplus",
    )
    found = errors(upload)
    assert found[2] == []
    assert {column for column, _ in found[3]} == {"job_id", "output_name", "psd_path"}
    assert [message for _, message in found[4]] == [
        "“J-1” is already used in line 2.",
        "“ONE.aep” is already used in line 2.",
    ]
    assert found[5][0][0] == ""
    assert "more cells than the header" in found[5][0][1]


def test_the_id_of_an_open_job_of_the_team_is_an_error(people, blue, batch):
    make_job(batch, job_id="J-1")
    make_job(batch, job_id="J-2", state=State.DONE, stage=Stage.DELIVERY)
    make_job(batch, job_id="J-3", state=State.CANCELLED)
    found = errors(preview(people.olga, blue, *good_rows(3)))
    assert found == {2: [("job_id", "“J-1” is the id of an open job of the team.")], 3: [], 4: []}


def test_an_open_job_of_another_team_does_not_matter(people, blue, red):
    other = Batch.objects.create(team=red, name="r", created_by=people.oscar)
    make_job(other, job_id="J-1")
    assert errors(preview(people.olga, blue, *good_rows(1))) == {2: []}


def test_all_rows_are_only_committed_when_all_are_good(people, blue):
    upload = preview(people.olga, blue, *good_rows(1), "?,a.psd,a.aepx,x.aep")
    with pytest.raises(Invalid, match="1 row has errors"):
        opening.commit_all(people.olga, upload)
    assert not Job.objects.exists()


def test_the_good_rows_can_be_committed_without_the_bad_ones(people, blue):
    upload = preview(people.olga, blue, *good_rows(2), "?,a.psd,a.aepx,x.aep")
    batch = opening.commit_good_rows(people.olga, upload)
    assert list(batch.jobs.values_list("job_id", flat=True)) == ["J-1", "J-2"]
    assert Event.objects.get().data["left_out"] == 1


def test_an_upload_without_a_good_row_cannot_be_committed(people, blue):
    upload = preview(people.olga, blue, "?,a.psd,a.aepx,x.aep")
    with pytest.raises(Invalid, match="nothing to commit"):
        opening.commit_good_rows(people.olga, upload)


def test_an_upload_is_committed_once(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    stale = Upload.objects.get(pk=upload.pk)
    opening.commit_all(people.olga, upload)
    for same in (upload, stale):
        with pytest.raises(Conflict, match="committed already"):
            opening.commit_all(people.olga, same)
    assert Batch.objects.count() == 1


def test_the_second_of_two_sheets_with_one_job_id_is_a_conflict_and_leaves_nothing(people, blue):
    first, second = preview(people.olga, blue, *good_rows(2)), preview(people.olga, blue, *good_rows(3))
    opening.commit_all(people.olga, first)
    with pytest.raises(Conflict, match="J-1, J-2: opened since the preview"):
        opening.commit_all(people.olga, second)
    second.refresh_from_db()
    assert second.committed_at is None
    assert Batch.objects.count() == 1
    opening.check_again(people.olga, second)
    assert opening.commit_good_rows(people.olga, second).jobs.get().job_id == "J-3"


def test_a_race_that_only_the_database_sees_is_a_conflict_too(people, blue, monkeypatch):
    first, second = preview(people.olga, blue, *good_rows(1)), preview(people.olga, blue, *good_rows(1))
    opening.commit_all(people.olga, first)
    monkeypatch.setattr(committing, "taken_ids", lambda *args: set())
    with pytest.raises(Conflict, match="in this moment"):
        opening.commit_all(people.olga, second, again=True)
    assert Batch.objects.count() == 1


def test_only_operators_of_the_team_may_upload_and_commit(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    for person in (people.rita, people.vera, people.oscar, people.nobody):
        with pytest.raises(NotAllowed):
            preview(person, blue, *good_rows(1))
        with pytest.raises(NotAllowed):
            opening.commit_all(person, upload)
        with pytest.raises(NotAllowed):
            opening.discard(person, upload)


def test_a_discarded_upload_leaves_no_rows(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    opening.discard(people.olga, upload)
    assert not Upload.objects.exists()
    assert not Asset.objects.exists()


def test_a_committed_upload_cannot_be_discarded(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    opening.commit_all(people.olga, upload)
    with pytest.raises(Conflict):
        opening.discard(people.olga, upload)


@pytest.mark.parametrize("name", ["x" * 201, "a\ud800b", "a\x07b"])
def test_a_batch_name_that_cannot_be_shown_is_refused(people, blue, name):
    upload = preview(people.olga, blue, *good_rows(1))
    with pytest.raises(Invalid) as error:
        opening.commit_all(people.olga, upload, name=name)
    assert error.value.field == "name"


def test_a_batch_without_a_name_is_called_by_its_directory(people, blue):
    upload = preview(people.olga, blue, *good_rows(1), name="spring_launch.csv")
    batch = opening.commit_all(people.olga, upload)
    assert batch.name == batch.directory_name == f"BATCH_{batch.created_at:%Y-%m-%d}_batch-1"


def test_a_sheet_over_the_limit_is_refused_and_nothing_is_kept(people, blue, settings):
    settings.MAX_SHEET_BYTES = 50
    with pytest.raises(Invalid, match=r"has more than 0.0 MB, the most that a sheet may have"):
        preview(people.olga, blue, *good_rows(5))
    assert not Upload.objects.exists()
    assert not Asset.objects.exists()


def test_the_bad_rows_come_back_as_a_sheet_with_their_errors(people, blue):
    upload = preview(
        people.olga,
        blue,
        *good_rows(1),
        "?,a.psd,a.aepx,x.aep,=HYPERLINK(1)",
        header="job_id,psd_path,aepx_path,output_name,My notes",
    )
    header, row = csv.reader(io.StringIO(b"".join(bad_rows.bad_rows_csv(upload)).decode("utf-8-sig"), newline=""))
    assert header == ["job_id", "psd_path", "aepx_path", "output_name", "My notes", "error"]
    assert row[4] == "'=HYPERLINK(1)"
    assert row[5].startswith("Line 3: job_id “?” may only hold")


def test_a_thousand_rows_that_share_a_template_look_at_it_once(
    people, blue, tmp_path, monkeypatch, settings, django_assert_max_num_queries
):
    put_in_root(tmp_path / "assets", a_psd=psd_bytes(), b_psd=psd_bytes(), a_aepx=aepx_bytes())
    looks = []
    monkeypatch.setattr(checks, "look", lambda *args: looks.append(args) or "")
    rows = [f"J-{n},{'ab'[n % 2]}.psd,a.aepx,out-{n}.aep" for n in range(1000)]
    settings.SHEET_ROWS_AT_ONCE = 1000
    with django_assert_max_num_queries(20):
        upload = preview(people.olga, blue, *rows, files=[])
    assert upload.good == 1000
    assert len(looks) == 3
    with django_assert_max_num_queries(60):
        assert opening.commit_all(people.olga, upload).jobs.count() == 1000
