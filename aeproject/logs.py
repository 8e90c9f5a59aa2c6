"""The id of a request on each of its log lines."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from jobs.log_context import bound, bound_ids
from jobs.log_lines import META

logger = logging.getLogger("aeproject.requests")

HEADER = "X-Request-ID"
GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
TOKEN_IN_PATH = re.compile(r"(?<=/share/)[^/]+")
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """Middleware: an id for the request, taken from whoever sent one, on every line and on the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        with bound(request=request_id):
            request.META[META] = bound_ids()
            began = time.monotonic()
            response = self._get_response(request)
            request.META[META] = bound_ids()
            response[HEADER] = request_id
            if request.path not in PROBES and not request.path.startswith(settings.STATIC_URL):
                took_ms = (time.monotonic() - began) * 1000
                path = TOKEN_IN_PATH.sub("...", request.path)
                logger.info("%s %s %d %.0f ms", request.method, path, response.status_code, took_ms)
        return response
