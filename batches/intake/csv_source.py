"""Reads a CSV as people and Excel write it, and writes one that Excel can open safely."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from batches.intake.table import BY_NAME, REQUIRED, Row, Table, shown
from jobs.errors import Invalid

DELIMITERS = (",", ";", "\t")
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
BLANK = " \t\r\n\v\f\u00a0\u2007\u202f\u200b\u2060\ufeff"
MOST_COLUMNS = 200
ERROR_COLUMN = "error"
"""The column that ``write`` callers add to rejected rows; a corrected sheet that still has it is read without it."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
GUARD = "'"


def read(data: bytes, *, most_rows: int) -> Table:
    """The table in a sheet's bytes. Raises Invalid (field ``sheet``), in words, when there is none to be read."""
    text, encoding = _decode(data)
    text, declared = _without_sep_line(text)
    delimiter = declared or _delimiter_of(text)
    records = _records(text, delimiter)
    header_line, header = next(((line, record) for line, record in records if any(record)), (1, []))
    if not header:
        raise Invalid("The sheet is empty: it needs a header line and at least one row.", field="sheet")
    kept = _columns(header, header_line, delimiter)
    rows: list[Row] = []
    for line, record in records:
        if not any(record):
            continue
        if len(rows) >= most_rows:
            raise Invalid(f"Line {line}: the sheet has more than {most_rows} rows. Split it.", field="sheet")
        rows.append(_row(line, record, kept, width=len(header)))
    if not rows:
        raise Invalid("The sheet has a header but no rows.", field="sheet")
    return _without_empty_columns(
        Table(
            header=tuple(header[index] for index in kept),
            names=tuple(kept.values()),
            rows=tuple(rows),
            encoding=encoding,
            delimiter=DELIMITER_NAMES[delimiter],
        )
    )


def _decode(data: bytes) -> tuple[str, str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, codec = "UTF-16", "utf-16"
    else:
        encoding, codec = "UTF-8", "utf-8-sig"
    if data.startswith(b"PK\x03\x04") or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Invalid("The sheet is an Excel workbook or an archive. Save it as “CSV UTF-8”.", field="sheet")
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start] if error.start < len(data) else 0
        raise Invalid(
            f"Line {line}: the sheet is not {encoding} (byte 0x{byte:02X}). Save it as “CSV UTF-8”.", field="sheet"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Invalid(f"Line {line}: the sheet holds a NUL character: it is not a text file.", field="sheet")
    return text, encoding


def _without_sep_line(text: str) -> tuple[str, str | None]:
    """Takes off Excel's ``sep=;`` line. Spreadsheets do not show it, so it is not counted: line 1 is the header."""
    found = re.match(r'"?sep=([,;\t])"?[ \t;,]*(?:\r\n|\r|\n|$)', text, re.IGNORECASE)
    return (text[found.end() :], found.group(1)) if found else (text, None)


def _delimiter_of(text: str) -> str:
    """The separator under which the header holds most of our columns, then most columns at all."""
    head = text.lstrip(BLANK)[:20_000]

    def fitness(delimiter: str) -> tuple[int, int]:
        try:
            first = next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])
        except csv.Error:
            return (0, 0)
        names = {tidy_name(cell) for cell in first}
        return (len(names & BY_NAME.keys()), len(first))

    return max(DELIMITERS, key=fitness)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record with the line it begins on. Quoted fields with line breaks count as the lines they take."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Invalid(f"Line {line}: {_in_words(str(error))}", field="sheet") from None
        yield line, [unguarded(cell.strip(BLANK)) for cell in record]
        line = reader.line_num + 1


def _in_words(cause: str) -> str:
    if "unexpected end" in cause:
        return "a quotation mark is opened here and never closed."
    if "expected after" in cause:
        return "text follows a closing quotation mark. Double the quotation marks inside a quoted cell."
    if "field limit" in cause:
        return f"a cell has more than {csv.field_size_limit()} characters, or a quotation mark is not closed."
    return f"cannot be read ({cause})."


def tidy_name(cell: str) -> str:
    """A column's name as we write it: ``" Job ID "`` is ``job_id``."""
    return re.sub(r"[\s\-_]+", "_", cell.strip(BLANK).replace("\u00a0", " ").lower()).strip("_")


def _columns(header: list[str], line: int, delimiter: str) -> dict[int, str]:
    """Our name of each column to keep, by its place."""
    if len(header) > MOST_COLUMNS:
        raise Invalid(
            f"Line {line}: the header has {len(header)} columns; at most {MOST_COLUMNS} are allowed.", field="sheet"
        )
    kept: dict[int, str] = {}
    seen: dict[str, int] = {}
    for index, cell in enumerate(header):
        name = tidy_name(cell) or f"column_{index + 1}"
        if name in seen:
            raise Invalid(
                f"Line {line}: columns {seen[name]} and {index + 1} are both called {shown(cell)}.", field="sheet"
            )
        seen[name] = index + 1
        if name != ERROR_COLUMN:
            kept[index] = name
    missing = [name for name in REQUIRED if name not in seen]
    if missing:
        raise Invalid(
            f"Line {line}: the header lacks {_listed(missing)}. Found, separated by {DELIMITER_NAMES[delimiter]}: "
            f"{', '.join(shown(cell, 30) for cell in header[:12] if cell) or 'nothing'}.",
            field="sheet",
        )
    return kept


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _row(line: int, record: list[str], kept: dict[int, str], *, width: int) -> Row:
    values = tuple(record[index] if index < len(record) else "" for index in kept)
    return Row(line=line, values=values, surplus=tuple(cell for cell in record[width:] if cell))


def _without_empty_columns(table: Table) -> Table:
    """Drops the nameless columns in which no row has anything: Excel leaves such behind."""
    full = [index for index, title in enumerate(table.header) if title or any(row.values[index] for row in table.rows)]
    if len(full) == len(table.header):
        return table
    return Table(
        header=tuple(table.header[index] for index in full),
        names=tuple(table.names[index] for index in full),
        rows=tuple(
            Row(line=row.line, values=tuple(row.values[index] for index in full), surplus=row.surplus)
            for row in table.rows
        ),
        encoding=table.encoding,
        delimiter=table.delimiter,
    )


def write(records: Iterable[Iterable[str]]) -> bytes:
    """A CSV for Excel: UTF-8 with BOM, comma, CRLF. A cell that a spreadsheet would calculate is guarded."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for record in records:
        writer.writerow([guarded(cell) for cell in record])
    return out.getvalue().encode("utf-8-sig", "replace")


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what would make it a formula."""
    return (
        GUARD + cell
        if cell.lstrip(BLANK.replace("\t", "").replace("\r", "").replace("\n", "")).startswith(FORMULA)
        else cell
    )


def unguarded(cell: str) -> str:
    """Takes the apostrophe off again, so that a corrected sheet says what the first one said."""
    return cell[1:] if cell.startswith(GUARD) and guarded(cell[1:]) != cell[1:] else cell
