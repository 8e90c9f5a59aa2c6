"""Writes texts back into a Google Sheet: into named columns, beside the keys of their rows, and nowhere else.

Rows move while we work, so that they are found by their keys, which are read again right before writing. Google has no
write that depends on what is there: what somebody moves in the fraction of a second between the two is not noticed.

A cell is left alone when it holds a formula, or shows what a formula elsewhere puts there. Texts are written RAW, which
Google never calculates; one that a spreadsheet would calculate is guarded as in our CSV files all the same, since
people download sheets and open them elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from batches.google import account, api, transport
from batches.google.addresses import Area, SheetAddress, quoted
from batches.google.errors import KeyRefused, Unreachable
from batches.google.transport import Hold, within
from batches.intake.sheet import HEADER_WITHIN, listed
from batches.intake.table import BLANK, shown, tidy_name
from jobs.csv_files import guarded, unguarded
from jobs.errors import Invalid

MOST_CHARACTERS = 5_000
"""Of a cell's text; Google has room for 50,000."""
MOST_REQUEST_CHARACTERS = 1_000_000
"""Of the texts of one request: Google recommends no more than 2 MB."""
CELL_CHARACTERS = 50
"""About what a cell takes in a request besides its text."""
FIELDS = "sheets.data(startRow,startColumn,rowData.values(userEnteredValue,effectiveValue,formattedValue))"
FORMULA = "holds a formula"

