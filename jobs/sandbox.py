"""Runs a stage in a child process with limits on time, memory and file size, killed with its parent.

Stages hand foreign bytes to C libraries: those may hang, crash or eat memory. The child is a fork of the worker, so
that the heavy imports are paid once; it touches no database and leaves through ``os._exit``.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import pickle
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

from jobs.attempt_log import take_output
from jobs.parentage import PR_SET_PDEATHSIG
from jobs.stages.base import Inputs, Outcome, Prepare
from rendering.errors import FormatError

TICK_SECONDS = 0.25
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # found here, once, not in every child

ErrorClass = Literal["file", "transient", "worker", "rate", "memory", "time", "bug", "crash"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    seconds: float
    memory_bytes: int
    file_bytes: int


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


def run_stage(prepare: Prepare, inputs: Inputs, *, limits: Limits, beat: Callable[[str, float], None]) -> Outcome:
    """Runs ``prepare`` in a child. ``beat(step, percent)`` is called at every tick; what it raises ends the child.

    Raises StageFailed, or whatever ``beat`` raised, after the child and its process group are gone.
    """
    reader, writer = os.pipe()
    outcome_file = inputs.workdir / "outcome.pickle"
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(prepare, inputs, limits, writer, outcome_file, parent)
    os.close(writer)
    try:
        status = _watch(pid, reader, limits, beat)
    except BaseException:
        _kill(pid)
        raise
    finally:
        os.close(reader)
    return _outcome(status, outcome_file, limits)


def _watch(pid: int, reader: int, limits: Limits, beat: Callable[[str, float], None]) -> int:
    """Waits for the child; returns its wait status."""
    deadline = time.monotonic() + limits.seconds
    step, percent, rest = "starting", 0.0, b""
    while True:
        ready, _, _ = select.select([reader], [], [], TICK_SECONDS)
        if ready:
            chunk = os.read(reader, 65536)
            if not chunk:
                return os.waitpid(pid, 0)[1]
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                step, percent = json.loads(lines[-1])
        if time.monotonic() > deadline:
            raise StageFailed(f"took longer than {limits.seconds:.0f} s at: {step}", error_class="time")
        beat(step, percent)


def _kill(pid: int) -> None:
    """Ends the child with everything it started. The child leads its own process group."""
    for end in (os.killpg, os.kill):
        try:
            end(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(pid, 0)


def _outcome(status: int, outcome_file: Path, limits: Limits) -> Outcome:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXFSZ:
            raise StageFailed(f"wrote a file of more than {limits.file_bytes} bytes", error_class="memory")
        if number == signal.SIGKILL:
            # Nothing in a stage does that to itself: a person, or the kernel when the machine had no memory left.
            raise StageFailed("the stage process was killed from outside", error_class="worker")
        raise StageFailed(f"the stage process died of signal {signal.Signals(number).name}", error_class="crash")
    if os.waitstatus_to_exitcode(status) == os.EX_IOERR:
        raise StageFailed("the stage could not write its outcome: is the disk full?", error_class="transient")
    if not outcome_file.exists():
        raise StageFailed("the stage process ended without an outcome", error_class="crash")
    kind, value = pickle.loads(outcome_file.read_bytes())  # noqa: S301 - our own child wrote it a moment ago
    if kind == "outcome":
        assert isinstance(value, Outcome)
        return value
    message, error_class, log = value
    raise StageFailed(message, error_class=error_class, log=log)


def _child(prepare: Prepare, inputs: Inputs, limits: Limits, writer: int, outcome_file: Path, parent: int) -> NoReturn:
    """The whole life of the child process."""
    code = 1
    try:
        _confine(limits, parent)
        # What libraries put into temporary files goes with the work directory, whoever is killed.
        tempfile.tempdir = os.environ["TMPDIR"] = str(inputs.workdir)
        is_logged = take_output(inputs.workdir)
        said = ""

        def report(step: str, percent: float) -> None:
            nonlocal said
            if is_logged and step != said:
                print(f"{datetime.now(UTC):%H:%M:%S} {step}")
            said = step
            os.write(writer, json.dumps([step, round(percent, 1)]).encode() + b"\n")

        result = _attempt(prepare, inputs, report)
        content = pickle.dumps(result)
        code = os.EX_IOERR
        fresh = outcome_file.with_suffix(".tmp")
        fresh.write_bytes(content)
        fresh.rename(outcome_file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _confine(limits: Limits, parent: int) -> None:
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before it could take us with it
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.NOTSET)


def _attempt(prepare: Prepare, inputs: Inputs, report: Callable[[str, float], None]) -> tuple[str, Any]:
    """("outcome", Outcome) or ("error", (message, class, log)). The one broad ``except`` of the pipeline."""
    try:
        return "outcome", prepare(inputs, report)
    except FormatError as error:
        return "error", (str(error), "file", "")
    except MemoryError:
        return "error", ("the stage needed more memory than it may have", "memory", traceback.format_exc())
    except OSError as error:
        return "error", (f"{type(error).__name__}: {error}", "transient", traceback.format_exc())
    except Exception as error:
        return "error", (f"{type(error).__name__}: {error}", "bug", traceback.format_exc())
