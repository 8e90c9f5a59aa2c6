"""CSV that a spreadsheet opens safely: no cell of it is calculated."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With their full-width forms, which Excel takes for them."""
GUARD = "'"
BLANK = " \v\f\u00a0\u2007\u202f\u200b\u2060\ufeff"
"""What a spreadsheet passes over before it looks for a formula."""


def write(records: Iterable[Iterable[str]]) -> bytes:
    """A CSV for Excel: UTF-8 with BOM, comma, CRLF. A cell that a spreadsheet would calculate is guarded."""
    return b"".join(written(records))


def written(records: Iterable[Iterable[str]]) -> Iterator[bytes]:
    """As ``write``, record by record. Half a surrogate pair, which UTF-8 cannot hold, becomes its escape."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    yield codecs.BOM_UTF8
    for record in records:
        writer.writerow([guarded(cell) for cell in record])
        yield out.getvalue().encode("utf-8", "backslashreplace")
        out.seek(0)
        out.truncate()


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what would make it a formula."""
    return GUARD + cell if cell.lstrip(BLANK).startswith(FORMULA) else cell


def unguarded(cell: str) -> str:
    """Takes the apostrophe off again, so that a corrected sheet says what the first one said."""
    return cell[1:] if cell.startswith(GUARD) and guarded(cell[1:]) != cell[1:] else cell
