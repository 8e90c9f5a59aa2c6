"""Designs, projects and pictures that lie about themselves: refused by name and without taking memory."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest

from rendering.aftereffects.project import read_project
from rendering.errors import FormatError
from rendering.photoshop.opening import open_document, read_composite
from rendering.pixels import read_picture

MOST_MB = 200


def psd(layers: bytes, *, version: int = 1, width: int = 8, height: int = 8, tail: bytes | None = None) -> bytes:
    """A document whose section of layers is as given, and whose flattened picture is black."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", version, 3, height, width, 8, 3) + struct.pack(">II", 0, 0)
    size = struct.pack(">Q" if version == 2 else ">I", len(layers))
    return head + size + layers + (b"\0\0" + bytes(3 * width * height) if tail is None else tail)


def layer_section(count: int, records: bytes = b"") -> bytes:
    info = struct.pack(">h", count) + records
    info += b"\0" * (len(info) % 2)
    return struct.pack(">I", len(info)) + info + struct.pack(">I", 0)


def layer_record(box: tuple[int, int, int, int], *, channel_bytes: int, extra: bytes = bytes(12)) -> bytes:
    channels = struct.pack(">H", 3) + b"".join(struct.pack(">hI", number, channel_bytes) for number in range(3))
    return (
        struct.pack(">iiii", *box) + channels + b"8BIMnorm\xff\0\0\0" + struct.pack(">I", len(extra)) + extra
    )  # fmt: skip


def squeezed(size_bytes: int) -> bytes:
    return zlib.compress(bytes(size_bytes), 9)


DESIGNS = {
    "wider than any": psd(b"", version=2, width=300_000, height=300_000, tail=b"\0\0"),
    "layers that are not there": psd(layer_section(32_767)),
    "layers counted below nothing": psd(layer_section(-32_768)),
    "a layer of four thousand million pixels": psd(
        layer_section(1, layer_record((0, 0, 2**31 - 1, 2**31 - 1), channel_bytes=2) + b"\0\0" * 3)
    ),
    "a layer turned inside out": psd(layer_section(1, layer_record((9, 9, -9, -9), channel_bytes=2**31) + b"\0\0" * 3)),
    "channels longer than the file": psd(layer_section(1, layer_record((0, 0, 8, 8), channel_bytes=2**32 - 1))),
    "a section longer than the file": psd(b"")[:30] + b"\xff" * 8,
    "a compression that there is not": psd(b"", tail=b"\0\x09" + bytes(192)),
    "rows that unpack to more": psd(b"", tail=b"\0\x01" + struct.pack(">H", 65_535) * 24),
    "a flattened picture that is a bomb": psd(b"", tail=b"\0\x02" + squeezed(64 * 2**20)),
    "a flattened picture that is too little": psd(b"", width=20_000, height=10_000, tail=b"\0\x02" + squeezed(1000)),
}


def riff(body: bytes, size: int | None = None) -> bytes:
    return b"RIFX" + struct.pack(">I", 4 + len(body) if size is None else size) + b"Egg!" + body


def deep(levels: int) -> bytes:
    """LIST in LIST, each the only thing in the one around it."""
    return b"".join(b"LIST" + struct.pack(">I", 4 + 12 * left) + b"Fold" for left in range(levels - 1, -1, -1))


AEPX = b'<?xml version="1.0" encoding="UTF-8"?>'
ROOT = b'<AfterEffectsProject xmlns="http://www.adobe.com/products/aftereffects" majorVersion="1" minorVersion="0">'
PROJECTS = {
    "deep.aep": riff(deep(10**6)),
    "cut.aep": riff(b"", size=2**32 - 1),
    "longer.aep": riff(b"LIST" + struct.pack(">I", 2**32 - 1) + b"Fold"),
    "odd.aep": riff(b"\0\0\0\0" + struct.pack(">I", 0)),
    "empty.aep": riff(b"", size=0),
    "nothing.aep": riff(b""),
    "deep.aepx": AEPX + ROOT + b"<Fold>" * 10**6,
    "line.aepx": AEPX + ROOT + b"<string>" + b"x" * 30_000_000,
    "attribute.aepx": AEPX + ROOT + b'<Fold bdata="' + b"0" * 30_000_000,
    "entities.aepx": AEPX + b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>' + ROOT + b"&b;",
    "outside.aepx": AEPX + b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + ROOT + b"&a;",
    "latin.aepx": AEPX + ROOT + b"<string>\xe4</string>",
    "utf16.aepx": (AEPX + ROOT).decode().encode("utf-16-le"),
}


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", squeezed(2**20)) + chunk(b"IEND", b"")


PICTURES = {"large.png": png(60_000, 60_000), "short.png": png(4_000, 4_000), "none.png": png(0, 0)}


class Cost:
    """The megabytes that Python held at most while it read."""

    def __enter__(self) -> Cost:
        tracemalloc.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.mb = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()


def refused(path: Path, read: object) -> Cost:
    with Cost() as cost, pytest.raises(FormatError) as error:
        read(path)
    assert str(error.value).startswith(f"{path.name}: ")
    assert "\n" not in str(error.value)
    return cost


@pytest.mark.parametrize("what", DESIGNS)
def test_a_design_that_lies_is_refused(tmp_path, what):
    path = tmp_path / "a.psd"
    path.write_bytes(DESIGNS[what])
    cost = refused(path, lambda path: (open_document(path).export(tmp_path), read_composite(path, tmp_path / "c.png")))
    assert cost.mb < MOST_MB
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_that_lies_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(PROJECTS[name])
    cost = refused(path, read_project)
    assert cost.mb < 5 * MOST_MB
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_lies_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(PICTURES[name])
    assert refused(path, read_picture).mb < MOST_MB
