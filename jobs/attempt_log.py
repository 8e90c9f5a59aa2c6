"""The log of one attempt: what the worker and the stage's process said, kept with the attempt in the database.

Both write to one file in the work directory: the worker its log lines, the stage's process also whatever Python or a C
library prints. The end of the file goes into ``Attempt.log``.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db import Error

from jobs.compiled import Update, given
from jobs.log_context import bound_ids
from jobs.models import Attempt

logger = logging.getLogger(__name__)

MOST_BYTES = 100_000
FILE_NAME = "attempt.log"
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


_LOGGED = Update(
    lambda: Attempt.objects.filter(pk=given(Attempt, "id"), log=""), lambda: {"log": given(Attempt, "log")}
)


class _AttemptHandler(logging.FileHandler):
    """Takes the lines of one attempt, whoever else logs in this process."""

    def __init__(self, path: Path, attempt: str) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(FORMAT))
        self.addFilter(lambda record: bound_ids().get("attempt") == attempt)

    def handleError(self, record: logging.LogRecord) -> None:
        """A log is worth less than the work: a full disk loses lines of it."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def kept_log(attempt_id: int, workdir: Path) -> Iterator[None]:
    """Writes what is logged in the body for the attempt into the work directory, and at its end into the row."""
    handler = _AttemptHandler(workdir / FILE_NAME, str(attempt_id))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        _keep(attempt_id, read_log(workdir))


def _keep(attempt_id: int, text: str) -> None:
    """A log is worth less than the work: a database that is away loses it."""
    try:
        if _LOGGED(id=attempt_id, log=text.strip()[-MOST_BYTES:]):
            return
        # It failed, and its end holds a traceback.
        attempts = Attempt.objects.filter(pk=attempt_id)
        traceback = attempts.values_list("log", flat=True).first() or ""
        attempts.update(log=f"{text}\n{traceback}".strip()[-MOST_BYTES:])
    except Error:
        logger.warning("the log of the attempt could not be kept", exc_info=True)


def read_log(workdir: Path) -> str:
    """The end of an attempt's log; empty when there is none (any more)."""
    try:
        with (workdir / FILE_NAME).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            text = file.read(MOST_BYTES).decode("utf-8", "replace").replace("\0", "")
    except OSError:
        return ""
    return text if size <= MOST_BYTES else f"… {size - MOST_BYTES} bytes before\n{text}"


def left_log(run_id: int, token: uuid.UUID) -> str:
    """What a worker that was killed on this machine had logged; empty when it was another machine."""
    return read_log(work_dir(run_id, token))


def work_dir(run_id: int, token: uuid.UUID) -> Path:
    return Path(settings.WORK_DIR) / f"run-{run_id}-{token.hex}"


def take_output(workdir: Path) -> bool:
    """In the stage's process: all that it prints goes to the attempt's log, and log lines to our console as well.

    False when nobody keeps a log: the stage is run by itself.
    """
    path = workdir / FILE_NAME
    if not path.exists():
        return False
    console = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
            handler.setStream(console)
    log = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # By lines: the process leaves without emptying its buffers.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    return True