Place = tuple[int, int]
"""Row and column in the sheet, from 0."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A cell that was not written, and why, in words that follow "the cell"."""

    key: str
    column: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many cells were ``written``, how many said so already, and which were left alone."""

    written: int
    unchanged: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, kw_only=True)
class _Cell:
    text: str
    is_formula: bool


@dataclass(frozen=True, kw_only=True)
class _Now:
    """The sheet right before writing: rows by key, and the cells of the columns to write."""

    tab: str
    columns: Mapping[str, int]
    rows: Mapping[str, Sequence[int]]
    cells: Mapping[Place, _Cell]


def write_back(
    address: SheetAddress,
    *,
    key: str,
    cells: Mapping[tuple[str, str], str],
    header_row: int = 0,
    hold: Hold | None = None,
) -> Written:
    """Writes ``cells``, texts by (key of the row, title of the column). ``key`` is the title of the column of the keys.

    ``header_row`` is the sheet's row (from 1) in which the header stood when it was read; 0 when nobody knows.

    Nothing is written that is there already, so that it may be called again after any failure. Raises Invalid (field
    ``columns`` for titles that are not in the sheet's header, or there twice), and as ``client.read`` does.
    """
    if not account.is_set():
        raise KeyRefused("Writing into a Google Sheet takes a service account: see GOOGLE_SERVICE_ACCOUNT.")
    titles = sorted({title for _, title in cells})
    if tidy_name(key) in {tidy_name(title) for title in titles}:
        raise Invalid(f"The column {shown(key)} tells rows apart; nothing is written into it.", field="columns")
    if not cells:
        return Written(written=0, unchanged=0, skipped=())
    hold = within(transport.WRITE_SECONDS, hold)
    found = api.look_up(address, scope=account.WRITE, hold=hold).address
    header, columns = _header(found, [key, *titles], header_row, hold)
    now = _read(found, header, columns, key, hold)
    places, unchanged, skipped = _plan(now, cells)
    for part in _parts(places):
        body = {"valueInputOption": "RAW", "data": [_range(now.tab, area, places) for area in _areas(part)]}
        api.call(found, "/values:batchUpdate", {}, body, scope=account.WRITE, hold=hold)
    return Written(written=len(places), unchanged=unchanged, skipped=tuple(skipped))


def _header(
    found: SheetAddress, titles: Sequence[str], header_row: int, hold: Hold | None
) -> tuple[int, dict[str, int]]:
    """The row of the header, and the columns of our titles: of the rows that have them all, the one nearest to where
    the header stood, or to the top. Rows that somebody put in or took out above it move it a little."""
    stood = max(found.area.top, header_row - 1)
    top = max(found.area.top, stood - HEADER_WITHIN)
    area = Area(top=top, bottom=stood + HEADER_WITHIN - 1)
    path = f"/values/{quote(f'{quoted(found.tab)}!{area.notation}', safe='')}"
    asked = {"majorDimension": "ROWS", "valueRenderOption": "FORMATTED_VALUE"}
    rows = api.texts(api.call(found, path, asked, scope=account.WRITE, hold=hold).get("values", []))
    best: list[str] = list(titles)
    for number, row in sorted(enumerate(rows, top), key=lambda one: abs(one[0] - stood)):
        names = [tidy_name(cell) for cell in row]
        missing = [title for title in titles if tidy_name(title) not in names]
        twice = [title for title in titles if names.count(tidy_name(title)) > 1]
        if not missing and not twice:
            return number, {title: names.index(tidy_name(title)) for title in titles}
        if not missing:
            raise Invalid(f"{shown(found.tab)} has two columns called {shown(twice[0])}.", field="columns")
        best = min(best, missing, key=len)
    raise Invalid(
        f"{shown(found.tab)} has no column called {listed([shown(title) for title in best])} in its header. Add it, or"
        " choose another.",
        field="columns",
    )


def _read(found: SheetAddress, header: int, columns: Mapping[str, int], key: str, hold: Hold | None) -> _Now:
    """The columns from the header down. Raises Unreachable when the header moved since it was found."""
    bottom = found.area.bottom
    areas = [Area(top=header, bottom=bottom, left=column, right=column) for column in columns.values()]
    ranges = [f"{quoted(found.tab)}!{area.notation}" for area in areas]
    told = api.call(found, "", {"ranges": ranges, "fields": FIELDS}, scope=account.WRITE, hold=hold)
    cells = dict(_cells(told, set(columns.values())))
    empty = _Cell(text="", is_formula=False)
    for title, column in columns.items():
        if tidy_name(cells.get((header, column), empty).text) != tidy_name(title):
            raise Unreachable(f"Somebody moves the columns of {shown(found.tab)} at this moment.")
    rows: dict[str, list[int]] = {}
    for (row, column), cell in cells.items():
        if column == columns[key] and row > header and (name := unguarded(cell.text.strip(BLANK))):
            rows.setdefault(name, []).append(row)
    return _Now(tab=found.tab, columns=columns, rows=rows, cells=cells)


def _cells(told: Mapping[str, Any], columns: Collection[int]) -> Iterator[tuple[Place, _Cell]]:
    try:
        for block in told["sheets"][0]["data"]:
            left = block.get("startColumn", 0)
            if left not in columns:
                raise ValueError
            for row, one in enumerate(block.get("rowData", []), block.get("startRow", 0)):
                for column, cell in enumerate(one.get("values", []), left):
                    if cell:
                        yield (row, column), _cell(cell)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise Unreachable("Google's answer does not say what the cells hold.") from None


def _cell(cell: Mapping[str, Any]) -> _Cell:
    """One that shows something and into which nobody entered anything is filled by a formula elsewhere."""
    typed, effective = cell.get("userEnteredValue"), cell.get("effectiveValue")
    is_formula = "formulaValue" in typed if typed else bool(effective)
    return _Cell(text=str(cell.get("formattedValue", "")), is_formula=is_formula)


def _plan(now: _Now, cells: Mapping[tuple[str, str], str]) -> tuple[dict[Place, str], int, list[Skipped]]:
    """What to write where; how many cells say so already; what is left alone."""
    places: dict[Place, str] = {}
    unchanged, skipped = 0, []
    for (name, title), text in cells.items():
        rows = now.rows.get(name, ())
        if len(rows) != 1:
            numbers = listed([str(row + 1) for row in rows]) if rows else ""
            reason = f"has a key that stands in rows {numbers}" if rows else "has a key that no row has any more"
            skipped.append(Skipped(key=name, column=title, reason=reason))
            continue
        place, text = (rows[0], now.columns[title]), guarded(_short(text))
        there = now.cells.get(place)
        if there is not None and there.is_formula:
            skipped.append(Skipped(key=name, column=title, reason=FORMULA))
        elif (there.text if there is not None else "") == text:
            unchanged += 1
        else:
            places[place] = text
    return places, unchanged, skipped


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _parts(places: Mapping[Place, str]) -> Iterator[list[Place]]:
    """The places in parts that one request may carry, row by row."""
    part: list[Place] = []
    size = 0
    for place in sorted(places):
        size += len(json.dumps(places[place])) + CELL_CHARACTERS
        if part and size > MOST_REQUEST_CHARACTERS:
            yield part
            part, size = [], len(json.dumps(places[place])) + CELL_CHARACTERS
        part.append(place)
    if part:
        yield part


def _areas(places: Collection[Place]) -> list[Area]:
    """The fewest whole rectangles that hold these places and no other: columns in runs, equal runs side by side."""
    runs: dict[tuple[int, int], list[int]] = {}
    by_column: dict[int, list[int]] = {}
    for row, column in sorted(places):
        by_column.setdefault(column, []).append(row)
    for column, rows in by_column.items():
        for top, bottom in _runs(rows):
            runs.setdefault((top, bottom), []).append(column)
    return [
        Area(top=top, bottom=bottom, left=left, right=right)
        for (top, bottom), columns in runs.items()
        for left, right in _runs(sorted(columns))
    ]


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers that follow one another."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def _range(tab: str, area: Area, places: Mapping[Place, str]) -> dict[str, Any]:
    assert area.bottom is not None
    assert area.right is not None
    values = [
        [places[row, column] for column in range(area.left, area.right + 1)] for row in range(area.top, area.bottom + 1)
    ]
    return {"range": f"{quoted(tab)}!{area.notation}", "majorDimension": "ROWS", "values": values}
