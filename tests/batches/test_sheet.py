"""batches.intake.sheet: every format, opened; good ones and hostile ones"""

from __future__ import annotations

import datetime
import json

import pytest

from batches.intake import sheet
from batches.intake.grid import cell_name
from batches.intake.mapping import fingerprint
from jobs.errors import Invalid
from tests.batches.workbooks import TITLES, ods, rows_of, with_part, xlsx


@pytest.fixture
def opened(tmp_path):
    def opened(name, data, **options):
        path = tmp_path / f"sheet{name[name.rindex('.') :]}"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return sheet.opened(path, name, **options)

    return opened


def values(found):
    return [row.values for row in found.rows()]


GOOD = [tuple(row) for row in rows_of(2)]
LINES = "\n".join("\t".join(row) for row in [TITLES, *GOOD])
OBJECTS = [dict(zip(TITLES, row, strict=True)) for row in GOOD]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("s.tsv", LINES),
        ("s.txt", LINES),
        ("s.CSV", LINES.replace("\t", ";")),
        ("s.xlsx", xlsx({"Jobs": [TITLES, *GOOD]})),
        ("s.xlsm", xlsx({"Jobs": [TITLES, *GOOD]})),
        ("s.ods", ods({"Jobs": [TITLES, *GOOD]})),
        ("s.json", json.dumps(OBJECTS)),
        ("s.json", json.dumps(OBJECTS, indent=4)),
        ("s.json", "\ufeff" + json.dumps({"rows": OBJECTS})),
        ("s.jsonl", "\n".join(json.dumps(one) for one in OBJECTS)),
        ("s.ndjson", "\n\n".join(json.dumps(one) for one in OBJECTS) + "\n"),
    ],
)
def test_the_same_rows_are_read_from_every_format(opened, name, data):
    found = opened(name, data)
    assert found.layout.titles == tuple(TITLES)
    assert values(found) == GOOD
    assert values(found) == GOOD, "rows can be read again"


def test_the_sheet_with_the_best_header_is_taken_and_another_can_be_chosen(opened):
    data = xlsx(
        {
            "Read me": [["How to fill this in"], ["job_id", "is the job's name"]],
            "Secret": [TITLES, *rows_of(9)],
            "Jobs": [TITLES, *GOOD],
            "More": [TITLES, *rows_of(3)],
        },
        hidden=["Secret"],
    )
    found = opened("s.xlsx", data)
    assert (found.layout.sheet_name, found.layout.sheet_names) == ("Jobs", ("Read me", "Jobs", "More"))
    assert len(values(opened("s.xlsx", data, sheet_name="More"))) == 3
    with pytest.raises(Invalid, match=r"no sheet “Secret”. There are: “Read me”, “Jobs”, “More”"):
        opened("s.xlsx", data, sheet_name="Secret")


def test_a_sheet_of_a_text_cannot_be_chosen(opened):
    with pytest.raises(Invalid) as error:
        opened("s.csv", LINES, sheet_name="Jobs")
    assert error.value.field == "sheet_name"


@pytest.mark.parametrize("make", [xlsx, ods])
def test_title_lines_above_the_header_are_skipped_and_rows_keep_their_numbers(opened, make):
    data = make(
        {"Jobs": [["Spring launch"], [""], ["", "by Olga"], ["", *TITLES], ["", *GOOD[0]], [""], ["", *GOOD[1]]]}
    )
    found = opened("s.xlsx" if make is xlsx else "s.ods", data)
    assert (found.layout.header_line, found.layout.above) == (4, ("Spring launch", "by Olga"))
    assert [row.line for row in found.rows()] == [5, 7]
    assert found.layout.where(7, 1) == "Jobs!C7"
    assert [row.values for row in found.rows()] == GOOD


