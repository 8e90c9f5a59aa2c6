"""How log lines look, and the id of a request on each of them."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from jobs.log_context import NAMES, bound, bound_ids

logger = logging.getLogger("aeproject.requests")

HEADER = "X-Request-ID"
GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ALWAYS = ("request", "job")
TOKEN_IN_PATH = re.compile(r"(?<=/share/)[^/]+")
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class LineFormatter(logging.Formatter):
    """One line an entry, for people. A message cannot begin a line of its own; tracebacks can."""

    def format(self, record: logging.LogRecord) -> str:
        ids = bound_ids()
        shown = " ".join(f"{name}={ids.get(name, '-')}" for name in NAMES if name in ALWAYS or name in ids)
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
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
            "message": record.getMessage(),
            "process": record.process,
            **dict.fromkeys(ALWAYS),
            **bound_ids(),
        }
        trouble = _traceback(self, record)
        if trouble:
            entry["exception"] = trouble
        return json.dumps(entry, ensure_ascii=False)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or (formatter.formatException(record.exc_info) if record.exc_info else "")]
    parts.append(formatter.formatStack(record.stack_info) if record.stack_info else "")
    return "\n".join(part for part in parts if part)


class RequestLog:
    """Middleware: an id for the request, taken from whoever sent one, on every line and on the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        with bound(request=request_id):
            began = time.monotonic()
            response = self._get_response(request)
            response[HEADER] = request_id
            if request.path not in PROBES and not request.path.startswith(settings.STATIC_URL):
                took_ms = (time.monotonic() - began) * 1000
                path = TOKEN_IN_PATH.sub("...", request.path)
                logger.info("%s %s %d %.0f ms", request.method, path, response.status_code, took_ms)
        return response
