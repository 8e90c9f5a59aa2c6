"""The one door through which stored files leave: in ranges, shown in place only when harmless.

Only for the team, and for whoever has a link to the films of a batch (``batches.bundles.share_views``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from batches.answers import CONFLICT, UNPROCESSABLE
from batches.bundles.plan import kinds_of
from batches.bundles.taking import take
from batches.models import Batch
from batches.ranges import BeyondTheEnd, span_of
from jobs.errors import Conflict, Invalid
from jobs.log_context import bind
from jobs.models import Asset, Job
from jobs.storage import CHUNK_BYTES
from jobs.store import Removed, open_asset, refuse_removed

SHOWN_IN_PLACE = frozenset({"image/png", "image/jpeg", "video/mp4"})
PLAIN = "text/plain; charset=utf-8"


@require_safe
def asset_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The content of an asset. Pictures and videos are shown in place, everything else is saved as a file."""
    asset = get_object_or_404(Asset.objects.visible_to(request.user).select_related("job"), pk=pk)
    if asset.job is not None:
        bind(job=asset.job.job_id)
    return asset_answer(request, asset)


def asset_answer(request: HttpRequest, asset: Asset) -> HttpResponseBase:
    """The content of an asset for whoever may have it. Raises Http404 when it is missing in the storage."""
    try:
        refuse_removed(asset)
    except Removed as gone:
        return HttpResponse(str(gone), status=410, content_type="text/plain; charset=utf-8")
    etag = f'"{asset.sha256}"'
    if etag in request.headers.get("If-None-Match", ""):
        return _with_headers(HttpResponse(status=304), asset, etag)
    wanted = request.headers.get("Range", "")
    condition = request.headers.get("If-Range", etag)
    try:
        span = span_of(wanted, asset.size_bytes) if condition == etag else None
    except BeyondTheEnd:
        refusal = HttpResponse(status=416, headers={"Content-Range": f"bytes */{asset.size_bytes}"})
        return _with_headers(refusal, asset, etag)
    start, end = span or (0, asset.size_bytes)
    content = () if request.method == "HEAD" else _Slice(_opened(asset), start, end)
    response: HttpResponseBase = StreamingHttpResponse(content)
    response["Content-Length"] = str(end - start)
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{asset.size_bytes}"
    return _with_headers(response, asset, etag)


def _with_headers(response: HttpResponseBase, asset: Asset, etag: str) -> HttpResponseBase:
    in_place = asset.media_type in SHOWN_IN_PLACE
    response["Content-Type"] = asset.media_type if in_place else "application/octet-stream"
    response["Content-Disposition"] = content_disposition_header(not in_place, _file_name(asset.name)) or "attachment"
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    # Asked for again each time: who may see it can change, the content cannot.
    response["Cache-Control"] = "private, no-cache"
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    return response


def _file_name(name: str) -> str:
    plain = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "_", plain) or "file"


def _opened(asset: Asset) -> IO[bytes]:
    try:
        return open_asset(asset)
    except FileNotFoundError:
        raise Http404(f"{asset.name} is no longer in the storage.") from None


class _Slice:
    """Bytes start to end of a file, in chunks. Closes the file when the answer is over, sent or not."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file = file
        self._left = end - start
        file.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0 and (chunk := self._file.read(min(CHUNK_BYTES, self._left))):
            self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()


@require_safe
def batch_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A ZIP of the batch's files, of all kinds or those in ``kinds``."""
    return _bundle(request, get_object_or_404(Batch.objects.visible_to(request.user), pk=pk))


@require_safe
def job_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A ZIP of the job's files, of all kinds or those in ``kinds``."""
    job = get_object_or_404(Job.objects.visible_to(request.user).select_related("batch"), pk=pk)
    bind(job=job.job_id)
    return _bundle(request, job.batch, job)


def _bundle(request: HttpRequest, batch: Batch, job: Job | None = None) -> HttpResponseBase:
    try:
        return bundle_answer(request, batch, job)
    except Conflict as error:
        return HttpResponse(str(error), status=CONFLICT, content_type=PLAIN)
    except Invalid as error:
        return HttpResponse(str(error), status=UNPROCESSABLE, content_type=PLAIN)


def bundle_answer(request: HttpRequest, batch: Batch, job: Job | None = None) -> HttpResponseBase:
    """The ZIP of ``kinds``. Raises Invalid for kinds that there are not, Conflict when it cannot be packed."""
    assert isinstance(request.user, User)
    return take(request, batch, job, kinds_of(request.GET.getlist("kinds")), user=request.user)
