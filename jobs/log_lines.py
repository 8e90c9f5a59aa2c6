"""How log lines look, in every process: of the web server, of the workers and of what they start. Knows no Django."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from jobs.log_context import NAMES, bound_ids

ALWAYS = ("request", "job")
META = "aeproject.ids"
"""Where a request keeps its ids. No header that somebody sends gets such a name."""
TOKEN_IN_WORDS = re.compile(r"(?<=/share/)[\w.-]{40,}", re.ASCII)
"""In what others log: Django names the address of a request that it refuses or that crashes."""


class LineFormatter(logging.Formatter):
    """One line an entry, for people. A message cannot begin a line of its own; tracebacks can."""

    def format(self, record: logging.LogRecord) -> str:
        ids = _ids(record)
        shown = " ".join(f"{name}={ids.get(name, '-')}" for name in NAMES if name in ALWAYS or name in ids)
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        message = _message(record).replace("\r", "\\r").replace("\n", "\\n")
        line = f"{at}Z {record.levelname} {record.name} [{shown}] {message}"
        trouble = _traceback(self, record)
        return f"{line}\n{trouble}" if trouble else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            "process": record.process,
            **dict.fromkeys(ALWAYS),
            **_ids(record),
        }
        trouble = _traceback(self, record)
        if trouble:
            entry["exception"] = trouble
        return json.dumps(entry, ensure_ascii=False)


FORMATTERS = {"line": LineFormatter, "json": JsonFormatter}
"""By the values of LOG_FORMAT."""


def chosen_formatter() -> logging.Formatter:
    """For processes without Django's settings, which refuse a wrong value and name it."""
    return FORMATTERS.get(os.environ.get("LOG_FORMAT", "").strip().lower(), LineFormatter)()


def _ids(record: logging.LogRecord) -> Mapping[str, str]:
    """Django names refused requests after they left all middleware, and gives them along."""
    kept: Mapping[str, str] = getattr(getattr(record, "request", None), "META", {}).get(META, {})
    return bound_ids() or kept


def _message(record: logging.LogRecord) -> str:
    return TOKEN_IN_WORDS.sub("...", record.getMessage())


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or (formatter.formatException(record.exc_info) if record.exc_info else "")]
    parts.append(formatter.formatStack(record.stack_info) if record.stack_info else "")
    return "\n".join(part for part in parts if part)
