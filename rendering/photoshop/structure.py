"""Checks a file's outer structure before psd-tools reads it: signature, limits, and that nothing is cut off."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rendering.errors import FormatError

MAX_FILE_BYTES = 2 * 1024**3
MAX_SIDE_PX = 30_000
MAX_PIXELS = 300_000_000

_COLOR_MODES = {
    0: "bitmap",
    1: "grayscale",
    2: "indexed",
    3: "rgb",
    4: "cmyk",
    7: "multichannel",
    8: "duotone",
    9: "lab",
}
_CHUNK_BYTES = 1 << 20
_SAVE_AGAIN = "Save it again from Photoshop."


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first 26 bytes of a document. ``is_big`` is a .psb."""

    width_px: int
    height_px: int
    channels: int
    depth_bits: int
    color_mode: str
    is_big: bool


def check_structure(path: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> Header:
    """The header of a file that is whole and within the limits; FormatError otherwise. Reads no layer."""
    name = path.name
    if not path.is_file():
        raise FormatError(name, "there is no such file.", "Upload it, or correct its path.")
    size_bytes = path.stat().st_size
    if size_bytes > max_file_bytes:
        raise FormatError(
            name,
            f"it has {size_bytes:,} bytes, more than the limit of {max_file_bytes:,}.",
            "Make the document smaller.",
        )
    with path.open("rb") as file:
        header = _header(name, file.read(26))
        for section in ("colour mode data", "image resources", "layers and masks"):
            wide = header.is_big and section == "layers and masks"
            length = _number(name, file, ">Q" if wide else ">I", section)
            if file.tell() + length > size_bytes:
                raise _truncated(name, section)
            file.seek(length, os.SEEK_CUR)
        _check_composite(name, file, header, size_bytes)
    return header


def check_pixels(name: str, what: str, width_px: float, height_px: float) -> None:
    """FormatError when an image of that size is over the limits."""
    if max(width_px, height_px) > MAX_SIDE_PX or width_px * height_px > MAX_PIXELS:
        raise FormatError(
            name,
            f"{what} has {width_px:.0f}x{height_px:.0f} px, more than {MAX_SIDE_PX} a side or {MAX_PIXELS:,} in all.",
            "Make it smaller.",
        )


def _header(name: str, head: bytes) -> Header:
    if head[:4] != b"8BPS":
        raise FormatError(name, "it is not a Photoshop document (no 8BPS signature).", "Give a .psd or .psb file.")
    if len(head) < 26:
        raise _truncated(name, "header")
    version, channels, height_px, width_px, depth_bits, mode = struct.unpack(">H6xHIIHH", head[4:])
    known = version in (1, 2) and 1 <= channels <= 56 and depth_bits in (1, 8, 16, 32) and mode in _COLOR_MODES
    if not known or not width_px or not height_px:
        raise FormatError(
            name,
            f"its header makes no sense (version {version}, {channels} channels, {width_px}x{height_px} px, "
            f"{depth_bits} bit, colour mode {mode}).",
            _SAVE_AGAIN,
        )
    check_pixels(name, "it", width_px, height_px)
    return Header(
        width_px=width_px,
        height_px=height_px,
        channels=channels,
        depth_bits=depth_bits,
        color_mode=_COLOR_MODES[mode],
        is_big=version == 2,
    )


def _check_composite(name: str, file: BinaryIO, header: Header, size_bytes: int) -> None:
    compression = _number(name, file, ">H", "composite")
    rows = header.channels * header.height_px
    raw_bytes = rows * ((header.width_px * header.depth_bits + 7) // 8)
    start = file.tell()
    if compression == 0:
        whole = start + raw_bytes <= size_bytes
    elif compression == 1:
        count_bytes = 4 if header.is_big else 2
        table = file.read(rows * count_bytes)
        whole_counts = len(table) // count_bytes
        letter = "I" if header.is_big else "H"
        counts = struct.unpack(f">{whole_counts}{letter}", table[: whole_counts * count_bytes])
        whole = len(counts) == rows and start + len(table) + sum(counts) <= size_bytes
    elif compression in (2, 3):
        whole = _inflates(file, raw_bytes)
    else:
        raise FormatError(name, f"its composite has the unknown compression {compression}.", _SAVE_AGAIN)
    if not whole:
        raise _truncated(name, "composite")


def _inflates(file: BinaryIO, raw_bytes: int) -> bool:
    """Whether the deflated stream gives that many bytes; stops there, so a bomb costs no more than the image would."""
    inflater = zlib.decompressobj()
    inflated = 0
    while inflated < raw_bytes and not inflater.eof:
        chunk = inflater.unconsumed_tail or file.read(_CHUNK_BYTES)
        if not chunk:
            return False
        try:
            inflated += len(inflater.decompress(chunk, _CHUNK_BYTES))
        except zlib.error:
            return False
    return inflated >= raw_bytes


def _number(name: str, file: BinaryIO, code: str, section: str) -> int:
    data = file.read(struct.calcsize(code))
    if len(data) < struct.calcsize(code):
        raise _truncated(name, section)
    return int(struct.unpack(code, data)[0])


def _truncated(name: str, section: str) -> FormatError:
    return FormatError(name, f"the file is cut off in its {section}.", "Upload it again, whole.")
