"""The log of one attempt: what the worker and the stage's process said, kept with the attempt in the database.

Both write to one file in the work directory: the worker log lines, its own and the stage's, the stage's process what
Python or a C library prints. The end of the file goes into ``Attempt.log``.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db import Error

from jobs.compiled import Update, given
from jobs.log_context import bound_ids
from jobs.models import Attempt
from jobs.stage_process import LOG_FILE

logger = logging.getLogger(__name__)

MOST_BYTES = 100_000
MARK_BYTES = 100
"""Of these, for the line that says how much is left out."""
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


class AttemptLog:
    """The log of an attempt that is being made."""

    def __init__(self, attempt_id: int, workdir: Path) -> None:
        self._attempt_id = attempt_id
        self._workdir = workdir
        self._kept: str | None = None

    def read(self) -> str:
        """What was said so far, as it is kept."""
        return read_log(self._workdir).strip()

    def is_kept(self, text: str) -> None:
        """Tells that ``text`` was written with the outcome: ``keep`` writes only when more was said since."""
        self._kept = text

    def keep(self) -> None:
        """A log is worth less than the work: a database that is away loses it."""
        text = self.read()
        if text == self._kept:
            return
        try:
            attempts = Attempt.objects.filter(pk=self._attempt_id)
            if self._kept is not None:
                attempts.update(log=text)
            elif not _LOGGED(id=self._attempt_id, log=text):
                # It failed, and its end holds a traceback.
                traceback = attempts.values_list("log", flat=True).first() or ""
                text = read_log(self._workdir, most=MOST_BYTES - len(traceback) - 1).strip()
                attempts.update(log=f"{text}\n{traceback}".strip())
        except Error:
            logger.warning("the log of the attempt could not be kept", exc_info=True)


@contextmanager
def kept_log(attempt_id: int, workdir: Path) -> Iterator[AttemptLog]:
    """Writes what is logged in the body for the attempt into the work directory, and at its end into the row."""
    handler = _AttemptHandler(workdir / LOG_FILE, str(attempt_id))
    log = AttemptLog(attempt_id, workdir)
    logging.getLogger().addHandler(handler)
    try:
        yield log
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        log.keep()


def read_log(workdir: Path, *, most: int = MOST_BYTES) -> str:
    """The end of an attempt's log, of ``most`` bytes; empty when there is none (any more)."""
    try:
        with (workdir / LOG_FILE).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            kept = size if size <= most else max(0, most - MARK_BYTES)
            file.seek(size - kept)
            text = file.read(kept).decode("utf-8", "replace").replace("\0", "")
    except OSError:
        return ""
    return text if kept == size else f"… {size - kept:,} bytes before\n{text}"


def left_log(run_id: int, token: uuid.UUID) -> str:
    """What a worker that was killed on this machine had logged; empty when it was another machine."""
    return read_log(work_dir(run_id, token))


def work_dir(run_id: int, token: uuid.UUID) -> Path:
    return Path(settings.WORK_DIR) / f"run-{run_id}-{token.hex}"
