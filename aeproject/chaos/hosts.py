"""The machines under attack: each is a supervisor with all that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from aeproject.chaos.network import Cable
from aeproject.processes import die_with_parent, stop_all


@dataclass
class Host:
    """``environment`` is all of its environment. On ``cable`` it reaches us alone; without one it is where we are."""

    name: str
    environment: dict[str, str]
    log: Path
    cable: Cable | None = None
    supervisor: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def revive(self) -> None:
        """Starts the supervisor, and starts it again when it died, as systemd would."""
        if self.supervisor is not None and self.supervisor.poll() is None:
            return
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "work"]
        with self.log.open("ab") as log:
            self.supervisor = subprocess.Popen(  # noqa: S603 - our own command
                [*(self.cable.command if self.cable else ()), *command],
                start_new_session=True,
                preexec_fn=die_with_parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=settings.BASE_DIR,
                env=self.environment,
            )


def stop(hosts: Collection[Host]) -> None:
    """In order, within the bound that systemd would give."""
    stop_all([host.supervisor for host in hosts if host.supervisor is not None])


def processes(data: Path, *, spared: Collection[int] = ()) -> list[int]:
    """The processes whose environment names ``data`` as their DATA_DIR; zombies and ourselves left out."""
    mark = f"DATA_DIR={data}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        if pid == os.getpid() or pid in spared:
            continue
        try:
            alive = (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and mark in (path / "environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return sorted(found)


def send(pid: int, number: signal.Signals) -> bool:
    """False when it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
