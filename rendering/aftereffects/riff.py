"""The chunk tree of an After Effects project (.aep): RIFX, big-endian, form type ``Egg!``, then an XMP packet.

Every size is checked before anything else looks at the file, so a truncated or damaged project is refused here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from rendering.errors import FormatError

MAX_PROJECT_BYTES = 200_000_000
MAX_DEPTH = 96
MAX_CHUNKS = 4_000_000

HEADER_BYTES = 12
RAW_LISTS = frozenset({b"btdk"})
"""LIST types whose body is data of another kind, not chunks."""

NAME_CHUNKS = frozenset({b"tdsn", b"fnam", b"pdnm", b"RCom"})
"""Chunks that hold one ``Utf8`` chunk; in projects of AE 12 and 13 they hold the bare bytes of the name instead."""

_TRUNCATED_CURE = "The file is cut off or damaged: copy or save it again."


@dataclass(frozen=True, slots=True)
class Chunk:
    """``kind`` is the four-byte id; ``list_type`` is set for a LIST only.

    A chunk has either ``data`` or ``children``; ``holds_chunks`` says which (an empty LIST holds chunks, none).
    """

    kind: bytes
    data: bytes = b""
    list_type: bytes | None = None
    children: tuple[Chunk, ...] = ()
    holds_chunks: bool = False


@dataclass(frozen=True, slots=True)
class ChunkTree:
    """The top-level chunks and the bytes after the RIFX body (an XMP packet, or nothing)."""

    chunks: tuple[Chunk, ...]
    xmp: bytes = b""


@dataclass(slots=True)
class _Reader:
    data: bytes
    name: str
    count: int = field(default=0)

    def fail(self, cause: str, cure: str = _TRUNCATED_CURE) -> FormatError:
        return FormatError(self.name, cause, cure)

    def chunks(self, start: int, end: int, depth: int) -> tuple[Chunk, ...]:
        if depth > MAX_DEPTH:
            raise self.fail(f"its chunks nest deeper than {MAX_DEPTH} levels.")
        found: list[Chunk] = []
        position = start
        while position < end:
            if end - position < 8:
                raise self.fail(f"the chunk at byte {position} has no room for its header.")
            kind = self.data[position : position + 4]
            (size,) = struct.unpack_from(">I", self.data, position + 4)
            body = position + 8
            if not _is_printable(kind):
                raise self.fail(f"the chunk at byte {position} has no readable id.")
            if body + size + (size & 1) > end:
                raise self.fail(f"the chunk {kind.decode('ascii')} at byte {position} reaches beyond its container.")
            self.count += 1
            if self.count > MAX_CHUNKS:
                raise self.fail(f"it has more than {MAX_CHUNKS:,} chunks.", "Is it a template?")
            found.append(self.chunk(kind, body, body + size, depth))
            position = body + size + (size & 1)
        return tuple(found)

    def chunk(self, kind: bytes, start: int, end: int, depth: int) -> Chunk:
        if kind == b"LIST":
            if end - start < 4:
                raise self.fail(f"the LIST at byte {start - 8} has no type.")
            list_type = self.data[start : start + 4]
            if not _is_printable(list_type):
                raise self.fail(f"the LIST at byte {start - 8} has no readable type.")
            if list_type in RAW_LISTS:
                return Chunk(kind, data=self.data[start + 4 : end], list_type=list_type)
            children = self.chunks(start + 4, end, depth + 1)
            return Chunk(kind, list_type=list_type, children=children, holds_chunks=True)
        if kind in NAME_CHUNKS and _is_one_utf8_chunk(self.data, start, end):
            return Chunk(kind, children=self.chunks(start, end, depth + 1), holds_chunks=True)
        return Chunk(kind, data=self.data[start:end])


def _is_printable(four: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in four)


def _is_one_utf8_chunk(data: bytes, start: int, end: int) -> bool:
    if end - start < 8 or data[start : start + 4] != b"Utf8":
        return False
    (size,) = struct.unpack_from(">I", data, start + 4)
    return bool(start + 8 + size + (size & 1) == end)


def is_aep(data: bytes) -> bool:
    """Whether the content begins as an After Effects project in binary form does."""
    return data[:4] == b"RIFX" and data[8:12] == b"Egg!"


def read_chunks(data: bytes, *, name: str) -> ChunkTree:
    """The whole chunk tree. Raises FormatError for anything that is not one complete, sound AEP file."""
    reader = _Reader(data, name)
    if len(data) > MAX_PROJECT_BYTES:
        raise reader.fail(f"it is larger than {MAX_PROJECT_BYTES:,} bytes.", "Is it a template?")
    if len(data) < HEADER_BYTES or not is_aep(data):
        raise reader.fail("it is not an After Effects project: it does not begin with RIFX and Egg!.")
    (size,) = struct.unpack_from(">I", data, 4)
    end = 8 + size
    if end > len(data):
        raise reader.fail(f"it ends after {len(data):,} of {end:,} bytes.")
    if size < 4:
        raise reader.fail("its header gives it no content.")
    chunks = reader.chunks(HEADER_BYTES, end, 1)
    xmp = data[end + (size & 1) :]
    _check_xmp(xmp, reader)
    return ChunkTree(chunks, xmp)


def _check_xmp(xmp: bytes, reader: _Reader) -> None:
    try:
        text = xmp.decode("utf-8").strip("\0 \r\n\t")
    except UnicodeDecodeError as error:
        raise reader.fail("the metadata at its end is cut off or no UTF-8.") from error
    if text.startswith("<") and not (text.endswith("?>") and "<?xpacket end=" in text):
        raise reader.fail("the XMP packet at its end is not complete.")


def write_chunks(tree: ChunkTree) -> bytes:
    """The AEP file of a tree; the inverse of ``read_chunks``."""
    body = b"Egg!" + b"".join(_pieces(tree.chunks))
    return b"".join((b"RIFX", struct.pack(">I", len(body)), body, b"\0" * (len(body) & 1), tree.xmp))


def _pieces(chunks: tuple[Chunk, ...]) -> Iterator[bytes]:
    for chunk in chunks:
        content = b"".join(_pieces(chunk.children)) if chunk.holds_chunks else chunk.data
        body = (chunk.list_type or b"") + content
        yield chunk.kind + struct.pack(">I", len(body))
        yield body
        if len(body) & 1:
            yield b"\0"


def first_difference(left: ChunkTree, right: ChunkTree) -> str | None:
    """None when both trees hold the same chunks in the same order and the same XMP, else where they part."""
    if left.xmp != right.xmp:
        return "XMP packet"
    return _difference(left.chunks, right.chunks, "")


def _difference(left: tuple[Chunk, ...], right: tuple[Chunk, ...], path: str) -> str | None:
    for index, (one, other) in enumerate(zip_longest(left, right)):
        label = (one or other).list_type or (one or other).kind
        here = f"{path}/{label.decode('ascii').strip()}[{index}]"
        if one is None or other is None:
            return f"{here} is on one side only"
        if (one.kind, one.list_type, one.data, one.holds_chunks) != (
            other.kind,
            other.list_type,
            other.data,
            other.holds_chunks,
        ):
            return here
        below = _difference(one.children, other.children, here)
        if below is not None:
            return below
    return None
