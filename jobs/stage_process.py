"""The process of one stage: forked ahead by the stage server, it waits for a request, serves it and ends.

It has limits on time, memory and file size, leads a process group, and ends with its worker and with the server. It
knows no Django and no database, and leaves through ``os._exit``.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import pkgutil
import re
import resource
import select
import signal
import socket
import sys
import tempfile
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from jobs.errors import RateLimited
from jobs.parentage import end_group_with, outlive_parent
from jobs.stages.base import Inputs, Limits, Prepare, Report
from rendering.errors import FormatError

REQUEST_FILE = "request.pickle"
OUTCOME_FILE = "outcome.pickle"
LOG_FILE = "attempt.log"
MOST_LOGGED = 20_000
"""Characters of one log line. A message of a socket must fit into its buffer, some 200 kB."""

NEARLY_ALL = 7 / 8
"""Of the address space that a stage may have: what was refused is missing in what it had."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a worker asks for. ``prepare`` is ``module:name`` of a function that the process can import."""

    prepare: str
    inputs: Inputs
    limits: Limits


def await_request(hub: socket.socket, tell: socket.socket) -> NoReturn:
    """The whole life of the process. Requests come through ``hub``: a work directory, with the channel to the worker
    and its lifeline. The server hears through ``tell`` who took one, and gets the channel, to tell how it ended."""
    code = 1
    try:
        _rehearse()
        workdir, channel = _take(hub)
        socket.send_fds(tell, [str(os.getpid()).encode()], [channel.fileno()])
        for end in (hub, tell):
            end.close()
        code = _serve(workdir, channel)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _rehearse() -> None:
    """Does with nothing what serving a request does, so that its pages are in memory before somebody waits.

    A fork has none of the libraries' pages and may write to none of its own: each comes at its first use, 460 of them.
    """
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        _say(there, "step", "starting", 0.0)
        here.recv(4096)
        _LogToWorker(there)
    nowhere = Path(os.devnull)
    nowhere.read_bytes()
    prepare: Prepare = pkgutil.resolve_name("jobs.stages.nothing:prepare")
    limits = Limits(seconds=0, memory_bytes=resource.RLIM_INFINITY, file_bytes=resource.RLIM_INFINITY)
    pickle.loads(pickle.dumps(limits))  # noqa: S301 - our own
    resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))
    nowhere.write_bytes(pickle.dumps(_attempt(prepare, Inputs.__new__(Inputs), lambda step, percent: None)))


def _take(hub: socket.socket) -> tuple[Path, socket.socket]:
    while True:
        message, ends, _, _ = socket.recv_fds(hub, 4096, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            os._exit(0)  # nobody is left who could ask
        channel, lifeline = ends
        end_group_with(lifeline)
        if not select.select([lifeline], [], [], 0)[0]:
            outlive_parent()
            return Path(os.fsdecode(message)), socket.socket(fileno=channel)
        # Who asked is gone, or asks no more.
        os.close(channel)
        os.close(lifeline)


def _serve(workdir: Path, channel: socket.socket) -> int:
    """The code to exit with."""
    _say(channel, "step", "starting", 0.0)
    request: Request = pickle.loads((workdir / REQUEST_FILE).read_bytes())  # noqa: S301 - our own worker wrote it
    prepare: Prepare = pkgutil.resolve_name(request.prepare)
    _confine(request.limits)
    # What libraries put into temporary files goes with the work directory, whoever is killed.
    tempfile.tempdir = os.environ["TMPDIR"] = str(workdir)
    is_logged = _take_output(workdir)
    logging.getLogger().handlers[:] = [_LogToWorker(channel)]
    said = ""

    def report(step: str, percent: float) -> None:
        nonlocal said
        if is_logged and step != said:
            print(f"{datetime.now(UTC):%H:%M:%S} {step}")
        said = step
        _say(channel, "step", step, round(percent, 1))

    content = pickle.dumps(_attempt(prepare, request.inputs, report))
    fresh = workdir / f"{OUTCOME_FILE}.tmp"
    try:
        fresh.write_bytes(content)
        fresh.rename(workdir / OUTCOME_FILE)
    except OSError:
        traceback.print_exc()
        return os.EX_IOERR
    _say(channel, "done")
    return 0


def _attempt(prepare: Prepare, inputs: Inputs, report: Report) -> tuple[str, Any]:
    """("outcome", Outcome) or ("error", (message, class, log, seconds until the next attempt is allowed or None)).

    The one broad ``except`` of the pipeline.
    """
    try:
        return "outcome", prepare(inputs, report)
    except FormatError as error:
        return "error", (str(error), "file", "", None)
    except RateLimited as error:
        return "error", (str(error), "rate", "", error.retry_after_seconds)
    except MemoryError:
        return "error", (_too_much_memory(), "memory", traceback.format_exc(), None)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            return "error", (_too_much_memory(), "memory", traceback.format_exc(), None)
        return "error", (f"{type(error).__name__}: {error}", "transient", traceback.format_exc(), None)
    except Exception as error:
        if _came_to_the_memory_limit():
            return "error", (_too_much_memory(), "memory", traceback.format_exc(), None)
        return "error", (f"{type(error).__name__}: {error}", "bug", traceback.format_exc(), None)


def _too_much_memory() -> str:
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    return f"the stage needed more memory than the {limit_bytes // 2**20} MiB that it may have (STAGE_MEMORY_BYTES)"


def _came_to_the_memory_limit() -> bool:
    """Whether this process once had nearly all that it may have.

    C libraries that are refused memory seldom say so: x264 reports "generic error in an external library".
    """
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit_bytes == resource.RLIM_INFINITY:
        return False
    found = re.search(r"^VmPeak:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and int(found[1]) * 1024 > limit_bytes * NEARLY_ALL


def _confine(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    # Python ignores this signal: a write would fail as if the disk were in trouble, and be tried again.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# What it says ---------------------------------------------------------------------------------------------------------
def _say(channel: socket.socket, kind: str, *words: object) -> None:
    channel.send(json.dumps([kind, *words], ensure_ascii=False).encode("utf-8", "backslashreplace"))


class _LogToWorker(logging.Handler):
    """What is logged here is logged by the worker, who knows where log lines go, how they look, and whose they are."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__()
        self._channel = channel
        self._traceback = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        trouble = self._traceback.formatException(record.exc_info) if record.exc_info else None
        fields = {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "msg": record.getMessage()[:MOST_LOGGED],
            "created": record.created,
            "msecs": record.msecs,
            "process": record.process,
            "exc_text": trouble and trouble[-MOST_LOGGED:],
        }
        _say(self._channel, "log", fields)


def _take_output(workdir: Path) -> bool:
    """All that is printed here, by Python or a C library, goes to the attempt's log from now on.

    False when nobody keeps a log: the stage is run by itself.
    """
    path = workdir / LOG_FILE
    if not path.exists():
        return False
    log = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # By lines: the process leaves without emptying its buffers.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    return True
