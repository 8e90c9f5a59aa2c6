"""Is this ZIP what its manifest says? Needs the ZIP alone: no database, no storage, no network.

First the files are compared with the manifest by name, size and SHA-256. Then the whole ZIP is compared with the one
that the manifest describes, record by record: a byte that belongs nowhere, or any other one, is found.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from batches.bundles.layout import Entry, Layout
from batches.bundles.plan import FORMAT, KINDS, MANIFEST, Text, manifest_bytes, manifest_entry
from jobs.storage import CHUNK_BYTES

MOST_MANIFEST_BYTES = 2**28
ENCRYPTED = 1
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Problem:
    """``path`` is the member's, or empty for the ZIP as a whole."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass
class Verdict:
    manifest: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    size_bytes: int = 0

    @property
    def good(self) -> bool:
        return not self.problems

    def tell(self, message: str, path: str = "") -> None:
        self.problems.append(Problem(path, message))


class Contradiction(ValueError):
    """The manifest says something that cannot be, or says nothing where it must."""


def verify(path: Path) -> Verdict:
    """Everything that is wrong with the ZIP. Raises OSError when it cannot be read."""
    verdict = Verdict()
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                _verify(archive, file, verdict)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError) as error:
            verdict.tell(f"It is not a whole ZIP: {error}")
    return verdict


def _verify(archive: zipfile.ZipFile, file: IO[bytes], verdict: Verdict) -> None:
    infos = archive.infolist()
    _check_names(infos, verdict)
    if verdict.problems:
        return
    manifest = next(info for info in infos if _is_manifest(info))
    root = manifest.filename.removesuffix(f"/{MANIFEST}")
    try:
        data = _manifest_data(archive, manifest)
        verdict.manifest = _parsed(data)
        entries = list(_entries(verdict.manifest, root))
        for words in list(_contradictions(verdict.manifest, root)):
            verdict.tell(words, manifest.filename)
    except Contradiction as error:
        verdict.tell(str(error), manifest.filename)
        return
    present = {info.filename: info for info in infos if info is not manifest}
    for name in sorted(present.keys() - {entry.path for entry in entries}):
        verdict.tell("The manifest does not know it.", name)
    for entry in entries:
        if entry.path in present:
            _check_content(archive, present[entry.path], entry, verdict)
        else:
            verdict.tell("It is missing.", entry.path)
    if not verdict.problems:
        _check_bytes(file, Layout([manifest_entry(root, data, entries), *entries]), verdict)


def _check_names(infos: list[zipfile.ZipInfo], verdict: Verdict) -> None:
    for name, times in Counter(info.filename for info in infos).items():
        if times > 1:
            verdict.tell(f"It is in the ZIP {times} times.", name)
    for info in infos:
        if words := _trick(info):
            verdict.tell(words, info.filename)
    manifests = sum(map(_is_manifest, infos))
    if manifests != 1:
        verdict.tell(f"There are {manifests} {MANIFEST} in it." if manifests else f"There is no {MANIFEST} in it.")


def _is_manifest(info: zipfile.ZipInfo) -> bool:
    return info.filename.count("/") == 1 and info.filename.endswith(f"/{MANIFEST}")


