"""How answers of the API travel: 304 when the asker has them already, and gzip.

Every GET of the API has a weak ETag over its content, so that whoever polls pays for a change alone. Only text is
compressed, never files. An answer that holds a secret says ``no-store``: it has no ETag and is not compressed, and
neither are pages, whose forms hold secrets beside what others may have sent (BREACH); Django pads what is compressed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers

PATH = "/api/"
READING = ("GET", "HEAD")
COMPRESSED_TYPES = ("application/json", "application/jsonl", "application/vnd.oai.openapi", "text/csv", "text/html")


class ApiAnswers:
    """Middleware for everything below ``/api/``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._gzip = GZipMiddleware(self._get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not request.path.startswith(PATH):
            return response
        if "no-store" in response.get("Cache-Control", ""):
            return response
        if request.method in READING:
            response = _only_if_new(request, response)
        if _is_text(response):
            return self._gzip.process_response(request, response)
        return response


def _only_if_new(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer with its ETag, or 304 when that is the one that the asker sent in If-None-Match."""
    if response.status_code != 200 or not isinstance(response, HttpResponse):
        return response
    if "ETag" not in response:
        response["ETag"] = f'W/"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    patch_vary_headers(response, ["Authorization", "Cookie"])
    if "Cache-Control" not in response:
        patch_cache_control(response, private=True, no_cache=True)
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def _is_text(response: HttpResponseBase) -> bool:
    kind = response.get("Content-Type", "").partition(";")[0]
    return kind in COMPRESSED_TYPES and response.status_code == 200 and "Content-Range" not in response
