"""A ZIP on its way: exact length, ranges, constant memory; looked through before the first byte, broken off rather than
wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from batches.bundles.layout import Entry
from batches.bundles.plan import Bundle, StoredFile
from batches.ranges import BeyondTheEnd, span_of
from jobs.errors import Conflict
from jobs.storage import AtomicFileSystemStorage, storage_named

logger = logging.getLogger(__name__)

LOOKS_AT_ONCE = 16
MOST_NAMED = 3


@dataclass(frozen=True)
class Sending:
    """What goes out: bytes ``start`` to ``end`` (exclusive)."""

    bundle: Bundle
    start: int
    end: int


Sent = Callable[[int], None]
"""Told how many bytes were handed over, when the answer is over, complete or not."""


def answer(request: HttpRequest, bundle: Bundle, *, began: Callable[[Sending], Sent] | None = None) -> HttpResponseBase:
    """The ZIP, or the part of it that was asked for. Raises Conflict when a file of it is missing or cut off.

    ``began`` is called before the first byte (not for HEAD).
    """
    etag, size = f'"{bundle.etag}"', bundle.layout.size_bytes
    if etag in request.headers.get("If-None-Match", ""):
        return _with_headers(HttpResponse(status=304), bundle, etag)
    try:
        whole = request.headers.get("If-Range", etag) != etag
        span = None if whole else span_of(request.headers.get("Range", ""), size)
    except BeyondTheEnd:
        refusal = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        return _with_headers(refusal, bundle, etag)
    check(bundle)
    start, end = span or (0, size)
    sending = Sending(bundle, start, end)
    head = request.method == "HEAD"
    response = StreamingHttpResponse(() if head else _Outgoing(sending, began(sending) if began else None))
    response["Content-Length"] = str(end - start)
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return _with_headers(response, bundle, etag)


def _with_headers(response: HttpResponseBase, bundle: Bundle, etag: str) -> HttpResponseBase:
    response["Content-Type"] = "application/zip"
    response["Content-Disposition"] = content_disposition_header(True, bundle.file_name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    # Asked for again each time: who may have it can change. Nobody on the way may pack it again: its length is told.
    response["Cache-Control"] = "private, no-cache, no-transform"
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    return response


class _Outgoing:
    """The chunks of an answer. Whatever ends it, ``sent`` is told how far it came."""

    def __init__(self, sending: Sending, sent: Sent | None) -> None:
        self._bundle = sending.bundle
        self._chunks = sending.bundle.layout.chunks(sending.start, sending.end)
        self._sent = sent
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                yield chunk
                self._size += len(chunk)
        except OSError as error:
            # The connection ends before the length that was told: no client takes that for a whole ZIP.
            logger.error("%s is broken off after %d bytes: %s", self._bundle.file_name, self._size, error)
            raise

    def close(self) -> None:
        self._chunks.close()
        if self._sent is not None:
            self._sent(self._size)
            self._sent = None


def check(bundle: Bundle) -> None:
    """Every file is there and has its size. Raises Conflict that names those that have not."""
    stored = [entry for entry in bundle.entries if isinstance(entry.source, StoredFile)]
    near = [entry for entry in stored if _is_near(entry)]
    problems = [words for words in map(_problem, near) if words]
    if len(near) < len(stored):
        far = [entry for entry in stored if not _is_near(entry)]
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            problems += [words for words in pool.map(_problem, far) if words]
    if problems:
        more = f" And {len(problems) - MOST_NAMED} more." if len(problems) > MOST_NAMED else ""
        cure = "Leave out its kind of files, or have the job processed again."
        raise Conflict(f"{' '.join(problems[:MOST_NAMED])}{more} {cure}", state="incomplete")


def _file(entry: Entry) -> StoredFile:
    assert isinstance(entry.source, StoredFile)
    return entry.source


def _is_near(entry: Entry) -> bool:
    return isinstance(storage_named(_file(entry).storage), AtomicFileSystemStorage)


def _problem(entry: Entry) -> str | None:
    try:
        size = _file(entry).size()
    except FileNotFoundError:
        return f"{entry.path} is no longer in the storage."
    except OSError as error:
        return f"{entry.path} cannot be read: {error}."
    if size != entry.size_bytes:
        return f"{entry.path} has {size} bytes in the storage, not {entry.size_bytes}."
    return None
