"""How much may arrive in one request, before any of it is kept: by what the request says of itself, and as it comes.

Files go to disk as they arrive (Django's upload handlers); every other body is held in memory by whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

MOST_FORM_BYTES = 8 * 2**20
"""What surrounds the files of a form; and all that somebody without an account may send."""
IN_PIECES = "application/offset+octet-stream"
ENTRANCE = "/api/token/"


class BodyLimit:
    """Middleware: refuses a body by its length, with 413, before anybody reads it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        most = _most_bytes(request)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) <= most:
            return self._get_response(request)
        words = f"The request has {int(length) / 2**20:,.1f} MB; at most {most / 2**20:,.1f} MB are allowed."
        if request.path.startswith("/api/"):
            return JsonResponse({"detail": words}, status=413)
        return HttpResponse(words, status=413, content_type="text/plain; charset=utf-8")


def _most_bytes(request: HttpRequest) -> int:
    """Files may have MAX_UPLOAD_BYTES together; in JSON they are base64, and all of it is in memory."""
    if request.path == ENTRANCE:
        return MOST_FORM_BYTES
    if request.content_type == "multipart/form-data":
        return int(settings.MAX_UPLOAD_BYTES) + MOST_FORM_BYTES
    if request.content_type == IN_PIECES:
        return int(settings.MAX_UPLOAD_BYTES)
    return int(settings.MAX_BODY_BYTES)


class FilesOfMembers(FileUploadHandler):
    """Keeps what people without an account send from being spooled: no page of theirs takes files."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        user = getattr(self.request, "user", None)
        if content_length > MOST_FORM_BYTES and not (user and user.is_authenticated):
            raise RequestDataTooBig("Log in before you send files.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The handlers behind this one make the file."""
