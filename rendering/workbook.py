"""Reads a workbook (XLSX, ODS) in a process of its own: ``python -m rendering.workbook LIMITS FILE [SHEET]``.

A workbook is a stranger's archive of XML, and its reader holds a sheet as a whole. So the process has little memory and
time, and whoever started it reads JSON, one value a line: ``{"sheets": [name, ...]}`` first. Without SHEET the tops of
all visible sheets follow, ``[name, [[row, cells, faults], ...]]``; with it ``{"rows": count}`` and all its rows,
``[row, cells, faults]``. ``cells`` are texts as a person sees them, beginning in column A; ``faults`` are
``[place, message]``. A file that cannot be read ends with ``{"error": cause}``.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

TOP_ROWS = 20
PIECE_BYTES = 2**20
PROLOG_BYTES = 2**16
FORMULA_WORDS = re.compile(r"#(?:REF|N/A|NAME|VALUE|DIV/0|NUM|NULL|SPILL|CALC)[!?]?|Err:\d{3}")
CELL = re.compile(r"([A-Z]{1,3})([1-9]\d*)")
UNCOMPUTED = "holds a formula without its result: open the workbook in a spreadsheet and save it."
SCANNED = re.compile(
    r"xl/worksheets/[^/]+\.xml|xl/(?:workbook|sharedStrings|styles)\.xml|(?:content|styles)\.xml", re.I
)

Faults = dict[tuple[int, int], tuple[str, str]]
"""By (row, column), both from 0: what the cell shows, and what is wrong with it."""


class Unreadable(Exception):
    """Why the workbook is not read, in words."""


def main(arguments: list[str]) -> int:
    memory_bytes, seconds = (int(part) for part in arguments[0].split(","))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for line in read(Path(arguments[1]), arguments[2] if len(arguments) > 2 else None):
            sys.stdout.write(json.dumps(line) + "\n")
    except Unreadable as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    except MemoryError:
        sys.stdout.write(json.dumps({"error": "it needs more memory than a sheet may"}) + "\n")
    return 0


def read(path: Path, sheet_name: str | None) -> Iterator[Any]:
    """The lines of the answer. Raises Unreadable."""
    import python_calamine

    _refuse_declarations(path)
    try:
        with python_calamine.CalamineWorkbook.from_path(path) as workbook:
            visible = [
                sheet.name
                for sheet in workbook.sheets_metadata
                if sheet.visible == python_calamine.SheetVisibleEnum.Visible
                and sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
            ]
            yield {"sheets": visible}
            if sheet_name is None:
                for name in visible:
                    yield [name, _top(workbook.get_sheet_by_name(name), path, name)]
            elif sheet_name in visible:
                sheet = workbook.get_sheet_by_name(sheet_name)
                yield {"rows": sheet.total_height}
                yield from _rows(sheet, path, sheet_name)
            else:
                raise Unreadable(f"it has no sheet called “{sheet_name[:60]}”")
    except python_calamine.PasswordError:
        raise Unreadable("it is protected by a password") from None
    except (python_calamine.CalamineError, OSError, zipfile.BadZipFile) as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None


def _top(sheet: Any, path: Path, name: str) -> list[Any]:
    rows = []
    for row in _rows(sheet, path, name):
        rows.append(row)
        if len(rows) >= TOP_ROWS:
            break
    return rows


def _rows(sheet: Any, path: Path, name: str) -> Iterator[list[Any]]:
    """Rows that are empty are left out."""
    if sheet.start is None:
        return
    faults = _formula_faults(path, name)
    left = sheet.start[1]
    for number, row in enumerate(sheet.iter_rows()):
        cells = [""] * left + [_text(value) for value in row]
        wrong = []
        for column, text in enumerate(cells):
            if (number, column) in faults:
                cells[column], message = faults[number, column]
                wrong.append([column, message])
            elif text and text[0] in "#E" and FORMULA_WORDS.fullmatch(text):
                wrong.append([column, _shows(text)])
        if any("\0" in text for text in cells):
            raise Unreadable(f"row {number + 1} holds a NUL character")
        if wrong or any(cells):
            yield [number + 1, cells, wrong]


def _shows(error: str) -> str:
    return f"is a formula that shows {error}. Correct it in the workbook."


def _text(value: object) -> str:
    """What a person sees in the cell: 12.0 is ``12``, dates are ISO."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        # Spreadsheets calculate with 15 digits: 0.1 + 0.2 is 0.3.
        return format(Decimal(format(value, ".15g")), "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds" if value.second else "minutes")
    if isinstance(value, time):
        return value.isoformat(timespec="seconds" if value.second else "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(value)


def _refuse_declarations(path: Path) -> None:
    """Refuses XML that declares entities (a bomb) and XML in an encoding in which they could hide."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if SCANNED.fullmatch(entry.filename):
                with archive.open(entry) as file:
                    _refuse_declaration(file, entry.filename)


class _RootReached(Exception):
    """Declarations stand before the first element."""


def _refuse_declaration(file: IO[bytes], part: str) -> None:
    def reach(tag: str, attributes: dict[str, str]) -> None:
        raise _RootReached

    def refuse(*declaration: object) -> None:
        raise Unreadable(f"its part {part} declares XML entities, as only an XML bomb does")

    parser = expat.ParserCreate()
    parser.StartElementHandler = reach
    parser.StartDoctypeDeclHandler = refuse
    read_bytes = 0
    try:
        while chunk := file.read(PROLOG_BYTES // 16):
            if not read_bytes and (chunk[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in chunk[:8]):
                raise Unreadable(f"its part {part} is not UTF-8")
            read_bytes += len(chunk)
            if read_bytes > PROLOG_BYTES:
                raise Unreadable(f"its part {part} begins with too much that is no content")
            parser.Parse(chunk, False)
    except (_RootReached, expat.ExpatError):
        return  # what is damaged is told by those who read it


def _formula_faults(path: Path, sheet_name: str) -> Faults:
    """Cells of an XLSX whose formula shows an error or has no result; the reader gives both as empty."""
    with zipfile.ZipFile(path) as archive:
        part = _part_of(archive, sheet_name)
        if part is None or not _mentions_formulas(archive, part):
            return {}
        return _Scan().scan(archive, part)


def _mentions_formulas(archive: zipfile.ZipFile, part: str) -> bool:
    """A quick look, so that sheets of plain values are not parsed twice."""
    before = b""
    with archive.open(part) as file:
        while chunk := file.read(PIECE_BYTES):
            window = before + chunk
            if b'"e"' in window or b"'e'" in window or b"<f" in window or b":f" in window:
                return True
            before = chunk[-8:]
    return False


def _part_of(archive: zipfile.ZipFile, sheet_name: str) -> str | None:
    """The path of an XLSX sheet inside the archive; None for other workbooks."""
    names = set(archive.namelist())
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return None
    wanted: list[str] = []
    targets: dict[str, str] = {}

    def sheet(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "sheet" and attributes.get("name") == sheet_name:
            wanted.extend(value for key, value in attributes.items() if key.rpartition(":")[2] == "id")

    def relation(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _parse(archive, "xl/workbook.xml", start=sheet)
    _parse(archive, "xl/_rels/workbook.xml.rels", start=relation)
    target = targets.get(wanted[0], "") if wanted else ""
    part = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    return part if part in names else None


class _Scan:
    """Walks over the cells of an XLSX sheet."""

    def __init__(self) -> None:
        self.faults: Faults = {}
        self._cell: dict[str, str] = {}
        self._formula = False
        self._inside = ""
        self._text: list[str] = []

    def scan(self, archive: zipfile.ZipFile, part: str) -> Faults:
        _parse(archive, part, start=self._start, end=self._end, text=self._characters)
        return self.faults

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "c":
            self._cell, self._formula, self._text, self._inside = attributes, False, [], ""
        elif name == "f":
            self._formula = True
        elif name in {"v", "t"}:
            self._inside = name

    def _characters(self, text: str) -> None:
        if self._inside:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in {"v", "t"}:
            self._inside = ""
        elif name == "c":
            place = CELL.fullmatch(self._cell.get("r", ""))
            shown = "".join(self._text)
            if place is None:
                return
            if self._cell.get("t") == "e":
                self.faults[_at(place)] = (shown or "#ERROR", _shows(shown or "an error"))
            elif self._formula and not shown and self._cell.get("t") != "str":
                self.faults[_at(place)] = ("", UNCOMPUTED)


def _at(place: re.Match[str]) -> tuple[int, int]:
    column = 0
    for letter in place.group(1):
        column = column * 26 + ord(letter) - 64
    return int(place.group(2)) - 1, column - 1


def _parse(archive: zipfile.ZipFile, part: str, *, start: Any, end: Any = None, text: Any = None) -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text

    def refuse(*declaration: object) -> None:
        raise Unreadable(f"its part {part} declares XML entities, as only an XML bomb does")

    parser.EntityDeclHandler = refuse
    try:
        with archive.open(part) as file:
            while chunk := file.read(PIECE_BYTES):
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable(f"its part {part} is damaged ({error})") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
