"""Whether the files that rows name exist and are what they say. Looks at the head of each distinct file, once."""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from django.conf import settings

from batches.intake.table import PSD_SUFFIXES, shown
from jobs.models import Asset, Team
from jobs.sources import find_in_roots
from jobs.store import open_asset
from rendering.errors import FormatError

HEAD_BYTES = 4096
MOST_REMEMBERED = 4096
PSD_HEADER = struct.Struct(">4sH6xHIIHH")
PSD_MODES = frozenset({0, 1, 2, 3, 4, 7, 8, 9})
MOST_PX = {1: 30_000, 2: 300_000}
BEFORE_ROOT = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
ROOT = re.compile(r"<(?:[\w.-]+:)?AfterEffectsProject[\s/>]")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a row's path led to: a ``problem`` in words or none; ``uploaded`` is the name of the file sent along."""

    problem: str = ""
    uploaded: str = ""


def look(name: str, head: bytes, size_bytes: int) -> str:
    """What is wrong with a file, by its name, its first bytes and its size. Empty when it is what it says."""
    if PurePosixPath(name).suffix.lower() in PSD_SUFFIXES:
        return _look_at_psd(head, size_bytes)
    return _look_at_project(name, head, size_bytes)


def _look_at_psd(head: bytes, size_bytes: int) -> str:
    if not head.startswith(b"8BPS"):
        return "is not a Photoshop document (it does not begin with 8BPS)."
    if len(head) < PSD_HEADER.size:
        return "is cut short: it has no complete Photoshop header."
    if size_bytes > settings.MAX_PSD_BYTES:
        return _too_large(size_bytes, settings.MAX_PSD_BYTES)
    _, version, channels, height, width, depth, mode = PSD_HEADER.unpack(head[: PSD_HEADER.size])
    if version not in MOST_PX:
        return f"has the Photoshop version {version}; only 1 (PSD) and 2 (PSB) exist."
    most = MOST_PX[version]
    sane = 1 <= channels <= 56 and 1 <= width <= most and 1 <= height <= most
    if not sane or depth not in {1, 8, 16, 32} or mode not in PSD_MODES:
        return f"has a damaged Photoshop header ({width} x {height} px, {channels} channels, {depth} bit, mode {mode})."
    return ""


def _look_at_project(name: str, head: bytes, size_bytes: int) -> str:
    if size_bytes > settings.MAX_PROJECT_BYTES:
        return _too_large(size_bytes, settings.MAX_PROJECT_BYTES)
    binary = head.startswith(b"RIFX") and head[8:12] == b"Egg!"
    if binary and 8 + int.from_bytes(head[4:8], "big") > size_bytes:
        return "is cut short: it is smaller than its own header says."
    xml = not binary and _is_project_xml(head)
    if not binary and not xml:
        return "is not an After Effects project (neither RIFX Egg! nor AfterEffectsProject XML)."
    suffix = PurePosixPath(name).suffix.lower()
    if binary and suffix != ".aep":
        return "is a binary project: its name must end in .aep."
    if xml and suffix != ".aepx":
        return "is an XML project: its name must end in .aepx."
    return ""


def _is_project_xml(head: bytes) -> bool:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(encoding, "replace")
    start = BEFORE_ROOT.match(text)
    return ROOT.match(text, start.end() if start else 0) is not None


def _too_large(size_bytes: int, most_bytes: int) -> str:
    return f"has {size_bytes / 2**20:,.1f} MB; at most {most_bytes / 2**20:,.1f} MB are allowed."


class Finder:
    """Finds the files of a sheet's rows: those sent along first, then the team's asset roots."""

    def __init__(self, team: Team, uploaded: Mapping[str, Asset]) -> None:
        self._team = team
        self._uploaded = uploaded
        self._by_key: dict[str, list[str]] = {}
        for name in uploaded:
            # By its whole name and by every shorter end of it: a ZIP may have a folder around everything.
            parts = PurePosixPath(_key(name)).parts
            for start in range(len(parts)):
                self._by_key.setdefault("/".join(parts[start:]), []).append(name)
        self.find = lru_cache(maxsize=MOST_REMEMBERED)(self._find)
        """What the path of a row leads to. Asked for again soon, the first answer is given."""
        self._looks: dict[str, str] = {}

    def _find(self, path: str) -> Found:
        key = _key(path)
        names = self._by_key.get(key, []) or self._by_key.get(PurePosixPath(key).name, [])
        names = [name for name in names if _key(name) == key] or names
        if len(names) > 1:
            listed = ", ".join(shown(name) for name in sorted(names)[:3])
            return Found(problem=f"{shown(path)} may be any of {len(names)} files that were sent along: {listed}.")
        try:
            # Also for files sent along: what cannot be a path below a root is refused wherever the file is.
            in_roots = find_in_roots(self._team, path)
        except FormatError as error:
            return Found(problem=f"{shown(path)} {error.cause} {error.cure}".strip())
        except (OSError, ValueError):
            return Found(problem=f"{shown(path)} cannot be a path.")
        if names:
            asset = self._uploaded[names[0]]
            problem = self._look(asset.storage_name, names[0], lambda: _head_of_asset(asset))
            return Found(problem=problem and f"{shown(path)} {problem}", uploaded=names[0])
        if in_roots is None:
            return Found(problem=f"{shown(path)} is neither among the files sent along nor below the asset roots.")
        problem = self._look(str(in_roots), in_roots.name, lambda: _head_of_path(in_roots))
        return Found(problem=problem and f"{shown(path)} {problem}")

    def _look(self, place: str, name: str, read: Callable[[], tuple[bytes, int]]) -> str:
        key = f"{place}\n{PurePosixPath(name).suffix.lower()}"
        if key not in self._looks:
            if len(self._looks) >= MOST_REMEMBERED:
                self._looks.clear()
            try:
                head, size_bytes = read()
            except OSError as error:
                self._looks[key] = f"cannot be read ({error.strerror or type(error).__name__})."
            else:
                self._looks[key] = look(name, head, size_bytes)
        return self._looks[key]


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _key(path: str) -> str:
    """Names are compared without regard to case, slashes and ``./``: sheets are written on Windows and on Macs."""
    return unicodedata.normalize("NFC", str(PurePosixPath(_slashes(path)))).casefold()


def _head_of_path(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES), path.stat().st_size


def _head_of_asset(asset: Asset) -> tuple[bytes, int]:
    with open_asset(asset) as file:
        return file.read(HEAD_BYTES), asset.size_bytes
