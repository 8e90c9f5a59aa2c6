"""Pieces of files on their way, in the shared storage: each machine may take the next piece, and any may join them.

They lie below ``FOLDER`` in the default storage, a folder for each file, and are no contents that a record names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

from jobs.storage import PIECES as FOLDER
from jobs.storage import Content, storage_named


def path_of(file_id: str, name: str) -> str:
    return f"{FOLDER}/{file_id}/{name}"


def write(file_id: str, name: str, content: Content) -> None:
    storage_named("default").put_if_absent(path_of(file_id, name), content)


def delete(file_id: str, names: Sequence[str]) -> None:
    storage = storage_named("default")
    for name in names:
        storage.delete(path_of(file_id, name))
    storage.forget_folder(f"{FOLDER}/{file_id}")


def stored() -> Iterator[tuple[str, str]]:
    """Every stored piece: the id of its file, and its name."""
    for path in storage_named("default").names_below(FOLDER):
        file_id, _, name = path.removeprefix(f"{FOLDER}/").partition("/")
        yield file_id, name


class Joined:
    """The pieces as one file, one open at a time."""

    def __init__(self, file_id: str, names: Sequence[str]) -> None:
        self._file_id = file_id
        self._names = list(names)
        self._at = 0
        self._open: IO[bytes] | None = None

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, fewer only at the end; all that is left for a negative one."""
        parts: list[bytes] = []
        left = size
        while left and (part := self._next(left)):
            parts.append(part)
            left -= len(part) if size > 0 else 0
        return b"".join(parts)

    def _next(self, size: int) -> bytes:
        while self._open is not None or self._at < len(self._names):
            if self._open is None:
                path = path_of(self._file_id, self._names[self._at])
                self._open = storage_named("default").open(path, "rb")
                self._at += 1
            if part := self._open.read(size):
                return part
            self.close()
        return b""

    def seek(self, offset: int, /) -> int:
        if offset:
            raise ValueError("joined pieces are read from their beginning")
        self.close()
        self._at = 0
        return 0

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
