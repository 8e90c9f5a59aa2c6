"""Runs a stage in a process with limits on time, memory and file size, which ends with the worker that asked for it.

Stages hand foreign bytes to C libraries: those may hang, crash or eat memory. Each has a fresh process of the stage
server's (``jobs/stage_server.py``), which this module asks for, listens to and ends.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jobs.stage_process import OUTCOME_FILE, REQUEST_FILE, Request
from jobs.stage_server import StageServer
from jobs.stages.base import Inputs, Limits, Outcome

TICK_SECONDS = 0.25
START_SECONDS = 120.0
"""Within these a process must take up a request. It waits while a server starts, which takes long on a busy machine."""
END_SECONDS = 5.0
"""So long the word that a process is dead is waited for, after the kernel was told to kill it."""
MESSAGE_BYTES = 2**20

Beat = Callable[[str, float], None]
ErrorClass = Literal["file", "transient", "worker", "rate", "memory", "time", "bug", "crash"]


class StageFailed(Exception):
    """The stage ended without an outcome. ``error_class`` decides whether another attempt makes sense.

    ``retry_after_seconds`` is for the class ``rate``: when the other side allows the next attempt.
    """

    def __init__(
        self, message: str, *, error_class: ErrorClass, log: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.error_class: ErrorClass = error_class
        self.log = log
        self.retry_after_seconds = retry_after_seconds


@cache
def stage_server() -> StageServer:
    """The stage server of this process and of its later forks, started now if there is none."""
    return StageServer()


def run_stage(prepare: str, inputs: Inputs, *, limits: Limits, beat: Beat) -> Outcome:
    """Runs ``prepare`` (``module:name``) in a process of its own. ``beat(step, percent)`` is called at every tick; what
    it raises ends the process.

    Raises StageFailed, OSError, or what ``beat`` raised. The process and its group are gone then.
    """
    request = Request(prepare=prepare, inputs=inputs, limits=limits)
    (inputs.workdir / REQUEST_FILE).write_bytes(pickle.dumps(request))
    with _process(inputs.workdir) as channel:
        status = _watch(channel, limits, beat)
        if status is not None:
            raise _how_it_ended(status, limits)
    return _outcome(inputs.workdir)


@contextmanager
def _process(workdir: Path) -> Iterator[socket.socket]:
    """The channel to a process that serves the request in ``workdir``. It has ended, or ends, with the body."""
    channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, lifeline = os.pipe()
    with channel:
        try:
            try:
                with far:
                    stage_server().ask(workdir, far, reader)
            finally:
                os.close(reader)
            yield channel
        except BaseException:
            os.close(lifeline)
            _await_end(channel)
            raise
        os.close(lifeline)


def _await_end(channel: socket.socket) -> None:
    """Returns when the process is dead. A server that is frozen or gone cannot tell and is not waited for long."""
    deadline = time.monotonic() + END_SECONDS
    while (left := deadline - time.monotonic()) > 0 and select.select([channel], [], [], left)[0]:
        message = channel.recv(MESSAGE_BYTES)
        if not message or json.loads(message)[0] == "ended":
            return


def _watch(channel: socket.socket, limits: Limits, beat: Beat) -> int | None:
    """Listens until the stage is done, or its process ended without being done: returns the wait status then.

    The stage's time begins when a process has taken it up: waiting for one is not its fault.
    """
    began = time.monotonic()
    step, percent = "", 0.0
    while True:
        if select.select([channel], [], [], TICK_SECONDS)[0]:
            message = channel.recv(MESSAGE_BYTES)
            if not step:
                began = time.monotonic()
            if not message:
                who = "server" if step else "process"
                raise StageFailed(f"the stage {who} was killed from outside", error_class="worker")
            match json.loads(message):
                case ["step", str(step), float(percent) | int(percent)]:
                    pass
                case ["log", dict(fields)]:
                    _log(fields)
                case ["ended", int(status)]:
                    return status
                case ["done"]:
                    return None
        passed = time.monotonic() - began
        if step and passed > limits.seconds:
            raise StageFailed(f"took longer than {limits.seconds:.0f} s at: {step}", error_class="time")
        if not step and passed > START_SECONDS:
            raise StageFailed(f"no process took up the stage within {START_SECONDS:.0f} s", error_class="worker")
        beat(step or "starting", percent)


def _log(fields: dict[str, Any]) -> None:
    """What was logged in the process is logged here."""
    record = logging.makeLogRecord(fields)
    target = logging.getLogger(record.name)
    if target.isEnabledFor(record.levelno):
        target.handle(record)


def _how_it_ended(status: int, limits: Limits) -> StageFailed:
    """Why there is no outcome."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXFSZ:
            return StageFailed(f"wrote a file of more than {limits.file_bytes} bytes", error_class="memory")
        if number == signal.SIGKILL:
            # Nothing in a stage does that to itself: a person, or the kernel when the machine had no memory left.
            return StageFailed("the stage process was killed from outside", error_class="worker")
        return StageFailed(f"the stage process died of signal {signal.Signals(number).name}", error_class="crash")
    if os.waitstatus_to_exitcode(status) == os.EX_IOERR:
        return StageFailed("the stage could not write its outcome: is the disk full?", error_class="transient")
    return StageFailed("the stage process ended without an outcome", error_class="crash")


def _outcome(workdir: Path) -> Outcome:
    content = (workdir / OUTCOME_FILE).read_bytes()
    kind, value = pickle.loads(content)  # noqa: S301 - our own process wrote it a moment ago
    if kind == "outcome":
        assert isinstance(value, Outcome)
        return value
    message, error_class, log, retry_after = value
    raise StageFailed(message, error_class=error_class, log=log, retry_after_seconds=retry_after)
