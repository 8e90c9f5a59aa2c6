"""A network that can be cut: a namespace with one cable to ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PREFIX = "aecut"


class NoRight(Exception):
    """This process may not do that here; the message says what."""


class Cable:
    """A namespace and its cable, for as long as the body of ``with`` runs. Raises NoRight at its begin.

    ``command`` goes before a command that is to run in the namespace, which reaches us at ``near`` alone.
    """

    def __init__(self, number: int) -> None:
        """``number`` 1..250 tells the cables of one process apart."""
        self.namespace = f"{PREFIX}-{os.getpid()}-{number}"
        self._device = f"{PREFIX[:4]}{os.getpid()}n{number}"[:15]
        # Ours alone, also beside another process that has cables.
        self._net = f"10.{200 + os.getpid() % 50}.{number}"
        self.near = f"{self._net}.1"
        self.network = f"{self._net}.0/30"
        self.command = ("ip", "netns", "exec", self.namespace)

    def __enter__(self) -> Cable:
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise NoRight("network namespaces need root and the ip command")
        _remove_left_ones()
        try:
            _ip("netns", "add", self.namespace)
            _ip("link", "add", self._device, "type", "veth", "peer", "name", "up0", "netns", self.namespace)
            _ip("addr", "add", f"{self.near}/30", "dev", self._device)
            _ip("link", "set", self._device, "up")
            _ip("-n", self.namespace, "addr", "add", f"{self._net}.2/30", "dev", "up0")
            _ip("-n", self.namespace, "link", "set", "up0", "up")
            _ip("-n", self.namespace, "link", "set", "lo", "up")
        except (subprocess.CalledProcessError, OSError) as error:
            self.remove()
            raise NoRight(f"no network namespaces here: {getattr(error, 'stderr', '') or error}".strip()) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()

    def cut(self) -> None:
        _ip("link", "set", self._device, "down")

    def heal(self) -> None:
        _ip("link", "set", self._device, "up")

    def remove(self) -> None:
        """Ends what runs in the namespace, and the namespace, and the cable with it."""
        _remove(self.namespace)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._device)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=60)  # noqa: S603, S607
    return done.stdout


def _remove(namespace: str) -> None:
    with suppress(subprocess.CalledProcessError):
        for pid in _ip("netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _ip("netns", "del", namespace)


def _remove_left_ones() -> None:
    """The namespaces of processes that were killed before they could remove them."""
    for namespace in Path("/run/netns").glob(f"{PREFIX}-*"):
        owner = namespace.name.split("-")[1]
        if not Path(f"/proc/{owner}").exists():
            _remove(namespace.name)
