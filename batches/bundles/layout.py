"""The bytes of a ZIP that lies nowhere: where each of them is follows from names, sizes and checksums alone.

So its length is known before the first byte, any part can be made without what lies before it, and the same members
give the same bytes. Members are stored, not compressed. The records are those of zipstream-ng, which itself writes from
the beginning only (docs/decisions/0013-bundles.md).
"""

from __future__ import annotations

import hashlib
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Protocol

from zipstream import ZipStream, ZipStreamInfo

from jobs.storage import CHUNK_BYTES

ZIP64_LIMIT_BYTES = 2**31 - 1
LEAST_PIECE_BYTES = 2**16
UNIX = 3
READABLE_FILE = 0o100644 << 16
FIRST_YEAR, LAST_YEAR = 1980, 2107


class Broken(OSError):
    """A stored file is not what the ZIP has promised of it. What was sent so far is no whole ZIP."""


class Source(Protocol):
    """Where the content of a member is read."""

    def open(self) -> IO[bytes]: ...
    def remember(self, crc32: int) -> None:
        """Keeps the checksum for the next time."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """A member. ``sha256`` is the digest itself, 32 bytes; ``crc32`` is None until somebody has read the content."""

    path: str
    size_bytes: int
    sha256: bytes
    crc32: int | None
    modified: datetime
    source: Source


class Layout:
    """The ZIP of the entries, in their order. ``size_bytes`` is its exact length.

    It takes some 500 bytes of memory for each entry, whatever their sizes.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._starts = array("Q")
        at = 0
        for entry in entries:
            self._starts.append(at)
            at += len(_header(entry, 0)) + entry.size_bytes
        self._end = at
        self.size_bytes = at + sum(len(record) for record in self._tail(checksums=False))

    def chunks(self, start: int, end: int) -> Generator[bytes]:
        """The bytes ``start`` to ``end`` (exclusive). Raises Broken for a file that has changed, OSError for one that
        cannot be read: then what was given so far must not look complete."""
        return _gathered(self._pieces(start, end))

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        first = bisect_right(self._starts, start) - 1
        if start < self._end:
            for index in range(first, len(self._entries)):
                at = self._starts[index]
                if at >= end:
                    return
                yield from _member(self._entries[index], max(0, start - at), end - at)
        at = self._end
        for record in self._tail(checksums=True):
            if at >= end:
                return
            yield record[max(0, start - at) : end - at]
            at += len(record)

    def records(self) -> Iterator[tuple[str, int, bytes]]:
        """Everything that is no content, as (member, position, bytes); the end of the ZIP belongs to no member."""
        for entry, start in zip(self._entries, self._starts, strict=True):
            yield entry.path, start, _header(entry, checksum_of(entry))
        at = self._end
        for record in self._tail(checksums=True):
            yield "", at, record
            at += len(record)

    def _tail(self, *, checksums: bool) -> Iterator[bytes]:
        """The directory and what ends the ZIP. Without ``checksums`` it has the right length alone."""
        yield from _Tail(_Records(self._entries, self._starts, checksums), self._end).records()


def _member(entry: Entry, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a member from ``start`` to ``end``, both counted from where its header begins."""
    header = _header(entry, checksum_of(entry))
    yield header[start:end]
    begin, stop = max(0, start - len(header)), min(entry.size_bytes, end - len(header))
    if begin < stop:
        yield from _content(entry, begin, stop)


def _content(entry: Entry, begin: int, stop: int) -> Iterator[bytes]:
    """A part of the content; the whole of it is proven before anything follows it."""
    digest, crc = hashlib.sha256(), 0
    whole = begin == 0 and stop == entry.size_bytes
    with entry.source.open() as file:
        if begin:
            file.seek(begin)
        left = stop - begin
        while left:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise Broken(f"{entry.path}: the stored file ends {left} bytes too early")
            left -= len(chunk)
            if whole:
                digest.update(chunk)
                crc = zlib.crc32(chunk, crc)
            yield chunk
        if whole and (file.read(1) or digest.digest() != entry.sha256 or crc != entry.crc32):
            raise Broken(f"{entry.path}: the stored file is not what was stored (its checksums differ)")


def checksum_of(entry: Entry) -> int:
    """The CRC-32. A content that nobody has read for it yet is read and proven. Raises Broken."""
    if entry.crc32 is None:
        digest, crc = hashlib.sha256(), 0
        with entry.source.open() as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                crc = zlib.crc32(chunk, crc)
        if digest.digest() != entry.sha256:
            raise Broken(f"{entry.path}: the stored file is not what was stored (its SHA-256 differs)")
        entry.crc32 = crc
        entry.source.remember(crc)
    return entry.crc32


# Records --------------------------------------------------------------------------------------------------------------
def _record(entry: Entry, crc32: int) -> ZipStreamInfo:
    """All that a ZIP says of a member, the same on every machine and in every time zone."""
    modified = entry.modified.astimezone(UTC)
    year = min(max(modified.year, FIRST_YEAR), LAST_YEAR)
    record = ZipStreamInfo(entry.path, (year, *modified.timetuple()[1:6]))
    record.CRC, record.file_size, record.compress_size = crc32, entry.size_bytes, entry.size_bytes
    record.create_system, record.external_attr = UNIX, READABLE_FILE
    return record


def _header(entry: Entry, crc32: int) -> bytes:
    header: bytes = _record(entry, crc32).FileHeader(entry.size_bytes > ZIP64_LIMIT_BYTES)
    return header


class _Records:
    """The records of the directory, made as they are asked for."""

    def __init__(self, entries: Sequence[Entry], starts: Sequence[int], checksums: bool) -> None:
        self._entries = entries
        self._starts = starts
        self._checksums = checksums

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ZipStreamInfo]:
        for entry, start in zip(self._entries, self._starts, strict=True):
            record = _record(entry, checksum_of(entry) if self._checksums else 0)
            record.header_offset = start
            yield record


class _Tail(ZipStream):  # type: ignore[misc]
    """zipstream-ng's way to end a ZIP whose members are written already, ZIP64 where it takes that."""

    def __init__(self, records: _Records, at: int) -> None:
        super().__init__()
        self._filelist: Any = records
        self._pos = at

    def records(self) -> Iterator[bytes]:
        return iter(self._gen_archive_footer())


def _gathered(pieces: Iterable[bytes]) -> Generator[bytes]:
    """The same bytes in fewer pieces: thousands of small files are not thousands of packets."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= LEAST_PIECE_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if size:
        yield b"".join(waiting)
