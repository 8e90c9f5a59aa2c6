"""A sheet of any format, opened: its header found, its columns named, its rows one by one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from batches.google import snapshot
from batches.intake import csv_source, json_source, mapping, workbook_source
from batches.intake.csv_source import ERROR_COLUMN
from batches.intake.grid import (
    JSON_SUFFIXES,
    TEXT_SUFFIXES,
    WORKBOOK_SUFFIXES,
    Grid,
    Record,
    cell_name,
    suffix_of,
    unreadable,
)
from batches.intake.table import BY_NAME, MOST_COLUMNS, REQUIRED, Row, shown, tidy_name
from jobs.errors import Invalid

HEADER_WITHIN = 20
"""The header is looked for in so many rows; lines above it are titles."""
MOST_ROW = 999_999_999
WIDE_WITHIN = 1000
"""Where none of those has room for our required columns, in so many."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things stand in a sheet: what ``Upload.layout`` keeps.

    ``header`` are the titles of the columns to read and ``titles`` the same tidied, ``places`` where they stand (from
    0), ``width`` how many columns the header has. ``above`` are the first texts of the lines above it.
    """

    header: tuple[str, ...]
    titles: tuple[str, ...]
    places: tuple[int, ...]
    width: int
    header_line: int
    form: str
    above: tuple[str, ...] = ()
    sheet_name: str = ""
    sheet_names: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)

    def names(self, mapped: Mapping[str, str]) -> tuple[str, ...]:
        """What the columns are called by us: our names by the mapping, else the tidied titles."""
        ours = {title: name for name, title in mapped.items()}
        return tuple(ours.get(title, _not_ours(title)) for title in self.titles)

    def others(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """Place among the values and title of the columns that are none of ours, by what ``names`` calls them."""
        return [
            (place, unicodedata.normalize("NFC", title or name))
            for place, (title, name) in enumerate(zip(self.header, names, strict=True))
            if name not in BY_NAME
        ]

    def where(self, line: int, place: int | None = None) -> str:
        """How people find a row, or the cell at a place among the values: ``Jobs!C7`` in a workbook.

        Without its cells' names ``Line 7`` of a text, or ``Row 7`` of a JSON, whose header is in no line.
        """
        if not self.sheet_name:
            return f"{'Line' if self.header_line else 'Row'} {line}"
        if place is None:
            return f"{self.sheet_name}, row {line}"
        return f"{self.sheet_name}!{cell_name(self.places[place], line)}"


def _not_ours(title: str) -> str:
    """A title of the sheet that is called as a column of ours but was mapped to none."""
    return f"{title}_in_sheet" if title in BY_NAME else title


@dataclass(frozen=True, kw_only=True)
class Sheet:
    layout: Layout
    grid: Grid

    def rows(self) -> Iterator[Row]:
        """Every row below the header that is not empty. Raises Invalid (field ``sheet``) where it cannot be read."""
        layout = self.layout
        plain = layout.places == tuple(range(layout.width))
        for record in self.grid.records():
            if record.line <= layout.header_line:
                continue
            cells = record.cells
            if not any(cells) and not record.faults:
                continue
            if plain and len(cells) == layout.width and not record.faults:
                yield Row(line=record.line, values=cells)
                continue
            yield Row(
                line=record.line,
                values=tuple(cells[place] if place < len(cells) else "" for place in layout.places),
                surplus=tuple(cell for cell in cells[layout.width :] if cell),
                faults=tuple((layout.places.index(p), words) for p, words in record.faults if p in layout.places),
            )


def opened(
    path: Path, name: str, *, sheet_name: str = "", header_row: int = 0, headers: Mapping[str, int] | None = None
) -> Sheet:
    """The sheet in a file, by the ending of its name. ``sheet_name`` chooses one of a workbook's sheets.

    Without it the first is taken whose header names our required columns, or else most of ours. ``header_row`` is the
    number of the header's row, from 1, where somebody says it; ``headers`` are those that are known, by fingerprint,
    with the row in which they stood. Raises Invalid (field ``sheet``, ``sheet_name`` or ``header_row``) for what cannot
    be read, or has no header and no row.
    """
    suffix = suffix_of(name)
    if suffix in WORKBOOK_SUFFIXES:
        grid = _workbook(path, name, sheet_name)
    elif suffix == snapshot.SUFFIX:
        grid = snapshot.opened(path)
    elif sheet_name:
        raise Invalid(f"{shown(name)} has no sheets to choose {shown(sheet_name)} from.", field="sheet_name")
    elif suffix in JSON_SUFFIXES:
        grid = json_source.opened(path)
    elif suffix in TEXT_SUFFIXES:
        grid = csv_source.opened(path, name)
    else:
        raise unreadable(name)
    return _sheet(grid, header_row, headers or {})


def _workbook(path: Path, name: str, sheet_name: str) -> Grid:
    tops = workbook_source.tops(path, name)
    if sheet_name and sheet_name not in tops:
        listed = ", ".join(shown(one) for one in list(tops)[:8])
        raise Invalid(f"There is no sheet {shown(sheet_name)}. There are: {listed}.", field="sheet_name")
    if not any(tops.values()):
        raise Invalid("The workbook is empty: it needs a header and at least one row.", field="sheet")
    if not sheet_name:
        filled = [one for one, records in tops.items() if records]
        sheet_name = max(filled, key=lambda one: max(mapping.fitness(record.cells) for record in tops[one]))
    return workbook_source.opened(path, name, sheet_name, tuple(tops))


def _sheet(grid: Grid, header_row: int, headers: Mapping[str, int]) -> Sheet:
    top = [record for record in islice(grid.records(), HEADER_WITHIN) if any(record.cells)]
    if not top:
        raise Invalid("The sheet is empty: it needs a header line and at least one row.", field="sheet")
    if header_row:
        header = _header_in(grid, header_row)
    elif grid.keyed:
        header = top[0]
    else:
        header = _known_header(grid, headers) or _header_among(top, grid)
    above = [record for record in top if record.line < header.line]
    layout = _layout(header, grid, tuple(next(cell for cell in record.cells if cell)[:80] for record in above))
    sheet = Sheet(layout=layout, grid=grid)
    if next(sheet.rows(), None) is None:
        raise Invalid("The sheet has a header but no rows.", field="sheet")
    return _without_empty_columns(sheet)


def _header_in(grid: Grid, row: int) -> Record:
    """The row that somebody says is the header. Raises Invalid (field ``header_row``) when there is nothing in it."""
    if grid.keyed:
        raise Invalid("A JSON has no header row: its columns are the names in its objects.", field="header_row")
    last = 0
    for record in grid.records():
        if record.line == row and any(record.cells):
            return record
        if record.line > row:
            break
        last = record.line
    else:
        if row > last:
            raise Invalid(
                f"There is no row {row} to be the header: the sheet ends with row {last}.", field="header_row"
            )
    raise Invalid(f"Row {row} cannot be the header: it is empty.", field="header_row")


def _known_header(grid: Grid, headers: Mapping[str, int]) -> Record | None:
    """The first row that somebody took as a header before, as far down as such rows stood."""
    if not headers:
        return None
    last = max(HEADER_WITHIN, *headers.values())
    for record in takewhile(lambda record: record.line <= last, grid.records()):
        titles = [tidy_name(cell) for cell in record.cells]
        named = [title for title in titles if title and title != ERROR_COLUMN]
        # Nameless columns count where something stands in them: below this row, perhaps.
        full = [title or f"column_{place}" for place, title in enumerate(titles, 1) if title != ERROR_COLUMN]
        if mapping.fingerprint(named) in headers or mapping.fingerprint(full) in headers:
            return record
    return None


def _is_wide(record: Record) -> bool:
    return sum(bool(cell) for cell in record.cells) >= len(REQUIRED)


def _header_among(top: Sequence[Record], grid: Grid) -> Record:
    """The first row that names most of our columns. Where none is named, the first that has room for the required."""
    best = max(top, key=lambda record: mapping.fitness(record.cells))
    if mapping.fitness(best.cells) >= 2:
        return best
    return next((record for record in islice(grid.records(), WIDE_WITHIN) if _is_wide(record)), top[0])


def _layout(header: Record, grid: Grid, above: tuple[str, ...]) -> Layout:
    if len(header.cells) > MOST_COLUMNS:
        raise Invalid(
            f"Line {header.line}: the header has {len(header.cells)} columns; at most {MOST_COLUMNS} are allowed.",
            field="sheet",
        )
    kept: dict[int, str] = {}
    seen: dict[str, int] = {}
    for place, cell in enumerate(header.cells):
        title = tidy_name(cell) or f"column_{place + 1}"
        if title in seen:
            raise Invalid(
                f"Line {header.line}: columns {seen[title]} and {place + 1} are both called {shown(cell)}.",
                field="sheet",
            )
        seen[title] = place + 1
        if title != ERROR_COLUMN:
            kept[place] = title
    return Layout(
        header=tuple(header.cells[place] for place in kept),
        titles=tuple(kept.values()),
        places=tuple(kept),
        width=len(header.cells),
        header_line=header.line,
        form=grid.form,
        above=above,
        sheet_name=grid.sheet_name,
        sheet_names=grid.sheet_names,
    )


def _without_empty_columns(sheet: Sheet) -> Sheet:
    """Drops the nameless columns in which no row has anything: spreadsheets leave such behind."""
    layout = sheet.layout
    nameless = {index for index, title in enumerate(layout.header) if not title}
    if not nameless:
        return sheet
    for row in sheet.rows():
        nameless -= {index for index in nameless if row.values[index]}
        if not nameless:
            return sheet
    full = [index for index in range(len(layout.header)) if index not in nameless]
    fewer = replace(
        layout,
        header=tuple(layout.header[index] for index in full),
        titles=tuple(layout.titles[index] for index in full),
        places=tuple(layout.places[index] for index in full),
    )
    return replace(sheet, layout=fewer)


def refuse_narrow(layout: Layout, mapped: Mapping[str, object]) -> None:
    """Refuses a sheet that can never have our required columns, whatever they are called."""
    lacking = mapping.missing(mapped)
    if lacking and len(layout.titles) < len(REQUIRED):
        found = ", ".join(shown(title, 30) for title in layout.header[:12] if title) or "nothing"
        raise Invalid(
            f"{layout.where(layout.header_line)}: the header lacks {listed(lacking)}. Found ({layout.form}): {found}.",
            field="sheet",
        )


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
