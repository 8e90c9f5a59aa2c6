"""A worker's own copy of what it fetched: files by content, least recently used go first, shared by its processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobs.parts import FOLDER as PARTS
from jobs.parts import part_in

LOCKS = ".locks"
LOOK_AGAIN_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Cache:
    """``folder`` holds at most ``limit_bytes``, but for what is written in this moment."""

    folder: Path
    limit_bytes: int

    def take(self, sha256: str, target: Path) -> bool:
        """Puts the content at ``target``; False when it is not here. Counts as a use."""
        cached = self._path(sha256)
        try:
            link_or_copy(cached, target)
            os.utime(cached)
        except FileNotFoundError:
            return target.exists()
        return True

    def fill(
        self,
        sha256: str,
        size_bytes: int,
        target: Path,
        *,
        fetch: Callable[[IO[bytes]], None],
        tick: Callable[[], None],
    ) -> None:
        """Fetches the content to ``target`` and keeps it when it fits. ``fetch`` writes it and raises when it is wrong.

        Processes that want the same content at the same time fetch it once; those that wait call ``tick``.
        """
        keep = size_bytes <= self.limit_bytes
        with self._one_at_a_time(sha256, tick):
            if keep and self.take(sha256, target):
                return
            with part_in(self.folder) as (part, path):
                fetch(part)
                part.flush()
                os.fchmod(part.fileno(), 0o444)
                link_or_copy(path, target)
                if keep:
                    cached = self._path(sha256)
                    cached.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(path, cached)
        if keep:
            self.evict()

    def forget(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)

    def evict(self) -> int:
        """Removes what was used least recently until the limit is kept. Returns how many files went."""
        found = sorted(self._entries(), key=lambda entry: entry[0])
        total = sum(size for _, size, _ in found)
        gone = 0
        for _, size, path in found:
            if total <= self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
            gone += 1
        return gone

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        for folder in self.folder.iterdir():
            if folder.name in (PARTS, LOCKS) or not folder.is_dir():
                continue
            for path in folder.iterdir():
                with suppress(FileNotFoundError):
                    known = path.stat()
                    yield known.st_mtime_ns, known.st_size, path

    def _path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    @contextmanager
    def _one_at_a_time(self, sha256: str, tick: Callable[[], None]) -> Iterator[None]:
        folder = self.folder / LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / sha256[:3]).open("wb") as lock:
            while not _locked(lock):
                tick()
                time.sleep(LOOK_AGAIN_SECONDS)
            yield


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def link_or_copy(source: Path, target: Path) -> None:
    """``target`` becomes a link to ``source``, or a copy where the file system cannot link. Never overwrites."""
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        with source.open("rb") as content, target.open("xb") as file:
            shutil.copyfileobj(content, file, 2**20)
