"""Starts our own commands as child processes that end with us, and ends them within a bound."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from jobs.parentage import PR_SET_PDEATHSIG

STOP_SECONDS = 9.5


def log_file(name: str) -> Path:
    """Where a child's output goes."""
    return Path(settings.DATA_DIR) / "logs" / f"{name}.log"


def start_command(name: str) -> subprocess.Popen[bytes]:
    """``manage.py NAME``."""
    return start_python([str(Path(settings.BASE_DIR) / "manage.py"), name], log=name)


def start_python(arguments: Sequence[str], *, log: str) -> subprocess.Popen[bytes]:
    """Our interpreter in a session of its own, so that Ctrl-C reaches us alone. It gets SIGTERM when we die."""
    target = log_file(log)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and commands
            [sys.executable, *arguments],
            start_new_session=True,
            preexec_fn=die_with_parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=settings.BASE_DIR,
        )


def die_with_parent() -> None:
    """For ``preexec_fn``: SIGTERM comes when we die."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to all at once, then SIGKILL to the groups of those that take longer than the bound."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
