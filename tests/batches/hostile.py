"""Files that nobody sends who means well: each with the words that tell its sender what is wrong."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.batches.sheets import good_rows, sheet_of, zip_of
from tests.batches.workbooks import TITLES, ods, rows_of, with_part, xlsx

MB = 2**20
ENTITIES = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
STRINGS, CONTENT = "xl/sharedStrings.xml", "content.xml"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One file as it is sent: its name, how its bytes are made, and a pattern of the answer."""

    name: str
    make: Callable[[], bytes]
    words: str


def overlapping(count: int = 200, size_bytes: int = 10 * MB) -> bytes:
    """A ZIP whose entries all unpack the same bytes: small each, too much together."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = squeezed.compress(bytes(size_bytes)) + squeezed.flush()
    crc = zlib.crc32(bytes(size_bytes))
    sizes = struct.pack("<III", crc, len(data), size_bytes)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", 5, 0) + b"0.csv" + data
    directory = b"".join(
        b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33) + sizes
        + struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0) + b"0.csv"
        for _ in range(count)
    )  # fmt: skip
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def many_small(count: int = 8, size_bytes: int = 15 * MB) -> bytes:
    return zip_of({f"{number}.png": bytes(size_bytes) for number in range(count)}).getvalue()


def lying(claimed: int) -> bytes:
    """The directory says another size than the content has."""
    data = bytearray(zip_of({"s.csv": sheet_of(*good_rows(500))}).getvalue())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, claimed)
    return bytes(data)


def named(name: str) -> bytes:
    return zip_of({"s.csv": sheet_of(*good_rows(1)), name: b"x"}).getvalue()


def nul_named() -> bytes:
    """Python's writer cuts such a name; a stranger's does not."""
    return named("a.psd?.exe").replace(b"a.psd?.exe", b"a.psd\0.exe")


def link() -> bytes:
    info = zipfile.ZipInfo("a.psd")
    info.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("s.csv", sheet_of(*good_rows(1)))
        zipped.writestr(info, b"/etc/passwd")
    return out.getvalue()


def workbook(part: str, change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    return lambda: with_part(xlsx({"Jobs": [TITLES, *rows_of(2)]}), change, part)


def open_document(change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    return lambda: with_part(ods({"Jobs": [TITLES, *rows_of(2)]}), change, CONTENT)


def wide(columns: int) -> bytes:
    """A header whose cells alone are too many."""
    return ",".join(f"c{number}" for number in range(columns)).encode() + b"\nx\n"


def after_root(xml: bytes, declaration: bytes) -> bytes:
    """The declaration behind so long a comment that a quick look does not see it."""
    head, sep, rest = xml.partition(b"?>")
    doctype = declaration.partition(b"?>")[2]
    return head + sep + b"<!--" + b" " * 10_000 + b"-->" + doctype + rest if sep else declaration + xml


SHEET = "xl/worksheets/sheet1.xml"
ARCHIVES = [
    Hostile(name="flat.zip", make=lambda: zip_of({"s.csv": bytes(30 * MB)}).getvalue(), words="archive bomb"),
    Hostile(name="overlap.zip", make=overlapping, words="shares its bytes"),
    Hostile(name="small.zip", make=many_small, words="archive bomb"),
    Hostile(name="nested.zip", make=lambda: named("inner.zip"), words="archive in an archive"),
    Hostile(name="less.zip", make=lambda: lying(10), words="cannot be unpacked"),
    Hostile(name="more.zip", make=lambda: lying(10**6), words="cannot be unpacked"),
    Hostile(name="absolute.zip", make=lambda: named("/etc/a.psd"), words="leads out of the upload"),
    Hostile(name="up.zip", make=lambda: named("../a.psd"), words="leads out of the upload"),
    Hostile(name="back.zip", make=lambda: named("..\\a.psd"), words="leads out of the upload"),
    Hostile(name="drive.zip", make=lambda: named("C:\\a.psd"), words="leads out of the upload"),
    Hostile(name="nul.zip", make=nul_named, words="NUL character in its name"),
    Hostile(name="turned.zip", make=lambda: named("a\u202edsp.exe"), words="name that cannot be used"),
    Hostile(name="line.zip", make=lambda: named("a\nb.psd"), words="name that cannot be used"),
    Hostile(name="link.zip", make=link, words="a link or a device"),
    Hostile(name="cut.zip", make=lambda: named("a.psd")[:-30], words="cannot be unpacked"),
]
TEXTS = [
    Hostile(name="latin.csv", make=lambda: sheet_of("J-1,\xe4.psd,a.aepx,x.aep").decode().encode("latin-1"),
            words="Line 2: the sheet is not UTF-8"),
    Hostile(name="utf16.csv", make=lambda: sheet_of(*good_rows(1)).decode().encode("utf-16-le"),
            words="UTF-16 without its mark"),
    Hostile(name="broken.csv", make=lambda: sheet_of(*good_rows(1)) + b"\xff\xfe\xff", words="is not UTF-8"),
    Hostile(name="half.csv", make=lambda: sheet_of("J-\ud800"[:2]) + b"\xed\xa0\x80", words="is not UTF-8"),
    Hostile(name="open.csv", make=lambda: sheet_of('"J-1,a.psd,a.aepx,x.aep'), words="never closed"),
    Hostile(name="wide.csv", make=lambda: wide(2**20 // 8), words="1,048,576 characters|columns; at most"),
    Hostile(name="columns.csv", make=lambda: wide(10_000), words="columns; at most"),
    Hostile(name="line.csv", make=lambda: b"x" * 3 * MB, words="more than 1,048,576 characters"),
    Hostile(name="line.tsv", make=lambda: b"x" * 3 * MB, words="more than 1,048,576 characters"),
    Hostile(name="line.json", make=lambda: b'[{"a": "' + b"x" * 3 * MB, words="or is not closed"),
    Hostile(name="half.json", make=lambda: b'[{"job_id": "\\ud800"}]', words="half a character"),
    Hostile(name="deep.json", make=lambda: b'[{"a":' + b"[" * 500_000, words="nested too deeply"),
    Hostile(name="deep2.json", make=lambda: b"[" * 10**6, words="must be an object|nested too deeply"),
    Hostile(name="utf16.json", make=lambda: '[{"a": 1}]'.encode("utf-16"), words="not UTF-8"),
    Hostile(name="utf16le.json", make=lambda: '[{"a": 1}]'.encode("utf-16-le"), words="no JSON|NUL"),
    Hostile(name="number.json", make=lambda: b'[{"job_id": ' + b"9" * 2 * MB + b"}]", words="or is not closed"),
]  # fmt: skip
WORKBOOKS = [
    Hostile(name="entities.xlsx", make=workbook(SHEET, lambda part: ENTITIES + part), words="XML entities"),
    Hostile(name="outside.xlsx", make=workbook(SHEET, lambda part: OUTSIDE + part), words="XML entities"),
    Hostile(name="strings.xlsx", make=workbook(STRINGS, lambda part: OUTSIDE + part), words="XML entities"),
    Hostile(name="behind.xlsx", make=workbook(STRINGS, lambda part: after_root(part, OUTSIDE)), words="XML entities"),
    Hostile(name="relations.xlsx", make=workbook("xl/_rels/workbook.xml.rels", lambda part: ENTITIES + part),
            words="XML entities|cannot be read"),
    Hostile(name="swollen.xlsx", make=workbook(STRINGS, lambda part: part + b" " * 60 * MB), words="archive bomb"),
    Hostile(name="far.xlsx", make=workbook(SHEET, lambda part: part.replace(b'r="D3"', b'r="XFD1048576"')),
            words="more than 1,024 MB of memory"),
    Hostile(name="entities.ods", make=open_document(lambda part: ENTITIES + part), words="XML entities"),
    Hostile(name="outside.ods", make=open_document(lambda part: after_root(part, OUTSIDE)), words="XML entities"),
    Hostile(name="wide.ods", make=open_document(lambda part: part.replace(
        b"<table:table-cell ", b'<table:table-cell table:number-columns-repeated="1048576" ')),
        words="columns; at most|memory|cannot be read"),
    Hostile(name="far.ods", make=open_document(lambda part: part[:200] + b" " * 1000), words="cannot be read"),
]  # fmt: skip
EVERY = [*ARCHIVES, *TEXTS, *WORKBOOKS]
