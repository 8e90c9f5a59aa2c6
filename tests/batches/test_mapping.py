"""batches.intake.mapping, and the mapping of an upload"""

from __future__ import annotations

import io

import pytest

from batches.intake import mapping, opening
from batches.models import ColumnMapping, Upload
from jobs.errors import Conflict, Invalid, NotAllowed
from tests.batches.sheets import both, good_rows, sheet_of
from tests.batches.test_opening import preview

KNOWN = "Auftragsnr.,Photoshop-Datei,Vorlage,Output File,Kunde,Farbe"
UNKNOWN = "one,two,three,four,five"
ROW = "J-1,a.psd,a.aepx,o.aep,Northwind,red"


def found(*titles):
    return {name: (choice.title, choice.how) for name, choice in mapping.propose(titles).items()}


@pytest.mark.parametrize(
    ("title", "name", "how"),
    [
        ("job_id", "job_id", "same"),
        ("auftragsnummer", "job_id", "word"),
        ("psd_file", "psd_path", "word"),
        ("photoshop_(psd)", "psd_path", "word"),
        ("psd_fille", "psd_path", "alike"),
        ("vorlage", "aepx_path", "word"),
        ("ae_template", "aepx_path", "word"),
        ("modele", "aepx_path", "word"),
        ("output_filename", "output_name", "word"),
        ("outputname", "output_name", "alike"),
        ("kunde", "client_name", "word"),
        ("priorität", "priority", "word"),
        ("bemerkungen", "notes", "word"),
    ],
)
def test_other_words_and_similar_ones_are_proposed(title, name, how):
    assert found("x", title) == {name: (title, how)}


@pytest.mark.parametrize("title", ["farbe", "headline", "x", "", "brand_colour", "datum", "size"])
def test_what_is_not_like_any_column_is_left_alone(title):
    assert found(title) == {}


def test_the_same_name_goes_before_another_word_and_each_title_stands_for_one():
    assert found("psd", "psd_path") == {"psd_path": ("psd_path", "same")}
    assert found("template", "vorlage") == {"aepx_path": ("template", "word")}


def test_a_header_is_told_from_other_rows():
    assert mapping.fitness(["Kunde", "PSD File", "Vorlage", ""]) == 3
    assert mapping.fitness(["J-1", "a.psd", "a.aepx"]) == 0


