"""The one door through which stored files leave: for the team only, in ranges, shown in place only when harmless."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from batches.answers import CONFLICT
from jobs.models import Asset, Job
from jobs.releases import Release, newest_release
from jobs.states import State
from jobs.storage import CHUNK_BYTES
from jobs.store import Removed, open_asset, refuse_removed, storage_of

SHOWN_IN_PLACE = frozenset({"image/png", "image/jpeg", "video/mp4"})
ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
MOST_DIGITS = 18


@require_safe
def asset_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The content of an asset. Pictures and videos are shown in place, everything else is saved as a file."""
    asset = get_object_or_404(Asset.objects.visible_to(request.user), pk=pk)
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
        span = _span(wanted, asset.size_bytes) if condition == etag else None
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


class BeyondTheEnd(Exception):
    """None of the bytes that were asked for is in the file."""


def _span(header: str, size_bytes: int) -> tuple[int, int] | None:
    """The bytes that were asked for as (start, end), end exclusive. Raises BeyondTheEnd.

    None without a range, with several, or with one that makes no sense: then it is everything, as HTTP has it.
    """
    found = ONE_RANGE.fullmatch(header.strip())
    if found is None or not any(found.groups()) or any(len(digits) > MOST_DIGITS for digits in found.groups()):
        return None
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        start, end = int(first), int(last) + 1 if last else size_bytes
    else:
        start, end = size_bytes - min(int(last), size_bytes), size_bytes
    if start >= size_bytes:
        raise BeyondTheEnd
    return start, min(end, size_bytes)


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
def job_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A ZIP of what a completed job deployed: the newest release, as it lies in the output storage."""
    job = get_object_or_404(Job.objects.visible_to(request.user), pk=pk)
    release = newest_release(job.assets.order_by("id"))
    if job.state != State.DONE or release is None:
        words = f"{job.job_id} is {job.public_state.replace('_', ' ')}: it can be downloaded once it is completed."
        return HttpResponse(words, status=CONFLICT, content_type="text/plain; charset=utf-8")
    missing = [asset.name for asset in release.files if not storage_of(asset).exists(asset.storage_name)]
    if missing:
        raise Http404(f"{', '.join(missing[:3])} is no longer in the storage.")
    response = StreamingHttpResponse(_packed(release), content_type="application/zip")
    name = _file_name(f"{PurePosixPath(job.output_name).stem}.zip")
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response


def _packed(release: Release) -> Iterator[bytes]:
    """The bytes of a ZIP as they come to be. What fails in its middle breaks the answer off: no ZIP ends so."""
    out = _Outgoing()
    with zipfile.ZipFile(cast(IO[bytes], out), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for asset in release.files:
            entry = zipfile.ZipInfo(release.name_in_folder(asset), date_time=asset.created_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            with open_asset(asset) as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    yield out.taken()
    yield out.taken()


class _Outgoing:
    """What a ZIP is written to that goes straight out: nobody can seek in it."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Everything is taken by whoever sends."""

    def taken(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data
