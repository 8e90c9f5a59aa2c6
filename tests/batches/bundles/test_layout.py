"""batches.bundles.layout: a ZIP whose every byte is known beforehand"""

from __future__ import annotations

import hashlib
import io
import itertools
import random
import shutil
import subprocess
import zipfile
import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from batches.bundles.layout import Broken, Entry, Layout
from batches.bundles.plan import Text
from jobs.storage import CHUNK_BYTES

AT = datetime(2026, 11, 20, 10, 30, 10, 999_999, UTC)
ZIP64 = 2**32


def entry(path, data, **more):
    values = {"sha256": hashlib.sha256(data).digest(), "crc32": zlib.crc32(data), "size_bytes": len(data)}
    return Entry(path=path, **{"modified": AT, "source": Text(data), **values, **more})


def large(path, size):
    """A file of zeros, so large that nobody reads it to its end."""
    return Entry(path=path, size_bytes=size, sha256=b"?" * 32, crc32=0x12345678, modified=AT, source=Zeros(size))


def whole(layout):
    return b"".join(layout.chunks(0, layout.size_bytes))


ENTRIES = [
    ("x/manifest.json", b"{}"),
    ("x/größe.bin", random.Random(1).randbytes(200_000)),
    ("x/empty", b""),
    ("x/z", b"z"),
]


@pytest.fixture
def layout():
    return Layout([entry(path, data) for path, data in ENTRIES])


def test_it_is_a_zip_of_the_length_that_was_told(layout, tmp_path):
    data = whole(layout)
    assert len(data) == layout.size_bytes
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == dict(ENTRIES)
        assert {info.date_time for info in archive.infolist()} == {(2026, 11, 20, 10, 30, 10)}
        assert {info.flag_bits & 8 for info in archive.infolist()} == {0}, "sizes stand before the contents"
    if unzip := shutil.which("unzip"):
        (tmp_path / "a.zip").write_bytes(data)
        assert subprocess.run([unzip, "-t", tmp_path / "a.zip"], capture_output=True).returncode == 0


def test_the_time_zone_of_a_record_changes_nothing(layout):
    east = AT.astimezone(timezone(timedelta(hours=5)))
    assert whole(Layout([entry(path, data, modified=east) for path, data in ENTRIES])) == whole(layout)


