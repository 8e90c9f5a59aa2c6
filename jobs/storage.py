"""What every storage of ours can do beyond Django's, and the local one, in which a name never shows half a file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol, cast

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages

from jobs.parts import FOLDER as PARTS
from jobs.parts import part_in, sweep_parts_in

CHUNK_BYTES = 2**20
ALIASES = ("default", "outputs")
HEADS = "heads"
"""The storage of noted heads (``jobs/noted_heads.py``)."""
PIECES = ".incoming"
"""The folder of files that arrive piece by piece (``jobs/pieces.py``). What is in it has no name yet."""


class Content(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...


class ObjectStorage(Protocol):
    """The part of a storage that our files need. ``default`` and ``outputs`` are such."""

    def put_if_absent(self, name: str, content: Content) -> None:
        """Stores all of ``content`` under exactly this name or nothing at all. FileExistsError when it is taken."""

    def names(self) -> Iterator[str]:
        """Every stored name, one by one, without pieces of files on their way."""

    def names_below(self, folder: str) -> Iterator[str]:
        """Every stored name below a folder, its own name included."""

    def forget_folder(self, folder: str) -> None:
        """Removes a folder in which nothing lies any more; leaves one with something in it."""

    def sweep_parts(self) -> int:
        """Removes what killed writers left half made. Returns how many."""

    def exists(self, name: str) -> bool: ...
    def open(self, name: str, mode: str = "rb") -> IO[bytes]: ...
    def size(self, name: str) -> int: ...
    def delete(self, name: str) -> None: ...


def storage_named(alias: str) -> ObjectStorage:
    return cast(ObjectStorage, storages[alias])


class AtomicFileSystemStorage(FileSystemStorage):
    """Writes apart and links into place: a crash leaves no partial file under a name that counts."""

    def put_if_absent(self, name: str, content: Content) -> None:
        target = Path(self.path(name))
        if target.exists():
            raise FileExistsError(f"{name} is taken")
        target.parent.mkdir(parents=True, exist_ok=True)
        with part_in(Path(self.location)) as (part, path):
            content.seek(0)
            shutil.copyfileobj(content, part, CHUNK_BYTES)
            part.flush()
            # Read-only: stages read their inputs through links to this very file.
            os.fchmod(part.fileno(), 0o444)
            os.fsync(part.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)  # an empty folder may have been removed meanwhile
            os.link(path, target)

    def _save(self, name: str, content: Any) -> str:
        while True:
            try:
                self.put_if_absent(name, content)
            except FileExistsError:
                name = self.get_available_name(name)
            else:
                return str(name).replace("\\", "/")

    def names(self) -> Iterator[str]:
        home = Path(self.location)
        for folder, folders, files in os.walk(home):
            folders[:] = sorted(one for one in folders if one not in (PARTS, PIECES))
            for file in sorted(files):
                yield (Path(folder) / file).relative_to(home).as_posix()

    def names_below(self, folder: str) -> Iterator[str]:
        home = Path(self.location)
        for path, _, files in os.walk(self.path(folder)):
            for file in files:
                yield (Path(path) / file).relative_to(home).as_posix()

    def forget_folder(self, folder: str) -> None:
        with suppress(OSError):
            os.rmdir(self.path(folder))

    def sweep_parts(self) -> int:
        return sweep_parts_in(Path(self.location))


def sweep_parts() -> int:
    """Removes what killed writers left half made in all storages and in this machine's cache. Returns how many."""
    return sum(storage_named(alias).sweep_parts() for alias in (*ALIASES, HEADS)) + sweep_parts_in(
        Path(settings.CACHE_DIR)
    )
