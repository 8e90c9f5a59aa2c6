"""A disk that can be full: a small tmpfs."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from types import TracebackType

from aeproject.chaos.network import NoRight

BALLAST = "ballast"
CHUNKS = (2**20, 2**12, 1)


class SmallDisk:
    """A file system of its own at ``folder`` for as long as the body of ``with`` runs. Raises NoRight at its begin."""

    def __init__(self, folder: Path, *, size_bytes: int) -> None:
        self.folder = folder
        self._size_bytes = size_bytes

    def __enter__(self) -> SmallDisk:
        if os.geteuid() != 0:
            raise NoRight("mounting a small disk needs root")
        self.folder.mkdir(parents=True, exist_ok=True)
        unmount(self.folder)
        options = f"size={self._size_bytes},mode=755"
        mounted = _run("mount", "-t", "tmpfs", "-o", options, "aeproject-chaos", str(self.folder))
        if mounted.returncode:
            raise NoRight(f"no right to mount: {mounted.stderr.strip()}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        unmount(self.folder)

    def fill(self) -> None:
        """Leaves not one byte free."""
        with (self.folder / BALLAST).open("wb", buffering=0) as file:
            for size in CHUNKS:
                while _writes(file.fileno(), bytes(size)):
                    pass

    def free(self) -> None:
        (self.folder / BALLAST).unlink(missing_ok=True)


def unmount(folder: Path) -> None:
    """Also what a run that was killed left mounted."""
    while folder.is_mount() and not _run("umount", "--lazy", str(folder)).returncode:
        pass


def _writes(file: int, content: bytes) -> bool:
    try:
        return os.write(file, content) == len(content)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
