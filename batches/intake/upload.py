"""The files that came with a sheet, one by one or in a ZIP, as plain files in a directory of ours."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import IO, Protocol

from django.conf import settings

from batches.intake import archive
from batches.intake.grid import JSON_SUFFIXES, KINDS, SHEET_SUFFIXES, TEXT_SUFFIXES, WORKBOOK_SUFFIXES, suffix_of
from batches.intake.table import BLANK, shown, unprintable
from jobs.errors import Invalid
from jobs.storage import CHUNK_BYTES
from jobs.store import hash_file

PLAIN_TEXT = ".txt"
TABLES = (*TEXT_SUFFIXES, *WORKBOOK_SUFFIXES)
MOST_FILES = archive.MOST_ENTRIES
MOST_NAME_CHARACTERS = 250
MOST_PART_BYTES = 200
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that make a name read as another one: ``a<RLO>dsp.exe`` looks like ``aexe.psd``."""


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


Sent = tuple[str, Readable]
"""A file as it was sent: its name and its bytes."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A file that lies in our directory. ``name`` is what rows may call it, folders of a ZIP included."""

    name: str
    path: Path
    sha256: str


@contextmanager
def received(files: Iterable[Sent]) -> Iterator[list[Received]]:
    """All files that were sent, ZIPs unpacked, in a directory that is removed afterwards.

    Raises Invalid (field ``files``) for anything that is not plainly a file with a plain name within the limits.
    """
    with TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="intake-") as directory:
        intake = _Intake(Path(directory))
        for name, stream in files:
            intake.take(name, stream)
        yield intake.files


def pick_sheet(files: list[Received]) -> tuple[Received, list[Received]]:
    """The one file that is the sheet, and the others.

    One at the top outranks those in folders; a CSV, TSV or workbook outranks a JSON, any of these a .txt.
    """
    kinds = [[one for one in TABLES if one != PLAIN_TEXT], JSON_SUFFIXES, [PLAIN_TEXT]]
    sheets = [[file for file in files if suffix_of(file.name) in kind] for kind in kinds]
    for found in sheets:
        for candidates in ([file for file in found if "/" not in file.name], found):
            if len(candidates) == 1:
                return candidates[0], [file for file in files if file is not candidates[0]]
            if candidates:
                names = ", ".join(shown(file.name) for file in candidates[:4])
                raise Invalid(f"There are {len(candidates)} sheets: {names}. Send one.", field="sheet")
    raise Invalid(f"There is no sheet among the files: add one ({KINDS}).", field="sheet")


def files_below(directory: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Every plain file below a directory, by its relative name. Links and hidden files are left out."""
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if path.is_symlink() or not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        with path.open("rb") as file:
            yield relative.as_posix(), file


class _Intake:
    def __init__(self, directory: Path) -> None:
        self.files: list[Received] = []
        self._directory = directory
        self._spooled = 0
        self._left_bytes = settings.MAX_UPLOAD_BYTES
        self._digests: dict[str, str] = {}

    def take(self, name: str, stream: Readable) -> None:
        name = name.replace("\\", "/")
        check_name(name)
        path = self._spool(name, stream)
        if not name.lower().endswith(".zip"):
            self._add(name, path)
            return
        # What is unpacked counts, not the ZIP around it.
        self._left_bytes += path.stat().st_size
        with archive.opened(name, path, most_bytes=self._left_bytes) as (zipped, entries):
            for entry in entries:
                inner = archive.name_of(entry)
                check_name(inner)
                with zipped.open(entry) as unpacked:
                    spooled = self._spool(inner, unpacked)
                if spooled.stat().st_size != entry.file_size:
                    raise zipfile.BadZipFile(f"{inner} has another size than its directory says")
                self._add(inner, spooled)
        path.unlink()

    def _spool(self, name: str, stream: Readable) -> Path:
        suffix = PurePosixPath(name).suffix.lower()
        self._spooled += 1
        path = self._directory / f"{self._spooled}{suffix if suffix.isascii() and suffix[1:].isalnum() else ''}"
        left_of_sheet = settings.MAX_SHEET_BYTES if suffix in SHEET_SUFFIXES else None
        with path.open("wb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                if left_of_sheet is not None and (left_of_sheet := left_of_sheet - len(chunk)) < 0:
                    raise too_large_a_sheet(name)
                self._left_bytes -= len(chunk)
                if self._left_bytes < 0:
                    most = settings.MAX_UPLOAD_BYTES / 2**20
                    raise Invalid(f"The files have more than {most:,.1f} MB together.", field="files")
                file.write(chunk)
        return path

    def _add(self, name: str, path: Path) -> None:
        digest = hash_file(path)
        if self._digests.setdefault(name, digest) != digest:
            raise Invalid(f"Two different files are called {shown(name)}.", field="files")
        if any(file.name == name for file in self.files):
            return
        if len(self.files) >= MOST_FILES:
            raise Invalid(f"More than {MOST_FILES:,} files were sent.", field="files")
        self.files.append(Received(name=name, path=path, sha256=digest))


def too_large_a_sheet(name: str) -> Invalid:
    most = settings.MAX_SHEET_BYTES / 2**20
    return Invalid(
        f"{shown(name)} has more than {most:,.1f} MB, the most that a sheet may have. Split it.", field="sheet"
    )


def check_name(name: str) -> None:
    """Refuses names that cannot be, or should not be, the name of a file below a directory."""
    plain = shown(name.encode("ascii", "replace").decode())
    path = PurePosixPath(name)
    if not name.strip(BLANK + "./") or unprintable(name) or TURNING.search(name):
        raise Invalid(f"A file has a name that cannot be used: {plain}.", field="files")
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive:
        raise Invalid(f"The file name {plain} leads out of the upload.", field="files")
    if len(name) > MOST_NAME_CHARACTERS or any(len(part.encode()) > MOST_PART_BYTES for part in path.parts):
        raise Invalid(f"The file name {plain} is too long.", field="files")
