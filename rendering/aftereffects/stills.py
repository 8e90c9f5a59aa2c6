"""The folder of footage files beside a final project: plain PNGs and copies, under names that every system takes."""

from __future__ import annotations

import re
import shutil
import struct
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from rendering.errors import FormatError
from rendering.geometry import Box
from rendering.pixels import fit_image, read_png, write_png

STILL_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".tga", ".bmp", ".gif", ".webp", ".heic"),
        *(".psd", ".psb", ".ai", ".eps", ".pdf", ".svg"),
    )
)
_PNG_HEADER = struct.Struct(">8s4x4sIIBBBBB")
_PLAIN_RGBA = (8, 6, 0)  # bits per channel, colour type RGBA, not interlaced
_LONGEST_STEM = 80
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class PngHeader:
    """``plain`` is true for what After Effects reads without fail: 8-bit RGBA, not interlaced."""

    size_px: tuple[int, int]
    plain: bool


def read_png_header(path: Path) -> PngHeader | None:
    """The header of a PNG file, or None when the file is not one or cannot be read."""
    try:
        with path.open("rb") as file:
            signature, kind, width, height, *form = _PNG_HEADER.unpack(file.read(_PNG_HEADER.size))
    except (OSError, struct.error):
        return None
    if signature != b"\x89PNG\r\n\x1a\n" or kind != b"IHDR":
        return None
    depth, color_type, _compression, _filter, interlace = form
    return PngHeader(size_px=(width, height), plain=(depth, color_type, interlace) == _PLAIN_RGBA)


@dataclass
class FootageFolder:
    """Writes into ``path`` (made on first use); no two names differ only in case."""

    path: Path
    _taken: set[str] = field(default_factory=set)
    _copied: dict[Path, str] = field(default_factory=dict)

    def add_image(self, source: Path, *, name: str, size_px: tuple[int, int]) -> str:
        """A picture that must have ``size_px`` already, as plain PNG. Returns the file name.

        Raises FormatError for another size or a file that is no PNG.
        """
        header = read_png_header(source)
        if header is None:
            raise FormatError(source.name, "it is not a PNG file.", f"Prepare the picture of {name} again.")
        if header.size_px != size_px:
            cause = "it is {} x {} px, but {} shows {} x {} px.".format(*header.size_px, name, *size_px)
            raise FormatError(source.name, cause, "Fit the picture to its slot first.")
        target = self._new(name, ".png")
        if header.plain:
            shutil.copyfile(source, target)
        else:
            write_png(read_png(source), target)
        return target.name

    def add_layer(
        self, source: Path, *, name: str, size_px: tuple[int, int], placement: Box, document_size_px: tuple[int, int]
    ) -> str:
        """The PNG of a design layer, fitted onto ``size_px`` where the design shows it. Returns the file name."""
        rgba = fit_image(read_png(source), size_px=size_px, placement=placement, document_size_px=document_size_px)
        target = self._new(name, ".png")
        write_png(rgba, target)
        return target.name

    def add_copy(self, source: Path, *, name: str) -> str:
        """Any file, byte for byte, and each file once. Returns the file name."""
        if source not in self._copied:
            suffix = source.suffix.lower()
            target = self._new(name, suffix if re.fullmatch(r"\.[a-z0-9]+", suffix) else "")
            shutil.copyfile(source, target)
            self._copied[source] = target.name
        return self._copied[source]

    def _new(self, name: str, suffix: str) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        stem = safe_stem(name)
        unique, count = stem, 1
        while f"{unique}{suffix}".lower() in self._taken:
            count += 1
            unique = f"{stem}-{count}"
        self._taken.add(f"{unique}{suffix}".lower())
        return self.path / f"{unique}{suffix}"


def safe_stem(name: str) -> str:
    """An ASCII file name without suffix, at most 80 characters, that Windows, macOS and Linux take."""
    path = PureWindowsPath(name)
    if path.suffix.lower() in STILL_SUFFIXES:
        name = name[: -len(path.suffix)]
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_name).strip("_-")[:_LONGEST_STEM] or "footage"
    return f"{stem}_" if _RESERVED.fullmatch(stem) else stem
