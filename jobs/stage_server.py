"""The process that forks the stages' processes, and the way to it.

``python -m jobs.stage_server`` loads what stages need and nothing else, and keeps a few children forked ahead
(``jobs/stage_process.py``). These read requests from one socket, so that a worker reaches a process that is ready, not
the server; the server forks the next one meanwhile, ends what a stage left behind and tells its worker how it ended.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import math
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from jobs.lazy_modules import load_at_first_use
from jobs.log_lines import chosen_formatter
from jobs.parentage import PR_SET_PDEATHSIG, child_environment, end_group_with, end_with_parent
from jobs.stage_process import await_request
from jobs.stages import PREPARE

logger = logging.getLogger(__name__)

SPARES = 2
"""Children that wait for a request."""
SELDOM_USED = ("av", "scipy.interpolate")
"""Large libraries that are loaded by the stage that uses them (videos; gradients of a PSD). Every fork copies the page
tables of all that the server has loaded, and every end gives them back."""
AGAIN_SECONDS = 1.0
"""After this a server that ended is started anew, and a process that the machine refused, or that failed before it
took a request, is forked again."""


class StageServer:
    """A stage server, started with this and again when it dies; it ends with this process. Forks of this process may
    ask it too."""

    def __init__(self) -> None:
        # Both ends stay here: requests wait in the socket while one server is dead and the next one not yet there.
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[bytes] | None = None
        started = threading.Event()
        # A thread that never ends: the server's death signal comes when the thread that started it is gone.
        threading.Thread(target=self._guard, args=(started,), name="stage server", daemon=True).start()
        started.wait()

    @property
    def pid(self) -> int | None:
        """As far as this process knows; None when it could not be started."""
        return self._process.pid if self._process else None

    def ask(self, workdir: Path, channel: socket.socket, lifeline: int) -> None:
        """Asks for a process that serves the request in ``workdir``: it speaks through ``channel`` and lives no longer
        than the other end of the pipe ``lifeline``. Raises OSError."""
        socket.send_fds(self._near, [os.fsencode(workdir)], [channel.fileno(), lifeline], socket.MSG_DONTWAIT)

    def _guard(self, started: threading.Event) -> NoReturn:
        while True:
            try:
                self._process = self._start()
            except OSError:
                self._process = None
                logger.exception("the stage server cannot be started; trying again")
            started.set()
            if self._process is not None:
                code = self._process.wait()
                logger.warning("the stage server ended (%s); starting another", code)
            time.sleep(AGAIN_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        far = self._far.fileno()
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "jobs.stage_server", str(far), json.dumps(_levels())],
            pass_fds=(far,),
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parent.parent,
            env=child_environment(),
        )


def _levels() -> dict[str, int]:
    """From which level on is logged, by the loggers' names; the root's is empty."""
    loggers = logging.getLogger().manager.loggerDict.items()
    own = {name: one.level for name, one in loggers if isinstance(one, logging.Logger) and one.level}
    return {"": logging.getLogger().level, **own}


def spare_forks_what_is_here() -> None:
    """From now on no garbage collection, here or in a fork, looks at the objects that there are.

    A look writes to them: in a fork, a full collection would copy half of the memory first.
    """
    gc.collect()
    gc.freeze()


# The server itself ----------------------------------------------------------------------------------------------------
class _Forks:
    """The children of this process: spares that wait for a request, and busy ones, each with the way to its worker."""

    def __init__(self, hub: socket.socket) -> None:
        self._hub = hub
        self._hear, self._tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._hear.setblocking(False)
        self._pids: dict[int, int] = {}  # by pidfd
        self._channels: dict[int, socket.socket] = {}  # by pid
        self._fork_after = 0.0  # by the monotonic clock
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        # The writing end is closed by nobody but the kernel, when this process ends.
        self._lifeline, self._held = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._hear, select.POLLIN)

    def serve(self) -> NoReturn:
        while True:
            ready = [fd for fd, _ in self._poll.poll(self._keep_spares())]
            self._note_who_is_busy()
            for fd in ready:
                if fd in self._pids:
                    self._bury(fd)

    def _keep_spares(self) -> int | None:
        """In how many milliseconds it must be tried again; None when there are as many as there should be."""
        while len(self._pids) - len(self._channels) < SPARES:
            wait_seconds = self._fork_after - time.monotonic()
            if wait_seconds > 0:
                return math.ceil(wait_seconds * 1_000)
            parent = os.getpid()
            try:
                pid = os.fork()
            except OSError:
                logger.exception("no process for a stage; trying again")
                self._fork_after = time.monotonic() + AGAIN_SECONDS
                continue
            if pid == 0:
                self._become_a_spare(parent)
            pidfd = os.pidfd_open(pid)
            self._pids[pidfd] = pid
            self._poll.register(pidfd, select.POLLIN)
        return None

    def _become_a_spare(self, parent: int) -> NoReturn:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # A spare dies with the server at once. A stage's programs must die, too, and the parent's death signal would
        # reach the stage alone, after which nothing reaches them: when it takes a request only the lifelines are left
        # (jobs/stage_process.py). Opened anew, since who gets the signal belongs to what is opened, and forks share it.
        self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        end_group_with(os.open(f"/proc/self/fd/{self._lifeline}", os.O_RDONLY | os.O_NONBLOCK))
        for end in (self._lifeline, self._held):
            os.close(end)
        if os.getppid() != parent:
            os._exit(1)  # the server died before it could take us with it
        # A stage holds nothing through which it could speak for another.
        self._hear.close()
        for channel in self._channels.values():
            channel.close()
        for pidfd in self._pids:
            os.close(pidfd)
        await_request(self._hub, self._tell)

    def _note_who_is_busy(self) -> None:
        with suppress(BlockingIOError):
            while True:
                message, (channel,), _, _ = socket.recv_fds(self._hear, 64, 1, socket.MSG_CMSG_CLOEXEC)
                self._channels[int(message)] = socket.socket(fileno=channel)

    def _bury(self, pidfd: int) -> None:
        """Ends what a child that ended left behind, and tells its worker how it ended."""
        pid = self._pids.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        # Before it is waited for: until then no other group can have its number.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        channel = self._channels.pop(pid, None)
        if channel is None:
            if os.waitstatus_to_exitcode(status) > 0:
                # The next one would fail as this one did, and the one after it.
                self._fork_after = time.monotonic() + AGAIN_SECONDS
        else:
            # A worker that is gone, or frozen with a full channel, is not waited for.
            with suppress(OSError):
                channel.send(json.dumps(["ended", status]).encode(), socket.MSG_DONTWAIT)
            channel.close()


def set_up_log(levels: dict[str, int]) -> None:
    """As that of the process that started us. ``levels`` are by the loggers' names."""
    console = logging.StreamHandler()
    console.setFormatter(chosen_formatter())
    logging.basicConfig(handlers=[console])
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def main() -> NoReturn:
    end_with_parent(signal.SIGKILL)
    # Ctrl-C in a terminal is for whoever started us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hub = socket.socket(fileno=int(sys.argv[1]))
    set_up_log(json.loads(sys.argv[2]))
    for name in SELDOM_USED:
        load_at_first_use(name)
    for prepare in PREPARE.values():
        pkgutil.resolve_name(prepare)
    spare_forks_what_is_here()
    _Forks(hub).serve()


if __name__ == "__main__":
    main()