@pytest.mark.parametrize("name", ["s.xlsx", "s.csv"])
def test_the_header_may_stand_far_down_and_be_chosen(opened, name):
    titles = [[f"Line {number}"] for number in range(1, 30)]
    wide = [["some", "other", "four", "cells"], [], TITLES, *GOOD]

    def sheet(rows):
        if name == "s.csv":
            return "".join(",".join(row) + "\n" for row in rows)
        return xlsx({"Jobs": rows})

    found = opened(name, sheet([*titles, TITLES, *GOOD]))
    assert (found.layout.header_line, len(found.layout.above)) == (30, 20)
    assert [row.values for row in found.rows()] == GOOD
    data = sheet([*wide[:2], *titles, *wide[2:]])
    assert opened(name, data).layout.header_line == 1
    chosen = opened(name, data, header_row=32)
    assert (chosen.layout.titles, [row.values for row in chosen.rows()]) == (tuple(TITLES), GOOD)
    known = {fingerprint(TITLES): 40}
    assert opened(name, data, headers=known).layout.header_line == 32
    assert opened(name, data, headers={fingerprint(TITLES): 31}).layout.header_line == 1, "not so far down"
    for row, words in ((2, "Row 2 cannot be the header: it is empty"), (99, f"ends with row {32 + len(GOOD)}")):
        with pytest.raises(Invalid, match=words) as caught:
            opened(name, data, header_row=row)
        assert caught.value.field == "header_row"


def test_a_json_has_no_header_row_to_choose(opened):
    with pytest.raises(Invalid, match="no header row") as caught:
        opened("s.json", '[{"job_id": "J-1"}]', header_row=1)
    assert caught.value.field == "header_row"


def test_title_lines_of_a_text_are_skipped_too(opened):
    found = opened("s.csv", "Spring launch;;;\n;;;\njob_id;psd_path;aepx_path;output_name\nJ-1;a.psd;a.aepx;o.aep\n")
    assert (found.layout.header_line, found.layout.form) == (3, "UTF-8, semicolon")
    assert [row.line for row in found.rows()] == [4]


def test_cells_become_what_a_person_sees(opened):
    row = [
        12.0,
        1.5,
        0.1 + 0.2,
        10**15,
        datetime.date(2025, 11, 5),
        datetime.datetime(2025, 11, 5, 10, 30),
        True,
        "  x ",
    ]
    found = opened("s.xlsx", xlsx({"Jobs": [[f"t{n}" for n in range(8)], row, row]}))
    assert values(found)[0] == (
        *("12", "1.5", "0.3", "1000000000000000", "2025-11-05", "2025-11-05 10:30", "TRUE", "x"),
    )


def test_json_values_become_text_and_missing_keys_are_empty(opened):
    rows = '[{"a": 12.0, "b": 0.10, "c": true, "d": null}, {"e": 1e3, "a": "ü"}]'
    found = opened("s.json", rows)
    assert found.layout.titles == ("a", "b", "c", "d", "e")
    assert values(found) == [("12", "0.10", "TRUE", "", ""), ("ü", "", "", "", "1e3")]
    assert [found.layout.where(row.line, 0) for row in found.rows()] == ["Row 1", "Row 2"]


def test_a_json_row_that_is_cut_between_two_reads_is_whole(opened):
    rows = [{**one, "notes": "x" * 70_000} for one in OBJECTS] * 3
    assert len(values(opened("s.json", json.dumps(rows)))) == 6
    assert len(values(opened("s.jsonl", "\n".join(json.dumps(one) for one in rows)))) == 6


