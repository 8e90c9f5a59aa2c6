"""The API of links for people without an account, and of who took what."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from batches.bundles.models import Download, ShareLink
from batches.bundles.plan import KINDS, kinds_of
from batches.bundles.sharing import MOST_NOTE_CHARACTERS, revoke, share
from batches.models import Batch
from jobs.api import MOST_ID, PROBLEMS, Door, NamedChoice, answers, checked, person
from jobs.api_filters import Filters, IdFilter, MomentFilter, TextFilter
from jobs.models import Job
from jobs.tokens import Scope


class KindField(NamedChoice):
    """A kind of files in a download."""

    def __init__(self, **options: Any) -> None:
        super().__init__(KINDS, component="FileKind", **options)


class ShareSerializer(serializers.ModelSerializer[ShareLink]):
    """A link. Its address, which opens it, was shown when it was made, and is kept nowhere."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    kinds = serializers.ListField(child=KindField(), read_only=True)
    state = NamedChoice(("open", "expired", "revoked"), component="ShareState", read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    revoked_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = ShareLink
        fields: tuple[str, ...] = (
            "id", "team", "batch", "job", "kinds", "note", "state", "created_by", "created_at", "expires_at",
            "revoked_by", "revoked_at",
        )  # fmt: skip
        read_only_fields = fields


class FreshShareSerializer(ShareSerializer):
    """A new link, with its address."""

    address = serializers.URLField(read_only=True, help_text="Shown this once. Whoever has it may download.")

    class Meta(ShareSerializer.Meta):
        fields = (*ShareSerializer.Meta.fields, "address")
        read_only_fields = fields


class NewShareSerializer(serializers.Serializer[Any]):
    """Of a ``batch``, or of one ``job``: one of the two."""

    batch = serializers.IntegerField(required=False, min_value=0, max_value=MOST_ID)
    job = serializers.IntegerField(required=False, min_value=0, max_value=MOST_ID)
    days = serializers.IntegerField(min_value=1, max_value=settings.SHARE_MAX_DAYS, help_text="How long it is good.")
    kinds = serializers.ListField(
        child=KindField(), required=False, min_length=1, max_length=len(KINDS), help_text="All when left out."
    )
    note = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=MOST_NOTE_CHARACTERS, help_text="Who it is for."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if ("batch" in data) == ("job" in data):
            raise serializers.ValidationError({"batch": ["Name a batch, or a job: one of the two."]})
        return data


class ShareFilters(Filters):
    team = TextFilter("team__slug", help_text="The team's slug.")
    batch = IdFilter("batch")
    job = IdFilter("job")


@extend_schema_view(
    list=extend_schema(summary="Links", responses=answers({200: ShareSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A link", responses=answers({200: ShareSerializer}, 400, 404)),
)
class ShareDoor(ListModelMixin, RetrieveModelMixin, Door[ShareLink]):
    """Links for people without an account, newest first."""

    queryset = ShareLink.objects.none()
    serializer_class = ShareSerializer
    filterset_class = ShareFilters
    scopes = (Scope.SUBMIT, Scope.REVIEW)

    def get_queryset(self) -> QuerySet[ShareLink]:
        links = ShareLink.objects.visible_to(self.request.user)
        return links.select_related("team", "batch", "job", "created_by", "revoked_by").order_by("-id")

    @extend_schema(
        summary="Make a link",
        request=NewShareSerializer,
        responses=answers({201: FreshShareSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    def create(self, request: Request) -> Response:
        """For operators and approvers. The answer shows the address, once."""
        data = checked(NewShareSerializer, request)
        job = None
        if "job" in data:
            job = get_object_or_404(Job.objects.visible_to(request.user).select_related("batch__team"), pk=data["job"])
        batches = Batch.objects.visible_to(request.user).select_related("team")
        batch = job.batch if job is not None else get_object_or_404(batches, pk=data["batch"])
        kinds = kinds_of(data.get("kinds", []))
        link, token = share(person(request), batch, job, kinds=kinds, days=data["days"], note=data["note"])
        address = request.build_absolute_uri(reverse("share", args=[token]))
        shown = {**self.get_serializer(link).data, "address": address}
        return Response(shown, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(
        summary="Revoke a link", request=None, responses=answers({204: None, 409: PROBLEMS[409]}, 400, 403, 404)
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """For operators and approvers. It opens nothing any more; who took what with it stays."""
        revoke(person(request), self.get_object())
        return Response(status=204)


class DownloadSerializer(serializers.ModelSerializer[Download]):
    """Somebody took a ZIP, or a part of one: a member (``user``), or whoever had the ``link``."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    user = serializers.SlugRelatedField[Any](slug_field="username", read_only=True, allow_null=True)
    kinds = serializers.ListField(child=KindField(), read_only=True)
    is_whole = serializers.BooleanField(read_only=True, help_text="Its last byte was handed over.")

    class Meta:
        model = Download
        fields = (
            "id", "team", "batch", "job", "user", "link", "kinds", "size_bytes", "first_byte", "sent_bytes", "is_whole",
            "address", "agent", "began_at", "ended_at",
        )  # fmt: skip
        read_only_fields = fields


class DownloadFilters(ShareFilters):
    link = IdFilter("link")
    after = MomentFilter("began_at", lookup_expr="gte")
    before = MomentFilter("began_at", lookup_expr="lt")


@extend_schema_view(
    list=extend_schema(summary="Who took what", responses=answers({200: DownloadSerializer(many=True)}, 400))
)
class DownloadDoor(ListModelMixin, Door[Download]):
    """Downloads of ZIPs, newest first, as long as they are kept (``DOWNLOAD_LOG_DAYS``)."""

    queryset = Download.objects.none()
    serializer_class = DownloadSerializer
    filterset_class = DownloadFilters

    def get_queryset(self) -> QuerySet[Download]:
        return Download.objects.visible_to(self.request.user).select_related("team", "user").order_by("-id")
