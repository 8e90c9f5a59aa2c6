"""Files by content: the same bytes are stored once, and a name never changes its content."""

from __future__ import annotations

import hashlib
import logging
import mimetypes
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from jobs.cache import Cache, link_or_copy
from jobs.models import Asset, Job, Leftover, Team
from jobs.storage import CHUNK_BYTES, AtomicFileSystemStorage, Content, ObjectStorage, storage_named

logger = logging.getLogger(__name__)


Tick = Callable[[], None]
"""Called at every chunk of a file; keeps a lease, and raises when it is gone."""


class Corrupt(OSError):
    """What lies in the storage is not what was stored. Nothing is done with it."""


def nothing() -> None:
    """The tick of those who hold no lease."""


class Ticking:
    """A file that tells when it is read, so that a long copy keeps its lease."""

    def __init__(self, file: Content, tick: Tick) -> None:
        self._file = file
        self._tick = tick
        self.seek = file.seek

    def read(self, size: int = -1, /) -> bytes:
        self._tick()
        return self._file.read(size)


class Checksums(NamedTuple):
    """``sha256`` (hex) names and proves a content; ``crc32`` is what a ZIP says of it before its first byte."""

    sha256: str
    crc32: int


def checksums_of(path: Path, *, tick: Tick = nothing) -> Checksums:
    """Both in one reading. ``tick`` is called at every chunk."""
    with path.open("rb") as file:
        return _read_through(file, tick)[0]


def _read_through(content: Content, tick: Tick) -> tuple[Checksums, int]:
    """The checksums and the size in bytes."""
    digest, crc, size_bytes = hashlib.sha256(), 0, 0
    while chunk := content.read(CHUNK_BYTES):
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
        size_bytes += len(chunk)
        tick()
    return Checksums(digest.hexdigest(), crc), size_bytes


def hash_file(path: Path, *, tick: Tick = nothing) -> str:
    """SHA-256, hex. ``tick`` is called at every chunk."""
    return checksums_of(path, tick=tick).sha256


def media_type_of(name: str) -> str:
    """The media type by the name's ending; projects and documents by their registered or customary types."""
    known = {
        ".psd": "image/vnd.adobe.photoshop",
        ".psb": "image/vnd.adobe.photoshop",
        ".aep": "application/vnd.adobe.aftereffects.project",
        ".aepx": "application/vnd.adobe.aftereffects.template",
        ".jsx": "text/plain",
        ".csv": "text/csv",
    }
    return known.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or "application/octet-stream"


class Stored(NamedTuple):
    """A content in the store, by its name there."""

    storage_name: str
    checksums: Checksums
    size_bytes: int


def name_of(sha256: str, suffix: str) -> str:
    """Where a content lies in the store."""
    ending = re.sub(r"[^a-z0-9.]", "", suffix.lower())[:8]
    return f"{sha256[:2]}/{sha256}{ending}"


def put(path: Path, *, tick: Tick = nothing) -> Stored:
    """Stores a file under its content's name."""
    with path.open("rb") as file:
        return put_content(file, suffix=path.suffix, tick=tick)


def put_content(content: Content, *, suffix: str, tick: Tick = nothing) -> Stored:
    """Stores what can be read under its content's name. It is read twice: to know it, and to store it."""
    content.seek(0)
    checksums, size_bytes = _read_through(content, tick)
    name = name_of(checksums.sha256, suffix)
    storage = storage_named("default")
    is_new = _put_if_absent(storage, name, content, tick)
    # Looked at when it is there: until now somebody may have removed it, from now on nobody does. Also a new one: where
    # a removal was killed between the storage and its commit, the next would take it for what is still to go.
    if _is_wanted_again(name) or not is_new:
        found_bytes = _size_of(storage, name)
        if found_bytes is not None and found_bytes != size_bytes:
            # Cut off by something outside: the same content makes it whole.
            logger.error("%s had the wrong size in the storage; it is stored anew", name)
            storage.delete(name)
        if found_bytes != size_bytes:
            _put_if_absent(storage, name, content, tick)
    return Stored(name, checksums, size_bytes)


def _put_if_absent(storage: ObjectStorage, name: str, content: Content, tick: Tick) -> bool:
    """False when it is there already."""
    try:
        storage.put_if_absent(name, Ticking(content, tick))
    except FileExistsError:
        return False
    return True


