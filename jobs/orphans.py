"""Ends what a stage had started in a session of its own when its worker was killed: nothing else reaches it there.

Workers and clusters ask for their parents' death signal, and a stage's process group ends with its worker
(``jobs/parentage.py``); a program that left the group does not. All of them carry the name of the machine's record in
the environment they were started with.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jobs.parentage import PARENT_VARIABLE
from jobs.workers import NAME_VARIABLE

logger = logging.getLogger(__name__)

CLUSTER = "cluster"


@dataclass(frozen=True, kw_only=True)
class _Process:
    pid: int
    parent: int
    is_cluster: bool
    """The main process of a cluster: it leads its session and was started as ``manage.py cluster``."""
    is_left: bool
    """The supervisor that started it is gone."""


@dataclass
class Orphans:
    """For the supervisor to ``look`` every few seconds. Who looks like an orphan twice is one: a process that starts or
    ends in the moment of one look may look like it."""

    machine: str
    _suspects: set[int] = field(default_factory=set)

    def look(self) -> int:
        """Kills the programs of this machine's workers whose workers are gone. Returns how many."""
        ours = _processes_of(self.machine)
        for process in ours.values():
            if process.is_cluster and process.is_left:
                _wake(process.pid)
        found = {process.pid for process in ours.values() if not _is_in_a_cluster(process, ours)}
        sure, self._suspects = found & self._suspects, found - self._suspects
        return sum(_end(pid) for pid in sure)


def _end(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    logger.warning("ended process %d, which its worker had left behind", pid)
    return True


def _wake(pid: int) -> None:
    """A cluster is told to end when its supervisor dies; one that is frozen at that moment hears it when it wakes."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _is_in_a_cluster(process: _Process, ours: dict[int, _Process]) -> bool:
    """Also an orphaned cluster counts: it ends by itself within its bound, and running work may finish."""
    at: _Process | None = process
    while at is not None:
        if at.is_cluster:
            return True
        at = ours.get(at.parent)
    return False


def _processes_of(machine: str) -> dict[int, _Process]:
    mark = f"{NAME_VARIABLE}={machine}:".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            if any(entry.startswith(mark) for entry in environment):
                process = _read(folder, environment)
                found[process.pid] = process
        except OSError:
            continue  # it ended, or it is somebody else's
    return found


def _read(folder: Path, environment: list[bytes]) -> _Process:
    """Raises OSError when it is gone."""
    pid = int(folder.name)
    # After the name in parentheses, which may hold anything: state, parent, group, session.
    _, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return _Process(
        pid=pid,
        parent=int(parent),
        is_cluster=int(session) == pid and words[-1] == CLUSTER.encode(),
        is_left=f"{PARENT_VARIABLE}={parent}".encode() not in environment,
    )
