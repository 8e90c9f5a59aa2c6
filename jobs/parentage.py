"""Child processes that end with the process that started them, also when it died before they could ask for it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl's option: the signal that comes when the parent dies (linux/prctl.h)."""
PARENT_VARIABLE = "SUPERVISOR_PID"


def child_environment(**more: str) -> dict[str, str]:
    """Our environment for a child that calls ``end_with_parent``."""
    return {**os.environ, **more, PARENT_VARIABLE: str(os.getpid())}


def end_with_parent() -> None:
    """From now on SIGTERM comes when the parent dies; exits at once when it is dead already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = os.environ.get(PARENT_VARIABLE)
    if parent and parent != str(os.getppid()):
        sys.exit("the supervisor is gone: nothing to do here")
