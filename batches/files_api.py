"""``/api/files/``: files that may be sent in pieces and resumed, by the tus protocol, version 1.0.0.

Core, creation, checksum, termination and expiration. What has arrived is named by its id when a sheet is uploaded.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.throttling import BaseThrottle

from batches.intake.upload import check_name
from jobs import sending
from jobs.api import PROBLEMS, Door, NamedChoice, ProblemSerializer, answers, person
from jobs.errors import Invalid
from jobs.limits import TooMany, count_file_request
from jobs.models import SentFile, Team
from jobs.states import Role
from jobs.teams import roles_of
from jobs.tokens import Scope

VERSION = "1.0.0"
EXTENSIONS = "creation,checksum,termination,expiration"
BYTES = "application/offset+octet-stream"
STATES = ("receiving", "complete")
MOST_METADATA_CHARACTERS = 4_000


class WrongVersion(APIException):
    status_code = 412
    default_detail = f"This address speaks tus {VERSION}: send Tus-Resumable: {VERSION}."


class LengthMissing(APIException):
    status_code = 411
    default_detail = "Send the Content-Length of the bytes."


class NoBytes(APIException):
    status_code = 415
    default_detail = f"Bytes of a file are sent as {BYTES}."


class TooLarge(APIException):
    status_code = 413


class InUse(APIException):
    status_code = 423
    wait = 2


class WrongDigest(APIException):
    status_code = 460


class FileLimit(BaseThrottle):
    """Requests about files have a count of their own: a large file takes many."""

    seconds = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, User):
            return True
        try:
            count_file_request(request.user)
        except TooMany as limit:
            self.seconds = limit.retry_after_seconds
            return False
        return True

    def wait(self) -> float:
        return float(self.seconds)


class SentFileSerializer(serializers.ModelSerializer[SentFile]):
    url = serializers.HyperlinkedIdentityField(view_name="api:file-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    user = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    state = serializers.SerializerMethodField()
    sha256 = serializers.CharField(source="asset.sha256", read_only=True, allow_null=True, default=None)

    class Meta:
        model = SentFile
        fields = (
            "id", "url", "name", "team", "user", "state", "size_bytes", "received_bytes", "sha256", "created_at",
            "expires_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(NamedChoice(STATES, component="FileState"))
    def get_state(self, sent: SentFile) -> str:
        """``receiving`` until all bytes are there and put together, then ``complete``."""
        return STATES[sent.asset_id is not None]


def _header(name: str, required: bool, words: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=required, description=words)


RESUMABLE = OpenApiParameter(
    "Tus-Resumable", str, OpenApiParameter.HEADER, required=True, enum=[VERSION], description="The version of tus."
)
BYTE_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
NEW = [
    RESUMABLE,
    OpenApiParameter("Upload-Length", BYTE_COUNT, OpenApiParameter.HEADER, required=True, description="Of the file."),
    _header("Upload-Metadata", True, "tus pairs: filename or relativePath (the name rows may call it), team (slug)."),
]
MORE = [
    RESUMABLE,
    OpenApiParameter(
        "Upload-Offset", BYTE_COUNT, OpenApiParameter.HEADER, required=True, description="Where these bytes begin."
    ),
    _header("Upload-Checksum", False, "sha256 or sha1, a space, the digest in base64; wrong bytes are not kept."),
]
TUS_PROBLEMS = {
    status: OpenApiResponse(ProblemSerializer, description=words)
    for status, words in {
        411: "The Content-Length is missing.",
        412: "Another version of tus.",
        415: f"Not {BYTES}.",
        423: "Another connection adds to the file; Retry-After says when to ask again.",
        460: "The bytes do not have their checksum; none was kept.",
    }.items()
}


@extend_schema_view(
    list=extend_schema(summary="Files that were sent", responses=answers({200: SentFileSerializer(many=True)}, 400)),
    retrieve=extend_schema(
        summary="A file that was sent",
        description="HEAD, with Tus-Resumable, answers with Upload-Offset and Upload-Length.",
        responses=answers({200: SentFileSerializer}, 400, 404),
    ),
)
class FileDoor(ListModelMixin, RetrieveModelMixin, Door[SentFile]):
    """Files, sent in pieces and resumed after a cut (tus 1.0.0), to be used by uploads."""

    queryset = SentFile.objects.none()
    serializer_class = SentFileSerializer
    throttle_classes = [FileLimit]
    scopes = (Scope.SUBMIT,)
    # Whoever sends a file in pieces asks how far it is.
    reading_scopes = (Scope.READ, Scope.SUBMIT)
    # PATCH says by its offset what it is about, and its body is not to be held in memory to compare it.
    idempotent_methods = frozenset({"POST", "DELETE"})

    def get_queryset(self) -> QuerySet[SentFile]:
        return SentFile.objects.visible_to(self.request.user).select_related("team", "user", "asset")

    def get_object(self) -> SentFile:
        try:
            number = uuid.UUID(self.kwargs["pk"])
        except ValueError:
            raise ValidationError({"id": [f"“{self.kwargs['pk'][:40]}” is not the id of a file."]}) from None
        return get_object_or_404(self.get_queryset(), pk=number)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST" and request.headers.get("X-HTTP-Method-Override") in {"PATCH", "DELETE"}:
            request.method = request.headers["X-HTTP-Method-Override"]
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = VERSION
        if response.status_code == WrongVersion.status_code:
            response["Tus-Version"] = VERSION
        return response

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """What of tus is spoken here."""
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.MAX_UPLOAD_BYTES),
            "Tus-Checksum-Algorithm": ",".join(sending.CHECKSUMS),
        }
        return Response(status=204, headers=headers)

    @extend_schema(
        summary="Begin a file",
        request=None,
        parameters=NEW,
        responses=answers({201: SentFileSerializer, 412: TUS_PROBLEMS[412]}, 400, 403, 404, 413),
    )
    def create(self, request: Request) -> Response:
        """The bytes follow by PATCH at the address in ``Location``."""
        _require_version(request)
        size_bytes = _whole(request, "Upload-Length")
        raw = request.headers.get("Upload-Metadata", "")
        metadata = _metadata(raw)
        name = (metadata.get("relativePath") or metadata.get("filename", "")).replace("\\", "/")
        check_name(name)
        team = _team(person(request), metadata.get("team", ""))
        try:
            sent = sending.begin(person(request), team, name=name, size_bytes=size_bytes, metadata=raw)
        except Invalid as error:
            raise TooLarge(str(error)) from None
        shown = self.get_serializer(sent).data
        location = reverse("api:file-detail", [sent.pk], request=request)
        return Response(shown, status=201, headers={"Location": location, **_progress(sent)})

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        sent = self.get_object()
        if request.method != "HEAD":
            return Response(self.get_serializer(sent).data)
        _require_version(request)
        headers = {"Upload-Length": str(sent.size_bytes), "Cache-Control": "no-store", **_progress(sent)}
        if sent.metadata:
            headers["Upload-Metadata"] = sent.metadata
        return Response(headers=headers)

    @extend_schema(
        summary="Add bytes to a file",
        request={BYTES: OpenApiTypes.BINARY},
        parameters=MORE,
        responses=answers({204: None, 409: PROBLEMS[409], **TUS_PROBLEMS}, 400, 403, 404, 413),
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """With the last byte the file is put together, and may be used. After a cut, HEAD tells where to go on."""
        sent = self.get_object()
        sending.require_sender(person(request), sent)
        _require_version(request)
        if request.content_type.partition(";")[0].strip().lower() != BYTES:
            raise NoBytes
        length, offset = _content_length(request), _whole(request, "Upload-Offset")
        checksum = _checksum(request.headers.get("Upload-Checksum"))
        try:
            sending.append(sent, request._request, offset=offset, length=length, checksum=checksum)
        except Invalid as error:
            raise TooLarge(str(error)) from None
        except sending.Locked as error:
            raise InUse(str(error)) from None
        except sending.WrongChecksum as error:
            raise WrongDigest(str(error)) from None
        except sending.Cut as error:
            raise ValidationError({"body": [str(error)]}) from None
        return Response(status=204, headers=_progress(sent))

    @extend_schema(
        summary="Forget a file",
        request=None,
        parameters=[RESUMABLE],
        responses=answers({204: None, 412: TUS_PROBLEMS[412]}, 400, 403, 404),
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """Uploads that use it keep it."""
        sent = self.get_object()
        sending.require_sender(person(request), sent)
        _require_version(request)
        sending.discard(person(request), sent)
        return Response(status=204)


def _progress(sent: SentFile) -> dict[str, str]:
    return {"Upload-Offset": str(sent.received_bytes), "Upload-Expires": http_date(sent.expires_at.timestamp())}


def _require_version(request: Request) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise WrongVersion


def _whole(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ValidationError({header: ["Send a whole number of bytes."]})
    return int(text)


def _content_length(request: Request) -> int:
    text = request.META.get("CONTENT_LENGTH") or ""
    if not (text.isascii() and text.isdecimal()):
        raise LengthMissing
    return int(text)


def _metadata(raw: str) -> dict[str, str]:
    """The pairs of an ``Upload-Metadata``: a key, a space, a text in base64; commas between."""
    found: dict[str, str] = {}
    if len(raw) > MOST_METADATA_CHARACTERS:
        raise ValidationError({"Upload-Metadata": [f"At most {MOST_METADATA_CHARACTERS} characters."]})
    for pair in filter(None, (part.strip() for part in raw.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            raise ValidationError({"Upload-Metadata": [f"“{key[:40]}” is not followed by UTF-8 in base64."]}) from None
    return found


def _checksum(raw: str | None) -> sending.Checksum | None:
    if raw is None:
        return None
    algorithm, _, digest = raw.strip().partition(" ")
    if algorithm not in sending.CHECKSUMS:
        raise ValidationError({"Upload-Checksum": [f"The algorithm is none of {', '.join(sending.CHECKSUMS)}."]})
    try:
        return sending.Checksum(algorithm, base64.b64decode(digest, validate=True))
    except (binascii.Error, ValueError):
        raise ValidationError({"Upload-Checksum": ["The digest is not in base64."]}) from None


def _team(user: User, slug: str) -> Team:
    """The team that the sender names, or the only one in which they are an operator."""
    visible = Team.objects.visible_to(user)
    if slug:
        return get_object_or_404(visible, slug=slug)
    operated = [team for team in visible if Role.OPERATOR in roles_of(user, team)]
    if len(operated) != 1:
        raise ValidationError({"Upload-Metadata": ["Name the team: its slug, in base64, after the key team."]})
    return operated[0]