@pytest.mark.parametrize(("year", "told"), [(1, 1980), (1979, 1980), (2107, 2107), (2200, 2107)])
def test_times_that_a_zip_cannot_tell_are_brought_into_its_range(year, told):
    data = whole(Layout([entry("a", b"1", modified=AT.replace(year=year))]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.infolist()[0].date_time[0] == told


def test_every_part_is_that_of_the_whole(layout):
    data = whole(layout)
    edges = sorted({0, 1, 29, 30, 45, 46, 47, *range(layout.size_bytes - 320, layout.size_bytes + 1, 7), len(data)})
    for start, end in itertools.combinations(edges, 2):
        assert b"".join(layout.chunks(start, end)) == data[start:end], (start, end)
    dice = random.Random(2)
    for _ in range(200):
        start, end = sorted(dice.sample(range(len(data) + 1), 2))
        assert b"".join(layout.chunks(start, end)) == data[start:end], (start, end)


class Watched(Text):
    """Tells when it is read, and what it was told to remember."""

    def __init__(self, data):
        super().__init__(data)
        object.__setattr__(self, "seen", [])

    __slots__ = ("seen",)

    def open(self):
        self.seen.append("read")
        return super().open()

    def remember(self, crc32):
        self.seen.append(crc32)


def test_a_resume_reads_nothing_that_lies_before_it():
    source = Watched(b"never")
    before = [entry(f"{number}", b"never", source=source) for number in range(3)]
    layout = Layout([*before, entry("last", b"0123456789")])
    start = whole(Layout([*before, entry("last", b"0123456789")])).index(b"56789")
    source.seen.clear()
    assert b"".join(layout.chunks(start, layout.size_bytes)).startswith(b"56789PK")
    assert source.seen == []


def test_a_checksum_that_nobody_knows_is_found_and_remembered():
    source = Watched(b"content")
    known = whole(Layout([entry("a", b"content"), entry("b", b"x")]))
    layout = Layout([entry("a", b"content", crc32=None, source=source), entry("b", b"x")])
    assert b"".join(layout.chunks(60, layout.size_bytes)) == known[60:], "the directory tells it, whatever was sent"
    assert source.seen == ["read", zlib.crc32(b"content")]
    assert whole(layout) == known
    assert source.seen == ["read", zlib.crc32(b"content"), "read"]


@pytest.mark.parametrize("stored", [b"conten", b"content!", b"tnetnoc", b""])
@pytest.mark.parametrize("crc32", [zlib.crc32(b"content"), None])
def test_a_file_that_has_changed_breaks_the_zip_off(stored, crc32):
    wrong = entry("x/a.psd", b"content", crc32=crc32, source=Text(stored))
    layout = Layout([wrong, entry("b", b"x")])
    sent = []
    with pytest.raises(Broken, match=r"x/a\.psd"):
        sent.extend(layout.chunks(0, layout.size_bytes))
    assert len(b"".join(sent)) < layout.size_bytes


class Zeros:
    """So many zeros, of which nothing is kept."""

    def __init__(self, size):
        self.size = size

    def open(self):
        size = self.size

        class File(io.RawIOBase):
            at = 0

            def seek(self, offset, whence=0):
                self.at = offset
                return offset

            def read(self, count=-1):
                count = min(count, size - self.at)
                self.at += count
                return bytes(count)

        return File()

    def remember(self, crc32):
        raise AssertionError


class ZipBytes(io.RawIOBase):
    """The ZIP of a layout as a file that is made where it is read."""

    def __init__(self, layout):
        self.layout, self.at = layout, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = {0: 0, 1: self.at, 2: self.layout.size_bytes}[whence] + offset
        return self.at

    def read(self, count=-1):
        end = self.layout.size_bytes if count is None or count < 0 else min(self.layout.size_bytes, self.at + count)
        data = b"".join(self.layout.chunks(self.at, end))
        self.at = end
        return data


def test_files_and_places_beyond_four_gigabytes_are_zip64():
    behind = entry("x/behind", b"after the fifth gigabyte")
    layout = Layout([entry("x/first", b"1"), large("x/huge.psd", 5 * 2**30), behind])
    with zipfile.ZipFile(ZipBytes(layout)) as archive:
        info = archive.getinfo("x/huge.psd")
        assert (info.file_size, info.compress_size, info.CRC) == (5 * 2**30, 5 * 2**30, 0x12345678)
        assert archive.getinfo("x/behind").header_offset > ZIP64
        assert archive.read("x/behind") == b"after the fifth gigabyte"
        assert archive.read("x/first") == b"1"
    middle = 3 * 2**30
    assert b"".join(layout.chunks(middle, middle + 5)) == bytes(5)


@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**32 - 1, 2**32])
def test_the_length_is_right_at_every_limit_of_the_format(size):
    layout = Layout([large("a", size), entry("b", b"b")])
    with zipfile.ZipFile(ZipBytes(layout)) as archive:
        assert archive.getinfo("a").file_size == size
        assert archive.read("b") == b"b"
    assert len(b"".join(layout.chunks(layout.size_bytes - 400, layout.size_bytes))) == 400


@pytest.mark.parametrize("number", [65_535, 65_536])
def test_as_many_files_as_you_like(number):
    layout = Layout([entry(f"x/{index}", b"%d" % index) for index in range(number)])
    data = whole(layout)
    assert len(data) == layout.size_bytes
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == number
        assert archive.read(f"x/{number - 1}") == b"%d" % (number - 1)


def test_chunks_are_neither_tiny_nor_large():
    layout = Layout([entry(f"{number}", bytes(10)) for number in range(5_000)] + [entry("z", bytes(5 * CHUNK_BYTES))])
    sizes = [len(chunk) for chunk in layout.chunks(0, layout.size_bytes)]
    assert len(sizes) < 30
    assert max(sizes) < CHUNK_BYTES + 2**17