def _trick(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with the name or the type of a member, whatever the manifest says."""
    name = info.orig_filename
    parts = name.split("/")
    if name != info.filename or "\\" in name or ":" in name or not name.isprintable():
        return "Its name has signs that names of files must not have."
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "Its name leads out of the ZIP's folder, or is no name of a file."
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        return "It is no plain file."
    if info.flag_bits & ENCRYPTED or info.compress_type != zipfile.ZIP_STORED:
        return "It is compressed or encrypted: another program has packed it."
    return None


# Manifest -------------------------------------------------------------------------------------------------------------
def _manifest_data(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MOST_MANIFEST_BYTES:
        raise Contradiction(f"It is larger than {MOST_MANIFEST_BYTES} bytes.")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise Contradiction(f"It cannot be read: {error}") from None


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        same = isinstance(manifest, dict) and manifest_bytes(manifest) == data
    except (ValueError, RecursionError) as error:
        raise Contradiction(f"It is no JSON: {error}") from None
    if not same or manifest.get("format") != FORMAT:
        raise Contradiction(f"It is not written as “{FORMAT}” is.")
    assert isinstance(manifest, dict)
    if not _is_head(manifest.get("history")):
        raise Contradiction("Its “history” is no place in a chain.")
    return manifest


def _entries(manifest: dict[str, Any], root: str) -> Iterator[Entry]:
    """The members that the manifest describes. Their CRC-32 is found when they are read."""
    for member in _list(manifest, "members"):
        path, digest = _typed(member, "path", str), _typed(member, "sha256", str)
        if not path.startswith(f"{root}/") or path == f"{root}/{MANIFEST}":
            raise Contradiction(f"It has a member outside of {root}: {path}")
        try:
            sha256, modified = bytes.fromhex(digest), datetime.fromisoformat(_typed(member, "stored_at", str))
        except ValueError as error:
            raise Contradiction(f"{path}: {error}") from None
        if len(sha256) != 32 or modified.tzinfo is None:
            raise Contradiction(f"{path}: its SHA-256 or its time is none")
        size = _typed(member, "size_bytes", int)
        if size < 0:
            raise Contradiction(f"{path}: its size is negative")
        yield Entry(path=path, size_bytes=size, sha256=sha256, crc32=None, modified=modified, source=Text(b""))


def _contradictions(manifest: dict[str, Any], root: str) -> Iterator[str]:
    """Where details of the manifest do not fit each other."""
    members, jobs = _list(manifest, "members"), _list(manifest, "jobs")
    kinds = _typed(manifest, "kinds", list)
    if not kinds or any(kind not in KINDS for kind in kinds):
        yield "Its kinds of files are not ours."
    yield from _sums("It", manifest, members)
    known = {_typed(job, "job_id", str): job for job in jobs}
    if len(known) != len(jobs):
        yield "It has a job twice."
    single = manifest.get("job")
    if single is not None and list(known) != [single]:
        yield f"It is of the job {single}, but has other jobs."
    files: dict[str, list[dict[str, Any]]] = {name: [] for name in known}
    for member in members:
        path, kind, name = _typed(member, "path", str), _typed(member, "kind", str), member.get("job")
        if kind not in kinds:
            yield f"{path}: its kind is not among those of the ZIP"
        folder = root
        if name is not None:
            if not isinstance(name, str) or name not in known:
                yield f"{path}: there is no job {name}"
                continue
            files[name].append(member)
            folder = f"{_typed(known[name], 'folder', str)}/{kind}"
        if not path.startswith(f"{folder}/"):
            yield f"{path}: it does not lie in {folder}"
    yield from _strange_sheets(manifest, members)
    for name, job in known.items():
        if not files[name]:
            yield f"The job {name} has no files."
        yield from _sums(f"The job {name}", job, files[name])
        for decision in _list(job, "decisions"):
            _typed(decision, "verb", str)
            _typed(decision, "at", str)


def _strange_sheets(manifest: dict[str, Any], members: list[dict[str, Any]]) -> Iterator[str]:
    if "sheets" not in manifest:
        return  # a ZIP of before
    files = {member["path"] for member in members if member.get("job") is None}
    for sheet in _list(manifest, "sheets"):
        path = _typed(sheet, "path", str)
        _typed(sheet, "number", int)
        _typed(sheet, "applied_by", str)
        if path not in files:
            yield f"{path}: it is said to be a sheet, but is no file of the batch"


def _is_head(told: Any) -> bool:
    if told is None:
        return True
    if not isinstance(told, dict) or not isinstance(told.get("digest"), str) or not isinstance(told.get("verb"), str):
        return False
    position = told.get("position")
    return isinstance(position, int) and position > 0 and DIGEST.fullmatch(told["digest"]) is not None


def _sums(what: str, told: dict[str, Any], members: list[dict[str, Any]]) -> Iterator[str]:
    size = sum(_typed(member, "size_bytes", int) for member in members)
    if _typed(told, "files", int) != len(members) or _typed(told, "size_bytes", int) != size:
        yield f"{what} says {told['files']} files and {told['size_bytes']} bytes; there are {len(members)} and {size}."


def _list(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _typed(told, name, list)
    if not all(isinstance(one, dict) for one in found):
        raise Contradiction(f"Its “{name}” are not what they must be.")
    return found


def _typed(told: dict[str, Any], name: str, kind: type) -> Any:
    value = told.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Contradiction(f"Its “{name}” is not what it must be.")
    return value


# Bytes ----------------------------------------------------------------------------------------------------------------
def _check_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: Entry, verdict: Verdict) -> None:
    """Size, SHA-256 and, in passing, the CRC-32 of a member."""
    if info.file_size != entry.size_bytes:
        verdict.tell(f"It has {info.file_size} bytes, the manifest says {entry.size_bytes}.", entry.path)
        return
    digest, crc, left = hashlib.sha256(), 0, entry.size_bytes
    try:
        with archive.open(info) as content:
            while left > 0 and (chunk := content.read(min(CHUNK_BYTES, left))):
                digest.update(chunk)
                crc = zlib.crc32(chunk, crc)
                left -= len(chunk)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        verdict.tell(f"It cannot be read: {error}", entry.path)
        return
    if left or digest.digest() != entry.sha256:
        verdict.tell("Its content is not what the manifest says: the SHA-256 differs.", entry.path)
    entry.crc32 = crc
    verdict.files += 1
    verdict.size_bytes += entry.size_bytes


def _check_bytes(file: IO[bytes], layout: Layout, verdict: Verdict) -> None:
    """Everything between and behind the contents, byte by byte."""
    for path, start, expected in layout.records():
        file.seek(start)
        if file.read(len(expected)) != expected:
            verdict.tell("What the ZIP itself says of it was changed.", path)
    if file.read(1):
        verdict.tell("There is more behind its end.")