def test_a_formula_counts_by_its_result_and_its_errors_are_told(opened):
    data = with_part(
        xlsx(
            {
                "Jobs": [
                    [*TITLES, "notes"],
                    ["J-1", "a.psd", "a.aepx", "o.aep", "=1+1"],
                    [*GOOD[1], "=A1"],
                    [*GOOD[0], 7],
                ]
            }
        ),
        lambda part: (
            part.replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
            .replace(b"<v>7</v>", b"<v>#REF!</v>")
            .replace(b'r="E4" t="n"', b'r="E4" t="e"')
        ),
    )
    one, two, three = opened("s.xlsx", data).rows()
    assert (one.values[4], one.faults) == ("2", ())
    assert (two.values[4], two.faults[0][0]) == ("", 4)
    assert "formula without its result" in two.faults[0][1]
    assert three.faults == ((4, "is a formula that shows #REF!. Correct it in the workbook."),)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("s.xlsx", b"", "cannot be unpacked"),
        ("s.xlsx", b"PK\x03\x04 and no more", "cannot be unpacked"),
        ("s.xls", b"\xd0\xcf\x11\xe0", "send CSV, TSV, XLSX"),
        ("s.numbers", b"PK", "send CSV"),
        ("s.xlsx", xlsx({"Empty": []}), "workbook is empty"),
        ("s.xlsx", xlsx({"Jobs": [TITLES]}), "a header but no rows"),
        ("s.json", "", "sheet is empty"),
        ("s.json", "[]", "sheet is empty"),
        ("s.json", "[{}]", "sheet is empty"),
        ("s.json", '[{"a": 1}', "ends before the list"),
        ("s.json", '[{"a": 1} {"a": 2}]', "comma is missing"),
        ("s.json", '[\n{"a": 1},\n{"a": tru}]', "Line 3: this is no JSON"),
        ("s.json", "[1, 2]", "a row must be an object"),
        ("s.json", '"text"', "a row must be an object"),
        ("s.json", '[{"a": {"b": 1}}]', "“a” holds a list or an object"),
        ("s.json", '[{"a": "\\ud800"}]', "half a character"),
        ("s.json", '[{"\\udfff": "x"}]', "half a character"),
        ("s.json", '[{"a": "x\\u0000"}]', "NUL"),
        ("s.json", b'[{"a": "\xff"}]', "not UTF-8"),
        ("s.json", '[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]", "nested too deeply"),
        ("s.json", '[{"a": "' + "x" * 3_000_000, "or is not closed"),
        ("s.json", json.dumps([{f"k{n}": 1} for n in range(300)]), "more than 200 different keys"),
        ("s.csv", b"job_id," + b"x" * 2_000_000 + b"\n", "Line 1 has more than"),
        ("s.tsv", LINES.encode() + b"\n" + b'"' + b"x\n" * 200_000, "a cell has more than|never closed"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(opened, name, data, words):
    with pytest.raises(Invalid, match=words) as error:
        for _ in opened(name, data).rows():
            pass
    assert error.value.field == "sheet"


WORKBOOK = xlsx({"Jobs": [TITLES, *GOOD]})
BOMB = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_part(WORKBOOK, lambda part: BOMB + part), "declares XML entities"),
        (with_part(WORKBOOK, lambda part: BOMB + part, "xl/workbook.xml"), "declares XML entities"),
        (with_part(WORKBOOK, lambda part: part.decode().encode("utf-16")), "not UTF-8"),
        (with_part(WORKBOOK, lambda part: part[:200]), "cannot be read"),
        (with_part(WORKBOOK, lambda part: part.replace(b"J-1", b"\xed\xa0\x80")), "cannot be read"),
        (with_part(WORKBOOK, lambda part: part.replace(b"J-1", b"J_x0000_1")), "NUL character"),
        (with_part(WORKBOOK, lambda part: b"PK", "xl/embeddings/more.zip"), "archive in an archive"),
        (with_part(WORKBOOK, lambda part: part + b" " * 80_000_000), "archive bomb"),
    ],
)
def test_hostile_workbooks_are_refused(opened, data, words):
    with pytest.raises(Invalid, match=words):
        for _ in opened("s.xlsx", data).rows():
            pass


def test_a_workbook_that_unpacks_beyond_the_limit_is_refused(opened, settings):
    settings.MAX_WORKBOOK_BYTES = 1000
    with pytest.raises(Invalid, match="unpacks to"):
        opened("s.xlsx", WORKBOOK)


def test_a_cell_far_outside_does_not_take_our_memory(opened):
    data = with_part(WORKBOOK, lambda part: part.replace(b'r="D3"', b'r="XFD1048576"'))
    with pytest.raises(Invalid, match="takes more than 1,024 MB of memory"):
        opened("s.xlsx", data)


@pytest.mark.parametrize(("place", "name"), [((0, 1), "A1"), ((25, 9), "Z9"), ((26, 2), "AA2"), ((701, 3), "ZZ3")])
def test_cells_are_named_as_spreadsheets_do(place, name):
    assert cell_name(*place) == name
