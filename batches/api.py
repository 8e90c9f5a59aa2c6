"""The API of batches, and of the files that may be downloaded."""

from __future__ import annotations

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from batches import actions, listing, verbs
from batches.bundles.plan import KINDS
from batches.downloads import asset_download, bundle_answer
from batches.figures import attach
from batches.forecast import stats_of
from batches.models import Batch, BatchQuerySet
from batches.naming import amend
from batches.progress import progress_of
from batches.rollup import BATCH_STATES
from batches.serializers import (
    AmendBatchSerializer,
    BatchConflictSerializer,
    BatchDoneSerializer,
    BatchProgressSerializer,
    BatchSerializer,
    BatchStatsSerializer,
    PinnedSerializer,
    ReasonSerializer,
    StartedSerializer,
    StartSerializer,
)
from jobs import pauses, retention
from jobs.api import PROBLEMS, Door, PausedSerializer, PauseSerializer, answers, checked, person, record_id
from jobs.api_filters import Filters, MomentFilter, StableOrdering, TextFilter
from jobs.models import PRIORITIES, Asset, Job
from jobs.tokens import Scope

BATCH_CONFLICT = {409: OpenApiResponse(BatchConflictSerializer, description="No job is waiting for its start.")}
ZIP = {(200, "application/zip"): OpenApiTypes.BINARY}
KINDS_ASKED = OpenApiParameter(
    "kinds", str, enum=list(KINDS), many=True, description="Only files of these kinds; all when it is left out."
)
DOWNLOAD = extend_schema(
    summary="Download as a ZIP",
    description="Takes ranges (206, 416) and If-None-Match (304). 409 names the files that are missing.",
    parameters=[KINDS_ASKED],
    responses=answers(ZIP, 400, 404, 409),
)
DONE: dict[str, Any] = {
    "request": ReasonSerializer,
    "responses": answers({200: BatchDoneSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
}


PINNED: dict[str, Any] = {
    "request": None,
    "responses": answers({200: PinnedSerializer, 409: PROBLEMS[409]}, 400, 403, 404),
}


class BatchOrdering(StableOrdering):
    """Orders by figures too, which are derived where they are asked for."""

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        columns = [self.get_ordering_value(one) for one in value or []]
        return super().filter(listing.sortable(cast(BatchQuerySet, qs), *columns), value)


class BatchFilters(Filters):
    team = TextFilter("team__slug", help_text="The team's slug.")
    state = django_filters.ChoiceFilter(choices=[(name, name) for name in BATCH_STATES], method="in_state")
    prefix = TextFilter("prefix", help_text="The customer's prefix.")
    client = TextFilter(method="of_client", help_text="A client that one of the jobs has.")
    priority = django_filters.ChoiceFilter(choices=[(name, name) for name in PRIORITIES], method="of_priority")
    created_by = TextFilter("created_by__username", help_text="Who opened it.")
    external_id = TextFilter(method="with_external_id", help_text="`key`, or `key:value`.")
    archived = django_filters.ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="is_archived")
    search = TextFilter(method="with_words", help_text="Finds text in names, external ids, job_id, output_name.")
    created_after = MomentFilter("created_at", lookup_expr="gte")
    created_before = MomentFilter("created_at", lookup_expr="lt")
    since = django_filters.DateFilter("day", lookup_expr="gte", help_text="The team's day, as in 2025-11-05.")
    until = django_filters.DateFilter("day", lookup_expr="lte")
    ordering = BatchOrdering(
        fields=[*((name, name) for name in ("created_at", "name", "id", "files", "size")), ("state_rank", "state")]
    )

    def in_state(self, batches: BatchQuerySet, name: str, value: str) -> BatchQuerySet:
        return batches.in_state(value)

    def of_client(self, batches: BatchQuerySet, name: str, value: str) -> BatchQuerySet:
        return listing.of_client(batches, value)

    def is_archived(self, batches: BatchQuerySet, name: str, value: str) -> BatchQuerySet:
        return batches.filter(archived_at__isnull=value == "false")

    def of_priority(self, batches: BatchQuerySet, name: str, value: str) -> BatchQuerySet:
        return listing.of_priority(batches, PRIORITIES[value])

    def with_external_id(self, batches: BatchQuerySet, name: str, value: str) -> BatchQuerySet:
        return listing.with_external_id(batches, value)

    def with_words(self, batches: BatchQuerySet, name: str, value: str) -> BatchQuerySet:
        return listing.with_words(batches, value)


@extend_schema_view(list=extend_schema(summary="Batches", responses=answers({200: BatchSerializer(many=True)}, 400)))
class BatchDoor(ListModelMixin, RetrieveModelMixin, Door[Batch]):
    """Batches, their states and counts derived from their jobs. One with its jobs: ``aeproject/batch_detail.py``."""

    queryset = Batch.objects.none()
    serializer_class = BatchSerializer
    filterset_class = BatchFilters
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> BatchQuerySet:
        batches: BatchQuerySet = Batch.objects.visible_to(self.request.user)
        return batches.select_related("team", "created_by").prefetch_related("external_ids").order_by("-id")

    def paginate_queryset(self, queryset: Any) -> Any:
        batches = super().paginate_queryset(queryset)
        attach(batches or [])
        return batches

    def at_conflict(self) -> dict[str, Any]:
        if self.action != "start":
            return {}
        batch = self.get_object()
        verbs = ["start"] if batch.counts["pending"] else []
        return {"state": batch.state, "allowed": verbs, "batch": self.get_serializer(batch).data}

    @extend_schema(summary="Progress of a batch", responses=answers({200: BatchProgressSerializer}, 400, 404))
    @action(detail=True, filterset_class=None, throttle_classes=[])
    def progress(self, request: Request, pk: str) -> Response:
        """Small and cheap, for asking every two seconds: it counts for no limit. Send the ETag as If-None-Match."""
        shown = progress_of(Batch.objects.visible_to(request.user).filter(pk=record_id(pk)))
        if shown is None:
            raise NotFound
        return Response(BatchProgressSerializer(shown).data)

    @extend_schema(
        summary="Start ingestion",
        request=StartSerializer,
        responses=answers({200: StartedSerializer, **BATCH_CONFLICT}, 400, 403, 404, 413),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def start(self, request: Request, pk: str) -> Response:
        """Queues all pending jobs, or the ``first`` so many in the order of the sheet."""
        batch = self.get_object()
        started = actions.start(person(request), batch, first=checked(StartSerializer, request).get("first"))
        return Response({"started": started, "batch": self.get_serializer(self.get_object()).data})

    @extend_schema(
        summary="Pause a batch",
        request=PauseSerializer,
        responses=answers({200: PausedSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def pause(self, request: Request, pk: str) -> Response:
        """No work of the batch is begun until it is resumed; what runs already is finished."""
        reason = checked(PauseSerializer, request)["reason"]
        pauses.pause(person(request), pauses.of_batch(self.get_object()), reason=reason)
        return Response({"paused": True})

    @extend_schema(
        summary="Resume a batch",
        request=None,
        responses=answers({200: PausedSerializer, 409: PROBLEMS[409]}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def resume(self, request: Request, pk: str) -> Response:
        pauses.resume(person(request), pauses.of_batch(self.get_object()))
        return Response({"paused": False})

    @DOWNLOAD
    @action(detail=True, filterset_class=None, pagination_class=None)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        return bundle_answer(request._request, self.get_object())

    @extend_schema(summary="Keep the files of a batch", **PINNED)
    @action(detail=True, methods=["post"], filterset_class=None)
    def pin(self, request: Request, pk: str) -> Response:
        """For operators. They stay, whatever the retention policy says."""
        retention.pin(person(request), self.get_object())
        return Response({"pinned": True})

    @extend_schema(summary="Let the files of a batch go with the policy", **PINNED)
    @action(detail=True, methods=["post"], filterset_class=None)
    def unpin(self, request: Request, pk: str) -> Response:
        retention.unpin(person(request), self.get_object())
        return Response({"pinned": False})

    @extend_schema(
        summary="Change what a batch is called",
        request=AmendBatchSerializer,
        responses=answers({200: BatchSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Another prefix is another directory: the batch takes the next number there."""
        amend(person(request), self.get_object(), **checked(AmendBatchSerializer, request))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Delete a batch",
        request=None,
        responses=answers({204: None, 409: PROBLEMS[409]}, 400, 403, 404),
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """For leads. The batch and its jobs vanish; the history stays. 409 while a job is at work: cancel it first."""
        verbs.act(person(request), self.get_object(), "delete")
        return Response(status=204)

    @extend_schema(summary="Figures of a batch", request=None, responses=answers({200: BatchStatsSerializer}, 400, 404))
    @action(detail=True, filterset_class=None, pagination_class=None)
    def stats(self, request: Request, pk: str) -> Response:
        """``forecast`` is what the machines still have to do of what was started; the time people take is not in it."""
        return Response(BatchStatsSerializer(stats_of(self.get_object())).data)

    def _done(self, request: Request, verb: str) -> Response:
        reason = checked(ReasonSerializer, request)["reason"]
        words = verbs.act(person(request), self.get_object(), verb, reason=reason)
        return Response({"detail": words, "batch": self.get_serializer(self.get_object()).data})

    @extend_schema(summary="Cancel the jobs of a batch that are not over", **DONE)
    @action(detail=True, methods=["post"], filterset_class=None)
    def cancel(self, request: Request, pk: str) -> Response:
        return self._done(request, "cancel")

    @extend_schema(summary="Retry the failed jobs of a batch", **DONE)
    @action(detail=True, methods=["post"], filterset_class=None)
    def retry(self, request: Request, pk: str) -> Response:
        return self._done(request, "retry")

    @extend_schema(summary="Archive a batch", **DONE)
    @action(detail=True, methods=["post"], filterset_class=None)
    def archive(self, request: Request, pk: str) -> Response:
        """Out of the way, and all there. Not while a job is at work."""
        return self._done(request, "archive")

    @extend_schema(summary="Take a batch back from the archive", **DONE)
    @action(detail=True, methods=["post"], filterset_class=None)
    def unarchive(self, request: Request, pk: str) -> Response:
        return self._done(request, "unarchive")


class JobFilesDoor(Door[Job]):
    """The files of a job, together."""

    queryset = Job.objects.none()

    def get_queryset(self) -> QuerySet[Job]:
        return Job.objects.visible_to(self.request.user).select_related("batch")

    def at_conflict(self) -> dict[str, Any]:
        return {"state": self.get_object().public_state, "allowed": []}

    @DOWNLOAD
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        job = self.get_object()
        return bundle_answer(request._request, job.batch, job)


class AssetDoor(Door[Asset]):
    """Files of jobs."""

    queryset = Asset.objects.none()

    def get_queryset(self) -> QuerySet[Asset]:
        return Asset.objects.visible_to(self.request.user).select_related("job")

    @extend_schema(
        summary="Download a file",
        description="Takes ranges (206, 416) and If-None-Match (304).",
        responses=answers({(200, "*/*"): OpenApiTypes.BINARY}, 400, 404),
    )
    @action(detail=True, pagination_class=None)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        # The pages' door: it looks the person up on Django's request, where authentication has put them.
        return asset_download(request._request, record_id(pk))