def _size_of(storage: ObjectStorage, name: str) -> int | None:
    try:
        return storage.size(name)
    except FileNotFoundError:
        return None


def _is_wanted_again(name: str) -> bool:
    """Keeps a content from being removed by ``jobs.retention`` and ``jobs.leftovers``, which look under the same locks.

    False for most: what may go in this moment has been noted for a day.
    """
    left = Leftover.objects.filter(storage="default", storage_name=name)
    removed = Asset.objects.filter(storage="default", storage_name=name, removed_at__isnull=False)
    if not left.values("pk").union(removed.values("pk"), all=True).exists():
        return False
    with transaction.atomic():
        # Each waits for who holds the rows' locks, and looks at them again then.
        left.update(since=Now())
        removed.update(wanted_at=Now())
    return True


def put_asset(
    path: Path,
    *,
    team: Team,
    kind: str,
    name: str,
    job: Job | None = None,
    stage: int | None = None,
    media_type: str | None = None,
    tick: Tick = nothing,
) -> Asset:
    """Stores a file and records it (in the caller's transaction)."""
    stored = put(path, tick=tick)
    return record(stored, team=team, kind=kind, name=name, job=job, stage=stage, media_type=media_type)


def record(
    stored: Stored,
    *,
    team: Team,
    kind: str,
    name: str,
    job: Job | None = None,
    stage: int | None = None,
    media_type: str | None = None,
) -> Asset:
    """Records what was stored (in the caller's transaction)."""
    return Asset.objects.create(
        team=team,
        job=job,
        stage=stage,
        kind=kind,
        name=name,
        storage_name=stored.storage_name,
        size_bytes=stored.size_bytes,
        media_type=media_type or media_type_of(name),
        sha256=stored.checksums.sha256,
        crc32=stored.checksums.crc32,
    )


def storage_of(asset: Asset) -> ObjectStorage:
    return storage_named(asset.storage)


class Removed(FileNotFoundError):
    """The file went by the team's retention policy."""


def refuse_removed(asset: Asset) -> None:
    """Raises Removed, in words for people."""
    if asset.removed_at is not None:
        raise Removed(f"{asset.name} was removed on {asset.removed_at:%Y-%m-%d}, as the team's retention policy says.")


def open_asset(asset: Asset) -> IO[bytes]:
    refuse_removed(asset)
    return storage_of(asset).open(asset.storage_name, "rb")


def fetch(asset: Asset, directory: Path, *, name: str, tick: Tick = nothing) -> Path:
    """The asset's content as ``directory/name``, for a stage to read and nobody to write. Proven by its SHA-256.

    From a local storage it is a link; from a distant one it comes through this machine's cache. ``tick`` is called at
    every chunk. Raises Corrupt when the storage holds something else, FileNotFoundError when it holds nothing.
    """
    refuse_removed(asset)
    target = directory / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    storage = storage_of(asset)
    if isinstance(storage, AtomicFileSystemStorage):
        link_or_copy(Path(storage.path(asset.storage_name)), target)
        if hash_file(target, tick=tick) != asset.sha256:
            target.unlink()
            raise _corrupt(asset)
        return target
    cache = Cache(folder=Path(settings.CACHE_DIR), limit_bytes=settings.CACHE_BYTES)
    if cache.take(asset.sha256, target):
        if hash_file(target, tick=tick) == asset.sha256:
            return target
        logger.error("%s had changed in the cache; it is fetched anew", asset.sha256)
        cache.forget(asset.sha256)
        target.unlink()
    cache.fill(asset.sha256, asset.size_bytes, target, fetch=lambda file: _download(asset, file, tick), tick=tick)
    return target


def _download(asset: Asset, file: IO[bytes], tick: Tick) -> None:
    digest = hashlib.sha256()
    with open_asset(asset) as source:
        while chunk := source.read(CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            tick()
    if digest.hexdigest() != asset.sha256:
        raise _corrupt(asset)


def _corrupt(asset: Asset) -> Corrupt:
    return Corrupt(f"{asset.name}: {asset.storage_name} in the storage is not what was stored (its SHA-256 differs)")
