"""``Idempotency-Key``: what is sent twice happens once, and the second request gets the answer of the first.

Follows draft-ietf-httpapi-idempotency-key-header. A key counts for one person, with tokens of one reach, at one
address. The row of the key is the lock: its primary key lets one of two requests at the same time be first, in any
number of processes. A key whose request died is free again after ``HELD_SECONDS``; answers are kept for
``IDEMPOTENCY_HOURS``, encrypted with the key that was sent, of which we keep a digest alone: an answer may hold a
secret that is shown once (docs/decisions/0017).
"""

from __future__ import annotations

import hashlib
import uuid
import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db.models.functions import Now
from django.http import HttpResponse, HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import clock
from jobs.encryption import WrongKey, seal, unseal
from jobs.models import IdempotentRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MOST_KEY_CHARACTERS = 255
HELD_SECONDS = 600
COMPARED_HEADERS = ("Upload-Length", "Upload-Metadata", "If-Match")
KEPT_HEADERS = (
    "Content-Type", "Cache-Control", "Location", "ETag", "Content-Disposition", "Tus-Resumable", "Upload-Expires",
)  # fmt: skip
NOT_KEPT = frozenset({401, 403, 408, 423, 429})
"""Beside 5xx: answers that say that the same request may well succeed later."""
SWEPT_AT_ONCE = 1_000


class Answered(Exception):
    """The request has its answer before it was done: it was done already, or must not be done now."""

    def __init__(self, response: HttpResponseBase) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(frozen=True)
class Held:
    """A key that is ours until the request has its answer."""

    row: IdempotentRequest
    key: str


class Idempotent(APIView):
    """A view whose methods take an ``Idempotency-Key``."""

    idempotent_methods = METHODS
    _held: Held | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request, *args, **kwargs)  # whatever its key is like
        if HEADER in request.headers and request.method in self.idempotent_methods and isinstance(request.user, User):
            self.claim_key(request, request.user, fingerprint(request))

    def claim_key(self, request: Request, user: User, fingerprint: str) -> None:
        """Makes the request's key, if it has one, this person's until the answer. Raises Answered, ValidationError."""
        key = request.headers.get(HEADER)
        if key is not None:
            self._held = claim(user, key, key_digest(request, user, key), fingerprint)

    def handle_exception(self, exc: Exception) -> Any:
        return exc.response if isinstance(exc, Answered) else super().handle_exception(exc)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except BaseException:
            if self._held is not None:
                release(self._held)
            raise
        if self._held is not None:
            if isinstance(response, Response):
                response.render()
            keep(self._held, response)
        return response


def key_digest(request: Request, user: User, key: str) -> str:
    """What names a key of a person at an address. Raises a ValidationError for what cannot be a key."""
    if not 0 < len(key) <= MOST_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise ValidationError({HEADER: [f"A key has 1 to {MOST_KEY_CHARACTERS} printable ASCII characters."]})
    digest = hashlib.sha256()
    # A token that can do less gets no answer that one that can do more was given.
    scopes = ",".join(sorted(getattr(request.auth, "scopes", ())))
    for part in (str(user.pk), scopes, str(request.method), request.path, key):
        _add(digest, part.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def fingerprint(request: Request) -> str:
    """The SHA-256 of what is asked for. Of a multipart body the parts count, not the boundary between them."""
    digest = hashlib.sha256()
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    headers = [request.headers.get(name, "") for name in COMPARED_HEADERS]
    for part in (request.META.get("QUERY_STRING", ""), kind, *headers):
        _add(digest, part.encode("utf-8", "surrogateescape"))
    if kind != "multipart/form-data":
        _add(digest, request._request.body)
        return digest.hexdigest()
    parts: Any = request.data
    for name, values in sorted(parts.lists()):
        for value in values:
            _add(digest, name.encode("utf-8", "surrogatepass"))
            _add_value(digest, value)
    return digest.hexdigest()


def _add(digest: Any, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "big"))
    digest.update(part)


def _add_value(digest: Any, value: Any) -> None:
    if not isinstance(value, UploadedFile):
        _add(digest, str(value).encode("utf-8", "surrogatepass"))
        return
    _add(digest, (value.name or "").encode("utf-8", "surrogatepass"))
    digest.update((value.size or 0).to_bytes(8, "big"))
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)


