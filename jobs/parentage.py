"""Child processes that end with the process that started them, also when it died before they could ask for it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl's option: the signal that comes when the parent dies (linux/prctl.h)."""
PARENT_VARIABLE = "SUPERVISOR_PID"

_prctl = ctypes.CDLL(None).prctl


def child_environment(**more: str) -> dict[str, str]:
    """Our environment for a child that calls ``end_with_parent``."""
    return {**os.environ, **more, PARENT_VARIABLE: str(os.getpid())}


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """From now on the signal comes when the parent dies; exits at once when it is dead already."""
    _prctl(PR_SET_PDEATHSIG, number)
    parent = os.environ.get(PARENT_VARIABLE)
    if parent and parent != str(os.getppid()):
        sys.exit("the supervisor is gone: nothing to do here")


def outlive_parent() -> None:
    """Takes back what ``end_with_parent`` asked of the kernel, or who forked us."""
    _prctl(PR_SET_PDEATHSIG, 0)


def end_group_with(lifeline: int) -> None:
    """From now on our process group gets SIGKILL when nobody holds the writing end of the pipe ``lifeline`` any more.

    The kernel sends it, also to a process that is stopped or deep in a C call. Whoever writes ends the group too.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
