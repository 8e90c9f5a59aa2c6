"""batches.google.snapshot: a sheet at one moment, in memory and as a file."""

from __future__ import annotations

import json

import pytest

from batches.google.addresses import SheetAddress
from batches.google.snapshot import SUFFIX, Snapshot, opened
from batches.intake import sheet
from batches.intake.grid import Record
from jobs.errors import Invalid
from tests.batches.google.fake import ID

HEADER = ("Job ID", "psd_path", "aepx_path", "output_name")
ROW = ("A-1", "a.psd", "t.aepx", "a.aep")


def snapshot(*rows: tuple[str, ...], **more) -> Snapshot:
    return Snapshot(
        **{"address": SheetAddress(spreadsheet_id=ID), "title": "Spring", "tab": "Jobs", "rows": rows, **more}
    )


def keep(one: Snapshot, tmp_path):
    path = tmp_path / f"Spring{SUFFIX}"
    path.write_bytes(one.as_bytes())
    return path


@pytest.mark.parametrize(
    "one",
    [
        snapshot(),
        snapshot(HEADER, ROW),
        snapshot(("Größe 🎬", "", '"quoted"\nline'), (), ("x",)),
        snapshot(HEADER, ROW, first_row=7, first_column=3, tab=""),
        snapshot(("half \ud83d",)),
    ],
)
def test_a_kept_one_has_the_same_records(one, tmp_path):
    grid = opened(keep(one, tmp_path))
    assert list(grid.records()) == list(one.records()) == list(one.grid().records())
    assert (grid.form, grid.sheet_name) == ("Google Sheet", one.tab or "Sheet")


def test_records_stand_where_they_stand_in_the_sheet():
    one = snapshot((" b ", "c"), ("", ""), ("#REF!", "'=x"), first_row=5, first_column=1)
    assert list(one.records()) == [
        Record(line=5, cells=("", "b", "c")),
        Record(
            line=7,
            cells=("", "#REF!", "=x"),
            faults=((1, "is a formula that shows #REF!. Correct it in the sheet."),),
        ),
    ]


@pytest.mark.parametrize("text", ["#N/A", "#DIV/0!", "#ERROR!", "Loading...", "#NAME?"])
def test_a_cell_that_shows_an_error_is_a_fault_of_its_row(text):
    ((place, words),) = next(snapshot(("A-1", text)).records()).faults
    assert place == 1
    assert text in words or "being computed" in words


def test_texts_that_only_look_like_errors_are_none():
    assert next(snapshot(("#1", "#REF", "Loading")).records()).faults == ()


def test_the_digest_changes_with_every_cell_and_with_nothing_else():
    one = snapshot(HEADER, ROW)
    assert one.digest == snapshot(HEADER, ROW, title="Summer", tab="Renamed").digest
    others = [
        snapshot(HEADER, (*ROW[:3], "b.aep")),
        snapshot(HEADER, ROW, ("",)),
        snapshot(HEADER, ROW, first_row=2),
        snapshot((*HEADER, *ROW)),
        snapshot(("".join(HEADER),), ROW),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 6


def test_the_intake_reads_it_as_every_sheet_and_names_its_cells(tmp_path):
    one = snapshot(("Spring 2026",), HEADER, ROW, first_row=3, first_column=2)
    read = sheet.opened(keep(one, tmp_path), f"Spring{SUFFIX}")
    assert read.layout.titles == ("job_id", "psd_path", "aepx_path", "output_name")
    (row,) = read.rows()
    assert row.values == ROW
    assert read.layout.where(row.line, 0) == "Jobs!C5"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[]\n",
        b"{}\n",
        b'{"tab": "Jobs", "first_row": 0, "first_column": 0}\n',
        b'{"tab": "Jobs", "first_row": 1, "first_column": 1000000}\n',
        b'{"tab": "Jobs", "first_row": "1", "first_column": 0}\n',
        b"[" * 100_000,
    ],
)
def test_any_other_file_is_refused(content, tmp_path):
    path = tmp_path / "x.gsheet"
    path.write_bytes(content)
    with pytest.raises(Invalid, match="not what was read"):
        opened(path)


@pytest.mark.parametrize("row", [b"{}", b'["a", 1]', b'"a"', b"null", b"[", b'["\xc3\xa9"]'])
def test_a_damaged_row_is_refused_where_it_is_reached(row, tmp_path):
    path = keep(snapshot(HEADER), tmp_path)
    path.write_bytes(path.read_bytes() + row + b"\n")
    with pytest.raises(Invalid, match="damaged"):
        list(opened(path).records())


def test_the_link_file_of_google_drive_is_told_from_a_sheet(tmp_path):
    path = tmp_path / "Jobs.gsheet"
    path.write_text(json.dumps({"": "WARNING!", "doc_id": ID, "email": "someone@example.com"}))
    with pytest.raises(Invalid, match=r"only a link to a Google Sheet. Enter the sheet's address"):
        opened(path)
