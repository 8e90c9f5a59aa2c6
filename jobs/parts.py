"""Files in the making. A part is locked by its writer for as long as it lives: what nobody locks is dead and goes."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FOLDER = ".parts"


@contextmanager
def part_in(home: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new, locked file below ``home``, to be linked or renamed into place when it is whole. Gone afterwards."""
    file, path = _locked(home / FOLDER)
    try:
        with file:
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def _locked(folder: Path) -> tuple[IO[bytes], Path]:
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / uuid.uuid4().hex
        file = path.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file, path
        file.close()  # a sweep came between the making and the lock


def sweep_parts_in(home: Path) -> int:
    """Removes the parts that killed processes left. Returns how many."""
    folder = home / FOLDER
    gone = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                gone += 1
        except (BlockingIOError, FileNotFoundError):
            continue  # its writer lives, or is done
    return gone
