"""batches.intake.csv_source, as sheet.opened reads it"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from batches.intake import sheet
from batches.intake.judging import limited
from jobs import csv_files
from jobs.errors import Invalid

HEAD = "job_id,psd_path,aepx_path,output_name"
ROW = "J1,a.psd,a.aepx,o.aep"


@dataclass
class Table:
    header: tuple
    names: tuple
    rows: list
    form: str

    def cells(self, row):
        return dict(zip(self.names, row.values, strict=True))


@pytest.fixture
def read(tmp_path, settings):
    def read(text, encoding="utf-8", most_rows=100, name="s.csv"):
        settings.MAX_SHEET_ROWS = most_rows
        path = tmp_path / name
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        opened = sheet.opened(path, name)
        rows = list(limited(opened.rows(), opened.layout))
        return Table(header=opened.layout.header, names=opened.layout.titles, rows=rows, form=opened.layout.form)

    return read


@pytest.fixture
def cells(read):
    def cells(text, **options):
        table = read(text, **options)
        return [table.cells(row) for row in table.rows]

    return cells


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_a_sheet_is_read_in_every_encoding_that_excel_writes_unicode_in(cells, encoding):
    text = f"{HEAD},notes\n{ROW},Grüße 🎬\n"
    boms = {"utf-16-le-bom": ("utf-16-le", b"\xff\xfe"), "utf-16-be-bom": ("utf-16-be", b"\xfe\xff")}
    codec, bom = boms.get(encoding, (encoding, b""))
    assert cells(bom + text.encode(codec))[0]["notes"] == "Grüße 🎬"


def test_another_encoding_is_refused_with_the_line_and_the_cure(read):
    data = f"{HEAD}\n{ROW}\nJ2,gr\u00fc\u00dfe.psd,a.aepx,p.aep".encode("cp1252")
    with pytest.raises(Invalid, match=r"Line 3: the sheet is not UTF-8 \(byte 0xFC\). Save it as “CSV UTF-8”"):
        read(data)


@pytest.mark.parametrize("data", [b"\xed\xa0\x80", "\ud800".encode("utf-16-le", "surrogatepass")])
def test_lone_surrogates_are_refused(read, data):
    start = b"\xff\xfe" if data == b"\x00\xd8" else b""
    with pytest.raises(Invalid, match="is not UTF"):
        read(start + data)


@pytest.mark.parametrize("data", [b"PK\x03\x04rest", b"\xd0\xcf\x11\xe0rest"])
def test_a_workbook_under_the_name_of_a_sheet_is_told_apart(read, data):
    with pytest.raises(Invalid, match="Excel workbook"):
        read(data)


def test_a_nul_character_is_refused_with_its_line(read):
    with pytest.raises(Invalid, match=r"Line 2: .* NUL"):
        read(f"{HEAD}\nJ1\0,a.psd,a.aepx,o.aep")


@pytest.mark.parametrize(("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab")])
def test_the_separator_is_found(read, delimiter, name):
    table = read("\n".join(line.replace(",", delimiter) for line in (HEAD, ROW)))
    assert table.form == f"UTF-8, {name}"
    assert table.rows[0].values == ("J1", "a.psd", "a.aepx", "o.aep")


def test_a_header_with_other_separators_in_its_titles_is_understood(read):
    text = 'job_id;psd_path;aepx_path;output_name;"notes, remarks, wishes, and, more"\nJ1;a.psd;a.aepx;o.aep;x\n'
    assert read(text).form == "UTF-8, semicolon"


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;;"])
def test_excels_sep_line_is_obeyed_and_not_counted(read, line):
    table = read(f"{line}\r\n{HEAD}\r\n{ROW}\r\n".replace(",", ";"))
    assert table.rows[0].line == 2


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_counts_as_one_line(read, ending):
    table = read(ending.join([HEAD, ROW, "", "J2,a.psd,a.aepx,p.aep"]))
    assert [row.line for row in table.rows] == [2, 4]


def test_a_field_over_several_lines_counts_as_the_lines_it_takes(read):
    table = read(f'{HEAD},notes\n{ROW},"one\ntwo\r\nthree"\nJ2,a.psd,a.aepx,p.aep,x\n')
    assert [row.line for row in table.rows] == [2, 5]
    assert table.cells(table.rows[0])["notes"] == "one\ntwo\r\nthree"


def test_unicode_line_separators_inside_a_field_are_no_line_ends(read):
    table = read(f"{HEAD},notes\n{ROW},one\u2028two\x0bthree\nJ2,a.psd,a.aepx,p.aep,x\n")
    assert [row.line for row in table.rows] == [2, 3]


def test_quoted_fields_keep_separators_and_doubled_quotation_marks(cells):
    assert cells(f'{HEAD},notes\n{ROW},"a, ""b"""\n')[0]["notes"] == 'a, "b"'


