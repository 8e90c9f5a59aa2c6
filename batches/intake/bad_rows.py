"""The rows of an upload that cannot become jobs, for people to correct."""

from __future__ import annotations

from collections.abc import Iterator

from batches.intake import csv_source, judging
from batches.intake.sheet import Layout
from batches.models import Upload, UploadRow
from jobs import csv_files


def bad_rows_csv(upload: Upload) -> Iterator[bytes]:
    """The rows with errors as a CSV with the sheet's own columns and one more, ``error``: correct it, send it again."""
    return csv_files.written(_bad_rows(upload))


def _bad_rows(upload: Upload) -> Iterator[list[str]]:
    layout = Layout.from_json(upload.layout)
    yield [*(title or name for title, name in zip(layout.header, layout.titles, strict=True)), csv_source.ERROR_COLUMN]
    for row in upload.rows.filter(good=False).order_by("id").iterator(chunk_size=judging.CHUNK):
        yield [*row.values, in_words(row)]


def in_words(row: UploadRow) -> str:
    """All that is wrong with a row, on one line, as people find it in the sheet."""
    return " ".join(f"{where}: {column} {message}".replace(":  ", ": ") for column, message, where in row.errors)
