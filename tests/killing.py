"""Work in a process of its own that the kernel kills at a chosen moment: nothing is caught, nothing tidied up."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Literal

from django.db import connection, connections

When = Literal["before", "after"]


def end_in_a_process(work: Callable[[], object], *, began: Callable[[int], object] = lambda pid: None) -> int:
    """Runs ``work`` in a fork with connections of its own. Returns the signal that ended it, 0 when it came to its end.

    It takes a test with real transactions: the process sees what is committed. ``began`` is told its id.
    """
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()  # pytest shows what a failed test's children wrote
        finally:
            os._exit(code)
    began(pid)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed before anybody killed it"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def die_at_commit(number: int, when: When) -> None:
    """Has the kernel kill this process before its ``number``-th commit (from 1), its transaction open, or after."""
    commit, seen = connection._commit, 0

    def counted() -> None:
        nonlocal seen
        seen += 1
        if seen == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit()
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    connection._commit = counted


def killed_at_commit(work: Callable[[], object], number: int, when: When) -> bool:
    """Whether ``work`` was killed in a process of its own; else it has no commit of that number."""

    def working() -> None:
        die_at_commit(number, when)
        work()

    ended = end_in_a_process(working)
    assert ended in (0, signal.SIGKILL)
    return bool(ended)
