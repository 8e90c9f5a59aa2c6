"""The API of linked sheets. What is read of one is an upload: its changes are looked at and applied there."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from batches.links import linking
from batches.links.models import LinkedSheet
from batches.links.serializers import AmendLinkSerializer, LinkedSheetSerializer, NewLinkSerializer
from batches.models import Batch
from jobs.api import Door, answers, checked, person
from jobs.errors import Invalid
from jobs.models import Team
from jobs.tokens import Scope

READING = OpenApiResponse(LinkedSheetSerializer, description="A worker reads it. Poll it until `is_reading` is false.")


@extend_schema_view(
    list=extend_schema(summary="Linked sheets", responses=answers({200: LinkedSheetSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A linked sheet", responses=answers({200: LinkedSheetSerializer}, 400, 404)),
)
class LinkedSheetDoor(ListModelMixin, RetrieveModelMixin, Door[LinkedSheet]):
    """Google Sheets that batches follow."""

    queryset = LinkedSheet.objects.none()
    serializer_class = LinkedSheetSerializer
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[LinkedSheet]:
        links = LinkedSheet.objects.visible_to(self.request.user)
        return links.select_related("team", "batch", "created_by")

    @extend_schema(
        summary="Link a Google Sheet",
        request=NewLinkSerializer,
        responses=answers({202: READING}, 400, 403, 404, 409, 413),
    )
    def create(self, request: Request) -> Response:
        """With a ``batch`` its rows are compared with the jobs; else a batch is opened by committing its ``upload``."""
        data = checked(NewLinkSerializer, request)
        team = get_object_or_404(Team.objects.visible_to(request.user), slug=data["team"])
        linked = linking.link(
            person(request),
            team,
            url=data["url"],
            range_=data["range"],
            mapping=data.get("mapping"),
            batch=self._batch(team, data["batch"]) if "batch" in data else None,
        )
        return Response(self.get_serializer(linked).data, status=202)

    def _batch(self, team: Team, pk: int) -> Batch:
        batch = Batch.objects.visible_to(self.request.user).filter(team=team, pk=pk).first()
        if batch is None:
            raise Invalid(f"{pk} is no batch of the team {team.name}.", field="batch")
        return batch

    @extend_schema(
        summary="Change polling and what is written back",
        request=AmendLinkSerializer,
        responses=answers({200: LinkedSheetSerializer}, 400, 403, 404, 413),
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        data: dict[str, Any] = checked(AmendLinkSerializer, request)
        columns = {field: data[field] for field in linking.COLUMN_FIELDS if field in data}
        linked = linking.amend(
            person(request),
            self.get_object(),
            is_polling=data.get("is_polling"),
            poll_minutes=data.get("poll_minutes"),
            columns=columns or None,
        )
        return Response(self.get_serializer(linked).data)

    @extend_schema(summary="Unlink a sheet", responses=answers({204: None}, 400, 403, 404))
    def destroy(self, request: Request, pk: str) -> Response:
        """Batch, jobs and the sheet itself stay as they are."""
        linking.remove(person(request), self.get_object())
        return Response(status=204)

    @extend_schema(summary="Read a linked sheet now", request=None, responses=answers({202: READING}, 400, 403, 404))
    @action(detail=True, methods=["post"])
    def sync(self, request: Request, pk: str) -> Response:
        """It is compared even when it is the same as before: the jobs may be others. Nothing is applied."""
        linked = linking.sync(person(request), self.get_object())
        return Response(self.get_serializer(linked).data, status=202)
