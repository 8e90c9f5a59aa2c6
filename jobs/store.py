"""Files by content: the same bytes are stored once, and a name never changes its content."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import shutil
from pathlib import Path
from typing import IO

from django.core.files import File
from django.core.files.storage import Storage, default_storage, storages

from jobs.models import Asset, Job, Team

CHUNK_BYTES = 2**20


def hash_file(path: Path) -> str:
    """SHA-256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def put(path: Path) -> tuple[str, str, int]:
    """Stores a file under its content's name. Returns (storage name, sha256, bytes)."""
    digest = hash_file(path)
    suffix = re.sub(r"[^a-z0-9.]", "", path.suffix.lower())[:8]
    name = f"{digest[:2]}/{digest}{suffix}"
    if not default_storage.exists(name):
        with path.open("rb") as file:
            stored = default_storage.save(name, File(file))
        if stored != name:
            # Somebody stored the same content in this moment: theirs is as good, ours goes.
            default_storage.delete(stored)
    return name, digest, path.stat().st_size


def put_asset(
    path: Path,
    *,
    team: Team,
    kind: str,
    name: str,
    job: Job | None = None,
    stage: int | None = None,
    media_type: str | None = None,
) -> Asset:
    """Stores a file and records it (in the caller's transaction)."""
    storage_name, digest, size = put(path)
    return Asset.objects.create(
        team=team,
        job=job,
        stage=stage,
        kind=kind,
        name=name,
        storage_name=storage_name,
        size_bytes=size,
        media_type=media_type or media_type_of(name),
        sha256=digest,
    )


def storage_of(asset: Asset) -> Storage:
    return storages[asset.storage]


def open_asset(asset: Asset) -> IO[bytes]:
    return storage_of(asset).open(asset.storage_name, "rb")


def fetch(asset: Asset, directory: Path, *, name: str) -> Path:
    """A copy of the asset's content as ``directory/name``, for a stage to read."""
    target = directory / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_asset(asset) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK_BYTES)
    return target