def test_the_fingerprint_does_not_depend_on_the_order():
    assert mapping.fingerprint(["a", "b"]) == mapping.fingerprint(["b", "a"]) != mapping.fingerprint(["a", "c"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": "one"}, "no column “colour” to map to"),
        ({"job_id": "nowhere"}, "no column “nowhere” to take as job_id"),
        ({"job_id": "one", "notes": "One"}, "cannot be both job_id and notes"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(given, words):
    with pytest.raises(Invalid, match=words) as error:
        mapping.chosen(given, ["one", "two"])
    assert error.value.field == "mapping"


def test_a_foreign_sheet_becomes_jobs_with_the_proposed_columns(people, blue):
    upload = preview(people.olga, blue, ROW, header=KNOWN)
    assert (upload.state, upload.good) == ("preview", 1)
    job = opening.commit_all(people.olga, upload).jobs.get()
    assert (job.job_id, job.client_name, job.row_data) == ("J-1", "Northwind", {"Farbe": "red"})


def test_a_column_called_like_ours_but_mapped_away_is_kept(people, blue):
    header = "job_id,psd_path,aepx_path,output_name,notes"
    given = {"job_id": "notes", "psd_path": "psd_path", "aepx_path": "aepx_path", "output_name": "output_name"}
    upload = preview(people.olga, blue, "old,a.psd,a.aepx,o.aep,J-9", header=header)
    opening.check_again(people.olga, upload, given=given)
    job = opening.commit_all(people.olga, upload).jobs.get()
    assert (job.job_id, job.notes, job.row_data) == ("J-9", "", {"job_id": "old"})


def test_an_unknown_header_waits_for_a_person_who_is_remembered(people, blue):
    upload = preview(people.olga, blue, ROW[: ROW.rindex(",")], header=UNKNOWN)
    assert (upload.state, upload.rows.count()) == ("mapping", 0)
    assert upload.problem == "Say which column is job_id, psd_path, aepx_path and output_name."
    with pytest.raises(Invalid, match="Say which column") as error:
        opening.commit_all(people.olga, upload)
    assert error.value.field == "mapping"
    given = {"job_id": "One", "psd_path": "two", "aepx_path": "three", "output_name": "four", "notes": ""}
    opening.check_again(people.olga, upload, given=given)
    assert (upload.state, upload.good) == ("preview", 1)
    again = preview(people.olga, blue, ROW[: ROW.rindex(",")], header="five,four,three,two,one")
    assert {choice["how"] for choice in again.mapping.values()} == {"remembered"}
    opening.check_again(people.olga, upload, given={**given, "notes": "five"})
    assert ColumnMapping.objects.get().mapping["notes"] == "five"


def test_a_header_row_that_was_chosen_is_remembered_with_its_mapping(people, blue):
    above = [f"a,b,c,{number}" for number in range(24)]
    lines = [*above, KNOWN, ROW]
    upload = preview(people.olga, blue, *lines, header="see,the,rows,below")
    assert upload.layout["header_line"] == 1
    with pytest.raises(Invalid, match="There is no row 99") as caught:
        opening.check_again(people.olga, upload, header_row=99)
    assert caught.value.field == "header_row"
    upload.refresh_from_db()
    opening.check_again(people.olga, upload, header_row=26)
    assert (upload.state, upload.good, upload.layout["header_line"]) == ("preview", 1, 26)
    assert ColumnMapping.objects.get().header_row == 26
    opening.check_again(people.olga, upload)
    assert (upload.good, upload.layout["header_line"]) == (1, 26)
    again = preview(people.olga, blue, *lines[1:], header="other,words,above,it")
    assert (again.good, again.layout["header_line"]) == (1, 25)
    assert {choice["how"] for choice in again.mapping.values()} == {"remembered"}


def test_a_header_row_of_unknown_titles_is_remembered_with_what_is_chosen_for_them(people, blue):
    lines = [UNKNOWN, "J-1,a.psd,a.aepx,o.aep,red"]
    upload = preview(people.olga, blue, *lines, header="see,the,rows,below")
    opening.check_again(people.olga, upload, header_row=2)
    assert (upload.state, ColumnMapping.objects.count()) == ("mapping", 0)
    given = dict(zip(("job_id", "psd_path", "aepx_path", "output_name"), UNKNOWN.split(","), strict=False))
    opening.check_again(people.olga, upload, given=given)
    assert upload.good == 1
    again = preview(people.olga, blue, *lines, header="see,the,rows,below")
    assert (again.good, again.layout["header_line"]) == (1, 2)


def test_a_mapping_may_come_along_and_is_another_teams_business_never(people, blue, red):
    given = dict(zip(("job_id", "psd_path", "aepx_path", "output_name"), UNKNOWN.split(","), strict=False))
    sheet = sheet_of(ROW[: ROW.rindex(",")], header=UNKNOWN)
    upload = opening.preview_upload(
        people.olga, blue, sheet_name="s.csv", sheet_file=io.BytesIO(sheet), files=both(), given=given
    )
    assert upload.good == 1
    other = opening.preview_upload(people.oscar, red, sheet_name="s.csv", sheet_file=io.BytesIO(sheet), files=both())
    assert other.state == "mapping"


def test_taking_a_required_column_away_leaves_nothing_judged(people, blue):
    upload = preview(people.olga, blue, *good_rows(2))
    opening.check_again(
        people.olga, upload, given={"job_id": "job_id", "psd_path": "psd_path", "aepx_path": "aepx_path"}
    )
    assert (upload.state, upload.good, upload.rows.count()) == ("mapping", 0, 0)
    assert upload.problem == "Say which column is output_name."


def test_a_mapping_that_lacks_something_is_no_rule_for_the_team(people, blue):
    sheet = {"sheet_name": "s.csv", "sheet_file": io.BytesIO(sheet_of(*good_rows(1))), "files": both()}
    assert opening.preview_upload(people.olga, blue, **sheet, given={}).state == "mapping"
    upload = preview(people.olga, blue, *good_rows(2))
    assert (upload.state, upload.good) == ("preview", 2)
    opening.check_again(people.olga, upload, given={"job_id": "job_id"})
    assert (upload.state, ColumnMapping.objects.count()) == ("mapping", 0)
    assert preview(people.olga, blue, *good_rows(3)).good == 3


def test_a_header_that_is_too_narrow_is_refused_at_once(people, blue):
    with pytest.raises(
        Invalid, match=r"Line 1: the header lacks aepx_path and output_name\. Found \(UTF-8, comma\): “job_id”"
    ):
        preview(people.olga, blue, "J-1,a.psd", header="job_id,psd_path")
    assert not Upload.objects.exists()


def test_only_operators_change_a_mapping_and_not_of_a_committed_upload(people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    for person in (people.vera, people.rita, people.oscar):
        with pytest.raises(NotAllowed):
            opening.check_again(person, upload, given={})
    opening.commit_all(people.olga, upload)
    with pytest.raises(Conflict):
        opening.check_again(people.olga, upload, given={})
    assert not ColumnMapping.objects.exists()
