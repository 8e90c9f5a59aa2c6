"""Workbooks to send, good and hostile."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

TITLES = ["job_id", "psd_path", "aepx_path", "output_name"]
SHEET = "xl/worksheets/sheet1.xml"


def rows_of(count: int) -> list[list[Any]]:
    return [[f"J-{n}", "a.psd", "a.aepx", f"out-{n}.aep"] for n in range(1, count + 1)]


def xlsx(sheets: dict[str, Sequence[Sequence[Any]]], *, hidden: Sequence[str] = ()) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if name in hidden:
            sheet.sheet_state = "hidden"
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def ods(sheets: dict[str, Sequence[Sequence[str]]]) -> bytes:
    document = OpenDocumentSpreadsheet()
    for name, rows in sheets.items():
        table = Table(name=name)
        for row in rows:
            line = TableRow()
            for text in row:
                cell = TableCell(valuetype="string")
                cell.addElement(P(text=text))
                line.addElement(cell)
            table.addElement(line)
        document.spreadsheet.addElement(table)
    out = io.BytesIO()
    document.write(out)
    return out.getvalue()


def with_part(workbook: bytes, change: Callable[[bytes], bytes], part: str = SHEET) -> bytes:
    """The workbook with one of its parts changed; a part that is not there yet is made from nothing."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, change(data) if entry.filename == part else data)
        if part not in old.namelist():
            new.writestr(part, change(b""))
    return out.getvalue()
