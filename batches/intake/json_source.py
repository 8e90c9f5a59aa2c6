"""Reads sheets written as JSON, row by row: an array of objects, ``{"rows": [...]}``, or JSON Lines.

All of a JSON may stand in one line, so its rows are counted: the first object is row 1. Numbers keep the text they are
written with, but for a ``.0`` at the end; ``null`` is an empty cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from batches.intake.grid import Grid, Record
from batches.intake.table import MOST_COLUMNS, shown
from jobs.errors import Invalid

MOST_ROW_CHARACTERS = 2**20
PIECE = 2**16
BLANKS = " \t\r\n"
ROWS_KEY = re.compile(r'\s*\{\s*"rows"\s*:\s*\[')
WHOLE = re.compile(r"(-?\d+)\.0+")


def opened(path: Path) -> Grid:
    """The sheet in a JSON file; its header is every key that a row has, in the order in which they come.

    Raises Invalid (field ``sheet``), with the line.
    """
    keys: dict[str, None] = {}
    count = 0
    for line, row in _objects(path):
        for key in row.keys() - keys.keys():
            _sound(line, key, key)
        keys.update(dict.fromkeys(row))
        count += 1
        if len(keys) > MOST_COLUMNS:
            raise _wrong(line, f"the rows have more than {MOST_COLUMNS} different keys")
    header = tuple(keys)
    return Grid(form="JSON", records=partial(_records, path, header), rows=count, keyed=True)


def _records(path: Path, header: tuple[str, ...]) -> Iterator[Record]:
    if header:
        yield Record(line=0, cells=header)
    for number, (line, row) in enumerate(_objects(path), start=1):
        yield Record(line=number, cells=tuple([_text(line, key, row.get(key)) for key in header]))


def _text(line: int, key: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return _sound(line, key, value.strip())
    raise _wrong(line, f"{shown(key)} holds a list or an object; a cell is a text, a number, true, false or null")


def _sound(line: int, key: str, text: str) -> str:
    """No database keeps NUL or half a character, which JSON can write as escapes."""
    if "\0" in text or (not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        name = shown(key.encode("utf-8", "replace").decode())
        raise _wrong(line, f"{name} holds a NUL character or half a character (a lone surrogate)")
    return text


def _number(text: str) -> str:
    whole = WHOLE.fullmatch(text)
    return whole.group(1) if whole else text


_decoder = json.JSONDecoder(parse_float=_number, parse_int=str, parse_constant=str)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row with the line it begins on."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Rows(file)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise Invalid(f"The sheet is not UTF-8 (byte 0x{byte:02X}). Save it as UTF-8.", field="sheet") from None


class _Rows:
    """Takes rows off a text that is never held as a whole."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = file.read(PIECE)
        self._line = 1

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        listed = self._take(ROWS_KEY) or self._take(re.compile(r"\s*\["))
        first = True
        while True:
            self._skip(BLANKS)
            if not self._text:
                if listed:
                    raise _wrong(self._line, "the file ends before the list of rows does")
                return
            if listed and self._text[0] == "]":
                return
            if listed and not first:
                if self._text[0] != ",":
                    raise _wrong(self._line, "a comma is missing between two rows")
                self._drop(1)
                self._skip(BLANKS)
            first = False
            yield self._row()

    def _row(self) -> tuple[int, dict[str, Any]]:
        line = self._line
        while True:
            try:
                value, end = _decoder.raw_decode(self._text)
            except json.JSONDecodeError as error:
                if self._read():
                    continue
                raise _wrong(line + self._text[: error.pos].count("\n"), f"this is no JSON ({error.msg})") from None
            except RecursionError:
                raise _wrong(line, "lists or objects are nested too deeply") from None
            # A number or word that touches the end may go on.
            if end == len(self._text) and self._read():
                continue
            break
        if not isinstance(value, dict):
            raise _wrong(line, 'a row must be an object, such as {"job_id": "A-1"}')
        self._drop(end)
        return line, value

    def _read(self) -> bool:
        if len(self._text) > MOST_ROW_CHARACTERS:
            raise _wrong(self._line, f"a row has more than {MOST_ROW_CHARACTERS:,} characters, or is not closed")
        # By the length of what is there: a long row is not decoded again for every small piece.
        more = self._file.read(max(PIECE, len(self._text)))
        self._text += more
        return bool(more)

    def _take(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text)
        if found:
            self._drop(found.end())
        return found is not None

    def _skip(self, blanks: str) -> None:
        while True:
            rest = self._text.lstrip(blanks)
            self._drop(len(self._text) - len(rest))
            if self._text or not self._read():
                return

    def _drop(self, count: int) -> None:
        self._line += self._text.count("\n", 0, count)
        self._text = self._text[count:]


def _wrong(line: int, cause: str) -> Invalid:
    return Invalid(f"Line {line}: {cause}.", field="sheet")