def test_titles_are_known_in_any_case_with_blanks_and_hyphens(cells):
    text = f" Job ID ,PSD\u00a0Path,\ufeffAEPX-path,OUTPUT_NAME\n{ROW}\n"
    assert set(cells(text)[0]) == {"job_id", "psd_path", "aepx_path", "output_name"}


def test_blanks_of_every_kind_around_a_cell_are_taken_off(cells):
    assert cells(f"{HEAD}\n\u00a0J1\u200b , a.psd\u202f,a.aepx,o.aep")[0]["job_id"] == "J1"


def test_trailing_empty_columns_and_rows_are_left_out(read):
    table = read(f"{HEAD},,,\n{ROW},,,\n,,,,,,\n")
    assert table.header == ("job_id", "psd_path", "aepx_path", "output_name")
    assert len(table.rows) == 1


def test_a_nameless_column_with_content_is_kept_under_its_place(cells):
    assert cells(f"{HEAD},\n{ROW},kept\n")[0]["column_5"] == "kept"


def test_a_row_that_is_too_short_has_empty_cells(cells):
    assert cells(f"{HEAD}\nJ1,a.psd\n")[0]["output_name"] == ""


def test_cells_beyond_the_header_are_a_surplus(read):
    assert read(f"{HEAD}\n{ROW},more\n").rows[0].surplus == ("more",)


def test_two_columns_of_one_name_are_refused(read):
    with pytest.raises(Invalid, match="columns 1 and 5 are both called"):
        read(f"{HEAD},Job Id\n{ROW},x\n")


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n\n", ",,,\n", "sep=,\n"])
def test_an_empty_sheet_says_so(read, text):
    with pytest.raises(Invalid, match="sheet is empty"):
        read(text)


def test_a_header_alone_says_so(read):
    with pytest.raises(Invalid, match="no rows"):
        read(HEAD)


def test_a_quotation_mark_that_is_never_closed_is_reported_where_it_opens(read):
    with pytest.raises(Invalid, match="Line 3: a quotation mark is opened here and never closed"):
        read(f'{HEAD}\n{ROW}\nJ2,"a.psd,a.aepx,p.aep\nJ3,a.psd,a.aepx,q.aep\n')


def test_text_after_a_closing_quotation_mark_is_reported(read):
    with pytest.raises(Invalid, match="Line 2: text follows a closing quotation mark"):
        read(f'{HEAD}\nJ1,"a"b.psd,a.aepx,p.aep\n')


def test_one_enormous_line_is_refused(read):
    with pytest.raises(Invalid, match="Line 2: a cell has more than"):
        read(f"{HEAD}\n" + "x" * 200_000)


def test_too_many_rows_are_refused_with_the_line(read):
    with pytest.raises(Invalid, match="Line 4: the sheet has more than 2 rows"):
        read("\n".join([HEAD, *[f"J{n},a.psd,a.aepx,{n}.aep" for n in range(5)]]), most_rows=2)


def test_too_many_columns_are_refused(read):
    with pytest.raises(Invalid, match="at most 200"):
        read(HEAD + "," * 300 + "\n")


@pytest.mark.parametrize("cell", ["=1+1", "-1", "'quoted'", "'", "plain", ""])
def test_a_sheet_that_we_wrote_reads_as_it_was(cells, cell):
    data = csv_files.write([[*HEAD.split(","), "notes"], [*ROW.split(","), cell]])
    assert cells(data)[0].get("notes", "") == cell


def test_our_own_error_column_is_left_out_when_a_corrected_sheet_comes_back(read):
    assert read(f"{HEAD},error\n{ROW},Line 2: was bad\n").names == ("job_id", "psd_path", "aepx_path", "output_name")
