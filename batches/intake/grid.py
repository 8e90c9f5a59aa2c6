"""A sheet as rows of cells, before anybody knows what they mean: what every format is read into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from batches.intake.table import shown
from jobs.errors import Invalid

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm", ".ods")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
SHEET_SUFFIXES = (*TEXT_SUFFIXES, *WORKBOOK_SUFFIXES, *JSON_SUFFIXES)
KINDS = "CSV, TSV, XLSX, ODS or JSON"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The cells of one row. ``line`` is its line in a text or its row in a workbook, from 1; each has its own.

    ``faults`` are (place, message) of cells that the format itself finds wrong, such as ``#REF!``.
    """

    line: int
    cells: tuple[str, ...]
    faults: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Grid:
    """``records`` begins at the top at every call; it raises Invalid (field ``sheet``) where the sheet cannot be read.

    ``form`` tells people what it was read as. ``sheet_name`` is the workbook's sheet that was taken, out of
    ``sheet_names``. ``rows`` is about how many records there are, 0 where nobody knows. In a ``keyed`` one the first
    record is the header for certain, and its line is 0.
    """

    form: str
    records: Callable[[], Iterator[Record]]
    sheet_name: str = ""
    sheet_names: tuple[str, ...] = ()
    rows: int = 0
    keyed: bool = False


def suffix_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def unreadable(name: str) -> Invalid:
    return Invalid(f"{shown(name)} is not a sheet that can be read: send {KINDS}.", field="sheet")


def cell_name(column: int, line: int) -> str:
    """The name of a workbook's cell: (2, 7) is ``C7``."""
    return f"{column_letters(column)}{line}"


def column_letters(column: int) -> str:
    """The name of a workbook's column, counted from 0: 27 is ``AB``."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_number(letters: str) -> int:
    """The reverse of ``column_letters``: ``AB`` is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
