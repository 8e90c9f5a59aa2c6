"""What a ZIP from a stranger may hold: checked by its directory before anything is written."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from batches.intake.table import shown
from jobs.errors import Invalid

MOST_ENTRIES = 2_000
MOST_RATIO = 200
RATIO_MATTERS_FROM_BYTES = 20 * 2**20
MOST_DIRECTORY_BYTES = 4 * 2**20
SUFFIXES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
LEFT_BY_SYSTEMS = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
END, END_64, LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
END_BYTES, LOCATOR_BYTES, LONGEST_COMMENT, HEADER_BYTES = 22, 20, 65_535, 30


@contextmanager
def opened(
    name: str, path: Path, *, most_bytes: int, field: str = "files"
) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """The ZIP and its entries that count, in order. ``most_bytes`` is what it may unpack to.

    Raises Invalid (with the ``field``) for a damaged one, for links, nested archives, encryption, bombs, also while
    entries are read in the body.
    """
    try:
        if _directory_bytes(path) > MOST_DIRECTORY_BYTES:
            raise Invalid(f"{shown(name)} lists far too many files.", field=field)
        with zipfile.ZipFile(path) as archive:
            _refuse_overlaps(name, archive, field)
            entries = [e for e in archive.infolist() if not e.is_dir() and not _left_by_a_system(e.filename)]
            _check(name, entries, most_bytes, field)
            yield archive, entries
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
        cause = str(error) or type(error).__name__
        raise Invalid(f"{shown(name)} cannot be unpacked: {cause}.", field=field) from None


def name_of(entry: zipfile.ZipInfo) -> str:
    """The name by which rows may call the entry: its path inside the ZIP."""
    return entry.filename.replace("\\", "/").removeprefix("./")


def _directory_bytes(path: Path) -> int:
    """How large the ZIP says its directory is. Python's reader would load all of it, whatever it holds."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        start = max(0, size_bytes - END_BYTES - LONGEST_COMMENT - LOCATOR_BYTES)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(END)
        if at < 0:
            raise zipfile.BadZipFile("it is not a ZIP file, or it is cut short")
        (claimed,) = struct.unpack_from("<I", tail, at + 12)
        if tail[max(0, at - LOCATOR_BYTES) : at].startswith(LOCATOR_64):
            (offset,) = struct.unpack_from("<Q", tail, at - LOCATOR_BYTES + 8)
            if offset < size_bytes:
                file.seek(offset)
                record = file.read(56)
                if record.startswith(END_64):
                    (claimed,) = struct.unpack_from("<Q", record, 40)
    return int(claimed)


def _refuse_overlaps(name: str, archive: zipfile.ZipFile, field: str) -> None:
    """Entries that share their bytes unpack to far more than any of them says."""
    end = archive.start_dir
    for entry in sorted(archive.infolist(), key=lambda one: one.header_offset, reverse=True):
        if entry.header_offset + HEADER_BYTES + entry.compress_size > end:
            raise Invalid(
                f"{shown(entry.filename)} in {shown(name)} shares its bytes with another entry, as only an archive"
                " bomb does. Pack the files again.",
                field=field,
            )
        end = entry.header_offset


def _left_by_a_system(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and (parts[0] in LEFT_BY_SYSTEMS or parts[-1] in LEFT_BY_SYSTEMS)


def _check(archive_name: str, entries: list[zipfile.ZipInfo], most_bytes: int, field: str) -> None:
    if len(entries) > MOST_ENTRIES:
        raise Invalid(
            f"{shown(archive_name)} holds {len(entries):,} files; at most {MOST_ENTRIES:,} are allowed.", field=field
        )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > most_bytes:
        raise Invalid(
            f"{shown(archive_name)} unpacks to {unpacked / 2**20:,.1f} MB;"
            f" at most {most_bytes / 2**20:,.1f} MB are allowed.",
            field=field,
        )
    ratio = unpacked / max(sum(entry.compress_size for entry in entries), 1)
    if _is_bomb(unpacked, ratio):
        raise Invalid(
            f"{shown(archive_name)} is compressed {ratio:,.0f} times, as only an archive bomb is.", field=field
        )
    for entry in entries:
        cause = _fault_of(entry)
        if cause:
            raise Invalid(f"{shown(entry.filename)} in {shown(archive_name)} {cause}", field=field)


def _fault_of(entry: zipfile.ZipInfo) -> str:
    name = name_of(entry)
    ratio = entry.file_size / max(entry.compress_size, 1)
    if "\0" in entry.orig_filename:
        return "has a NUL character in its name. Pack the files again."
    if entry.flag_bits & 0x1:
        return "is encrypted. Send the ZIP without a password."
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
        return "is a link or a device, not a file."
    if PurePosixPath(name).suffix.lower() in SUFFIXES:
        return "is an archive in an archive. Unpack it first."
    if _is_bomb(entry.file_size, ratio):
        return f"is compressed {ratio:,.0f} times, as only an archive bomb is."
    return ""


def _is_bomb(unpacked_bytes: int, ratio: float) -> bool:
    return unpacked_bytes > RATIO_MATTERS_FROM_BYTES and ratio > MOST_RATIO