def claim(user: User, key: str, digest: str, fingerprint: str) -> Held:
    """Makes the key ours until the answer is kept. Raises Answered when the request was done, or must not be done."""
    until = Now() + timedelta(seconds=HELD_SECONDS)
    mine = IdempotentRequest(digest=digest, user=user, fingerprint=fingerprint, holder=uuid.uuid4(), held_until=until)
    rows = IdempotentRequest.objects.filter(digest=digest)
    rows.filter(created_at__lt=clock.now() - retention()).delete()
    IdempotentRequest.objects.bulk_create([mine], ignore_conflicts=True)
    row = rows.first()
    if row is None:
        raise Answered(_refusal("Another request with this key ended just now. Send it again.", "in_progress", wait=1))
    if row.holder == mine.holder:
        return Held(mine, key)
    if row.fingerprint != fingerprint:
        raise Answered(_refusal("This key was used for another request. Take a new key for every request.", "used"))
    if row.status is not None:
        raise Answered(_replay(Held(row, key)))
    lapsed = rows.filter(holder=row.holder, status=None, held_until__lt=Now())
    if lapsed.update(holder=mine.holder, held_until=until):
        return Held(mine, key)
    raise Answered(_refusal("A request with this key is being worked on.", "in_progress", wait=1))


def keep(held: Held, response: HttpResponseBase) -> None:
    """Keeps the answer for whoever repeats the request, or lets go of the key when the request may be done again."""
    if response.status_code >= 500 or response.status_code in NOT_KEPT:
        release(held)
        return
    # A stream would have to be read whole; nothing that changes something is answered by one.
    content = response.content if isinstance(response, HttpResponse) else None
    body = None if content is None else seal(zlib.compress(content, 1), shared=held.key)
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    _ours(held).update(status=response.status_code, headers=headers, body=body)


def release(held: Held) -> None:
    _ours(held).delete()


def _ours(held: Held) -> Any:
    return IdempotentRequest.objects.filter(digest=held.row.digest, holder=held.row.holder, status=None)


def _replay(held: Held) -> HttpResponseBase:
    row = held.row
    try:
        packed = None if row.body is None else unseal(bytes(row.body), shared=held.key)
    except WrongKey:  # DATA_KEYS were changed since
        packed = None
    if packed is None:
        where = f" What came of it is at {row.headers['Location']}." if "Location" in row.headers else ""
        return _refusal(f"This was done and answered {row.status}; the answer cannot be read any more.{where}", "done")
    headers = {**row.headers, REPLAYED: "true"}
    return HttpResponse(zlib.decompress(packed), status=row.status, headers=headers)


def _refusal(words: str, state: str, *, wait: int | None = None) -> Response:
    headers = None if wait is None else {"Retry-After": str(wait)}
    return Response({"detail": words, "state": state, "allowed": []}, status=409, headers=headers)


def retention() -> timedelta:
    return timedelta(hours=settings.IDEMPOTENCY_HOURS)


def forget_old() -> int:
    """Removes keys older than the retention, so many at once. Returns how many."""
    old = IdempotentRequest.objects.filter(created_at__lt=clock.now() - retention())
    gone, _ = IdempotentRequest.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:SWEPT_AT_ONCE])).delete()
    return gone


# The schema -----------------------------------------------------------------------------------------------------------
def describe(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Hook of drf-spectacular: names the header, and the conflict that it may bring, at the operations that take it."""
    components = result.setdefault("components", {})
    components.setdefault("parameters", {})["IdempotencyKey"] = {
        "name": HEADER,
        "in": "header",
        "required": False,
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": MOST_KEY_CHARACTERS,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
        "description": "A key of your own for this request: sent again with it, it is answered but not done again.",
    }
    for path, item in result.get("paths", {}).items():
        for method, operation in item.items():
            if method.upper() in METHODS and (method, path) not in KEYLESS:
                operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
                _add_conflict(operation["responses"])
    return result


KEYLESS = frozenset({("patch", "/api/files/{id}/")})
"""Where the offset tells what was done."""


def _add_conflict(responses: dict[str, Any]) -> None:
    ours = {"$ref": "#/components/schemas/Conflict"}
    conflict = responses.setdefault("409", {"description": f"The {HEADER} was used for another request, or is in use."})
    content = conflict.setdefault("content", {}).setdefault("application/json", {})
    known = content.get("schema")
    content["schema"] = ours if known in (None, ours) else {"anyOf": [known, ours]}
