"""Reads XLSX and ODS, through ``rendering.workbook`` in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from batches.intake import archive
from batches.intake.grid import Grid, Record
from batches.intake.table import shown
from jobs.errors import Invalid
from jobs.parentage import child_environment

READ_SECONDS = 120


def tops(path: Path, name: str) -> dict[str, list[Record]]:
    """The first rows of every visible sheet, by its name. Raises Invalid (field ``sheet``)."""
    with archive.opened(name, path, most_bytes=settings.MAX_WORKBOOK_BYTES, field="sheet"):
        pass
    with _reading(path, name) as lines:
        next(lines)
        return {sheet: [_record(row) for row in rows] for sheet, rows in lines}


def opened(path: Path, name: str, sheet_name: str, sheet_names: tuple[str, ...]) -> Grid:
    """One sheet of a workbook that ``tops`` has looked at. Raises Invalid (field ``sheet``)."""
    with _reading(path, name, sheet_name) as lines:
        next(lines)
        rows = next(lines)["rows"]
    form = "OpenDocument spreadsheet" if name.lower().endswith(".ods") else "Excel workbook"
    return Grid(
        form=form,
        records=partial(_records, path, name, sheet_name),
        sheet_name=sheet_name,
        sheet_names=sheet_names,
        rows=rows,
    )


def _records(path: Path, name: str, sheet_name: str) -> Iterator[Record]:
    with _reading(path, name, sheet_name) as lines:
        next(lines)
        next(lines)
        for line in lines:
            yield _record(line)


def _record(row: list[Any]) -> Record:
    line, cells, faults = row
    return Record(line=line, cells=tuple(cells), faults=tuple((column, message) for column, message in faults))


@contextmanager
def _reading(path: Path, name: str, *sheet: str) -> Iterator[Iterator[Any]]:
    """What the reading process tells, value by value. It is ended when the caller has enough."""
    limits = f"{settings.MAX_WORKBOOK_MEMORY_BYTES},{READ_SECONDS}"
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module; the path is ours, the name no option
        [sys.executable, "-m", "rendering.workbook", limits, str(path), *sheet],
        cwd=settings.BASE_DIR,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        try:
            yield _told(process, process.stdout, name)
        finally:
            process.kill()


def _told(process: subprocess.Popen[str], lines: IO[str], name: str) -> Iterator[Any]:
    for line in lines:
        value = json.loads(line)
        if isinstance(value, dict) and "error" in value:
            raise Invalid(f"{shown(name)} cannot be read: {value['error']}.", field="sheet")
        yield value
    if process.wait() != 0:
        most = settings.MAX_WORKBOOK_MEMORY_BYTES / 2**20
        raise Invalid(
            f"{shown(name)} cannot be read: it takes more than {most:,.0f} MB of memory or {READ_SECONDS} s, or it is"
            " damaged. Delete what stands far outside the table, or save it as CSV.",
            field="sheet",
        )
