"""A Google Sheet as it was at one moment, and the file that keeps it: JSON Lines, the head first, then row by row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from batches.google.addresses import SheetAddress
from batches.intake.grid import Grid, Record
from batches.intake.table import BLANK
from jobs.csv_files import unguarded
from jobs.errors import Invalid

SUFFIX = ".gsheet"
FORM = "Google Sheet"
UNNAMED = "Sheet"
"""What a tab is called whose title nobody told."""
MOST_LINE_CHARACTERS = 2**23
ERRORS = frozenset({"#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#ERROR!"})
LOADING = frozenset({"Loading...", "Loading…"})


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The texts of a sheet as people see them. ``address`` names the tab by its number where that is known.

    ``title`` is the spreadsheet's and ``tab`` the tab's; a public export does not tell them, so that they may be empty.
    ``rows`` are all rows of the range from its top; they may be of different lengths. The first is the sheet's row
    ``first_row`` (from 1), its first cell in column ``first_column`` (from 0).
    """

    address: SheetAddress
    title: str
    tab: str
    rows: tuple[tuple[str, ...], ...]
    first_row: int = 1
    first_column: int = 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the cells and where they stand: the same as long as no cell of the range shows anything else."""
        sha256 = hashlib.sha256(f"{self.first_row},{self.first_column}".encode())
        for row in self.rows:
            sha256.update(json.dumps(row).encode() + b"\n")
        return sha256.hexdigest()

    def records(self) -> Iterator[Record]:
        """The rows as those of every sheet: places are the sheet's own columns, empty rows are left out."""
        return _records(self.rows, self.first_row, self.first_column)

    def grid(self) -> Grid:
        return Grid(form=FORM, records=self.records, sheet_name=self.tab or UNNAMED, rows=len(self.rows))

    def as_bytes(self) -> bytes:
        """A file that ``opened`` reads, of the ending SUFFIX."""
        head = {
            "address": self.address.as_json(),
            "title": self.title,
            "tab": self.tab,
            "first_row": self.first_row,
            "first_column": self.first_column,
        }
        return b"".join(json.dumps(line).encode() + b"\n" for line in (head, *self.rows))


def opened(path: Path) -> Grid:
    """The grid in a file of ``Snapshot.as_bytes``, read row by row. Raises Invalid (field ``sheet``) for any other."""
    head = next(_lines(path), None)
    if isinstance(head, dict) and "doc_id" in head:
        raise Invalid(
            "The file is only a link to a Google Sheet. Enter the sheet's address, or download it as CSV or XLSX.",
            field="sheet",
        )
    if not isinstance(head, dict) or not isinstance(head.get("tab"), str):
        raise _damaged()
    row, column = head.get("first_row"), head.get("first_column")
    if not isinstance(row, int) or not isinstance(column, int) or row < 1 or not 0 <= column < 20_000:
        raise _damaged()
    return Grid(form=FORM, records=partial(_kept, path, row, column), sheet_name=head["tab"] or UNNAMED)


def _kept(path: Path, first_row: int, first_column: int) -> Iterator[Record]:
    lines = _lines(path)
    next(lines)
    return _records((_row(line) for line in lines), first_row, first_column)


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="ascii") as file:
        try:
            while line := file.readline(MOST_LINE_CHARACTERS):
                yield json.loads(line)
        except (ValueError, RecursionError):
            raise _damaged() from None


def _row(line: Any) -> tuple[str, ...]:
    if not isinstance(line, list) or not all(isinstance(cell, str) for cell in line):
        raise _damaged()
    return tuple(line)


def _damaged() -> Invalid:
    return Invalid("The file is not what was read of a Google Sheet, or it is damaged.", field="sheet")


def _records(rows: Iterable[tuple[str, ...]], first_row: int, first_column: int) -> Iterator[Record]:
    left = ("",) * first_column
    for line, row in enumerate(rows, first_row):
        cells = left + tuple(unguarded(cell.strip(BLANK)) for cell in row)
        if any(cells):
            yield Record(line=line, cells=cells, faults=tuple(_faults(cells)))


def _faults(cells: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for place, cell in enumerate(cells):
        if cell in ERRORS:
            yield place, f"is a formula that shows {cell}. Correct it in the sheet."
        elif cell in LOADING:
            yield place, "is still being computed. Open the sheet, wait until it shows its value, and read it again."
