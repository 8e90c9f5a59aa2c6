"""Reads CSV and TSV as people and Excel write them, row by row."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from batches.intake.grid import Grid, Record, suffix_of
from batches.intake.table import BLANK, BY_NAME, tidy_name
from jobs.csv_files import unguarded
from jobs.errors import Invalid
from jobs.storage import CHUNK_BYTES

DELIMITERS = (",", ";", "\t")
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
HEAD_CHARACTERS = 20_000
HEAD_ROWS = 20
MOST_LINE_CHARACTERS = 2**20
ERROR_COLUMN = "error"
"""The column that rejected rows come back with; a corrected sheet that still has it is read without it."""
SEP_LINE = re.compile(r'"?sep=([,;\t])"?[ \t;,]*(?:\r\n|\r|\n|$)', re.IGNORECASE)


def opened(path: Path, name: str) -> Grid:
    """The sheet in a text file. All of it is decoded once; Invalid (field ``sheet``) names the line that cannot be."""
    codec, encoding = _encoding_of(path)
    lines = _check_text(path, codec, encoding)
    with path.open(encoding=codec, newline="") as file:
        head = file.read(HEAD_CHARACTERS)
    sep = SEP_LINE.match(head)
    named = "\t" if suffix_of(name) == ".tsv" else ""
    delimiter = named or (sep.group(1) if sep else _delimiter_of(head))
    # Excel's ``sep=;`` line is not shown by spreadsheets, so it is not counted: line 1 is the one below it.
    skip = len(sep.group(0)) if sep else 0
    return Grid(
        form=f"{encoding}, {DELIMITER_NAMES[delimiter]}",
        records=partial(_records, path, codec, delimiter, skip),
        rows=lines,
    )


def _encoding_of(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Invalid(
            "The sheet is an Excel workbook or an archive under the name of a text. Name it .xlsx, or save it as"
            " “CSV UTF-8”.",
            field="sheet",
        )
    return ("utf-16", "UTF-16") if start.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "UTF-8")


def _check_text(path: Path, codec: str, encoding: str) -> int:
    """Decodes the whole file by pieces. Returns how many lines end in it."""
    decoder = codecs.getincrementaldecoder(codec)()
    line, since_break = 1, 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += bytes(error.object[: error.start]).count(b"\n")
                byte = error.object[error.start] if error.start < len(error.object) else 0
                raise Invalid(
                    f"Line {line}: the sheet is not {encoding} (byte 0x{byte:02X}). Save it as “CSV UTF-8”.",
                    field="sheet",
                ) from None
            if "\0" in text:
                line += text[: text.index("\0")].count("\n")
                raise Invalid(
                    f"Line {line}: the sheet holds a NUL character: it is no text, or UTF-16 without its mark."
                    " Save it as “CSV UTF-8”.",
                    field="sheet",
                )
            line, since_break = _count_lines(text, line, since_break)
            if not chunk:
                return line


def _count_lines(text: str, line: int, since_break: int) -> tuple[int, int]:
    """Goes on counting; refuses one enormous line before anybody holds it in memory."""
    last = max(text.rfind("\n"), text.rfind("\r"))
    first_break = min((at for at in (text.find("\n"), text.find("\r")) if at >= 0), default=len(text))
    if since_break + first_break > MOST_LINE_CHARACTERS:
        raise Invalid(
            f"Line {line} has more than {MOST_LINE_CHARACTERS:,} characters: it is no row of a sheet.", field="sheet"
        )
    breaks = text.count("\n") or text.count("\r")
    return line + breaks, len(text) - last - 1 if last >= 0 else since_break + len(text)


def _delimiter_of(head: str) -> str:
    """The separator under which a row near the top holds most of our columns, then most columns at all."""

    def fitness(delimiter: str) -> tuple[int, int]:
        best = (0, 0)
        try:
            reader = csv.reader(io.StringIO(head.lstrip(BLANK), newline=""), delimiter=delimiter)
            for record in islice(reader, HEAD_ROWS):
                best = max(best, (len({tidy_name(cell) for cell in record} & BY_NAME.keys()), len(record)))
        except csv.Error:
            pass
        return best

    return max(DELIMITERS, key=fitness)


def _records(path: Path, codec: str, delimiter: str, skip: int) -> Iterator[Record]:
    """Every record with the line it begins on. Quoted fields with line breaks count as the lines they take."""
    with path.open(encoding=codec, newline="") as file:
        file.read(skip)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        line = 1
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise Invalid(f"Line {line}: {_in_words(str(error))}", field="sheet") from None
            yield Record(line=line, cells=tuple([unguarded(cell.strip(BLANK)) for cell in record]))
            line = reader.line_num + 1


def _in_words(cause: str) -> str:
    if "unexpected end" in cause:
        return "a quotation mark is opened here and never closed."
    if "expected after" in cause:
        return "text follows a closing quotation mark. Double the quotation marks inside a quoted cell."
    if "field limit" in cause:
        return f"a cell has more than {csv.field_size_limit()} characters, or a quotation mark is not closed."
    return f"cannot be read ({cause})."
