"""The API of stage 0: uploads with their preview, batches, and the files that may be downloaded."""

from __future__ import annotations

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from batches import actions, listing, verbs
from batches.bundles.plan import KINDS
from batches.downloads import asset_download, bundle_answer
from batches.figures import attach
from batches.forecast import stats_of
from batches.intake import opening
from batches.intake.judging import judge_names
from batches.intake.repeats import Repeated
from batches.intake.sent import add, sent_files
from batches.models import Batch, BatchQuerySet, Upload
from batches.naming import amend
from batches.progress import progress_of
from batches.rollup import BATCH_STATES
from batches.serializers import (
    CHOICE_GOOD,
    AmendBatchSerializer,
    BatchConflictSerializer,
    BatchDoneSerializer,
    BatchProgressSerializer,
    BatchSerializer,
    BatchStatsSerializer,
    CommitConflictSerializer,
    CommitSerializer,
    NewUploadSerializer,
    ReasonSerializer,
    RowSerializer,
    SentFilesSerializer,
    SentUploadSerializer,
    StartedSerializer,
    StartSerializer,
    UploadChangeSerializer,
    UploadSerializer,
)
from jobs import pauses
from jobs.api import PROBLEMS, Door, PausedSerializer, PauseSerializer, answers, checked, person, record_id
from jobs.api_filters import MomentFilter, StableOrdering, TextFilter
from jobs.models import PRIORITIES, Asset, Job, Team
from jobs.tokens import Scope

CSV = {(200, "text/csv"): OpenApiTypes.STR}
BATCH_CONFLICT = {409: OpenApiResponse(BatchConflictSerializer, description="No job is waiting for its start.")}
COMMIT_CONFLICT = {
    409: OpenApiResponse(CommitConflictSerializer, description="Committed already, or the same sheet was lately.")
}
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
ONLY_BAD = OpenApiParameter("only", str, enum=["bad"], description="bad: the rows with errors alone.")
ONLY = OpenApiParameter("only", str, enum=["good", "bad"], description="The rows of one verdict alone.")


@extend_schema_view(
    retrieve=extend_schema(
        summary="Preview of an upload", parameters=[ONLY_BAD], responses=answers({200: UploadSerializer}, 400, 404)
    )
)
class UploadDoor(RetrieveModelMixin, Door[Upload]):
    """Sheets on their way to a batch: upload, preview, commit."""

    queryset = Upload.objects.none()
    serializer_class = UploadSerializer
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[Upload]:
        uploads = Upload.objects.visible_to(self.request.user)
        return uploads.select_related("team", "sheet", "batch").prefetch_related("files")

    def at_conflict(self) -> dict[str, Any]:
        upload = Upload.objects.filter(pk=record_id(self.kwargs["pk"])).first()
        if upload is None:
            return {"state": "discarded", "allowed": []}
        allowed = ["check", "discard"] if upload.state in Upload.STILL else []
        if upload.state == Upload.PREVIEW:
            allowed.insert(1, "commit")
        return {"state": upload.state, "allowed": allowed}

    @extend_schema(
        summary="Upload a sheet and preview it",
        request={"multipart/form-data": NewUploadSerializer, "application/json": SentUploadSerializer},
        responses=answers({201: UploadSerializer}, 400, 403, 404),
    )
    def create(self, request: Request) -> Response:
        """A large sheet comes back in the state ``judging``: a worker goes on, poll it for its ``progress``."""
        data = checked(NewUploadSerializer, request)
        team = get_object_or_404(Team.objects.visible_to(request.user), slug=data["team"])
        user = person(request)
        files = [(file.name or "", file) for file in data.get("files", [])]
        arrived = sent_files(user, team, data.get("file_ids", []))
        how: dict[str, Any] = {
            "files": files,
            "arrived": arrived,
            "tab": data["sheet_name"],
            "given": data.get("mapping"),
        }
        if sheet := data.get("sheet"):
            upload = opening.preview_upload(user, team, sheet_name=sheet.name, sheet_file=sheet, **how)
        else:
            upload = opening.preview_files(user, team, **how)
        return Response(self.get_serializer(upload).data, status=201)

    @extend_schema(
        summary="Add files that were sent",
        request=SentFilesSerializer,
        responses=answers({200: UploadSerializer}, 400, 403, 404, 409, 413),
    )
    @action(detail=True, methods=["post"])
    def files(self, request: Request, pk: str) -> Response:
        """Files of ``/api/files/``; the rows are judged anew."""
        upload, user = self.get_object(), person(request)
        add(user, upload, sent_files(user, upload.team, checked(SentFilesSerializer, request).get("file_ids", [])))
        opening.check_again(user, upload)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Change the mapping or the sheet",
        request=UploadChangeSerializer,
        responses=answers({200: UploadSerializer}, 400, 403, 404, 409, 413),
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """The rows are judged anew."""
        upload = self.get_object()
        data = checked(UploadChangeSerializer, request)
        opening.check_again(person(request), upload, given=data.get("mapping"), tab=data.get("sheet_name"))
        return Response(self.get_serializer(upload).data)

    @extend_schema(summary="Discard an upload", responses=answers({204: None}, 400, 403, 404, 409))
    def destroy(self, request: Request, pk: str) -> Response:
        opening.discard(person(request), self.get_object())
        return Response(status=204)

    @extend_schema(
        summary="Judge the rows anew", request=None, responses=answers({200: UploadSerializer}, 400, 403, 404, 409)
    )
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """For when files were put into the asset roots, or jobs were opened, since the preview."""
        upload = opening.check_again(person(request), self.get_object())
        return Response(self.get_serializer(upload).data)

    @extend_schema(
        summary="The rows of an upload",
        parameters=[ONLY],
        responses=answers({200: RowSerializer(many=True)}, 400, 404),
    )
    @action(detail=True)
    def rows(self, request: Request, pk: str) -> Response:
        """Page by page, in the order of the sheet."""
        upload = self.get_object()
        rows = upload.rows.order_by("id")
        if (only := request.query_params.get("only")) in {"good", "bad"}:
            rows = rows.filter(good=only == "good")
        page = self.paginate_queryset(rows)  # type: ignore[arg-type]
        context = {**self.get_serializer_context(), "names": judge_names(upload)}
        return self.get_paginated_response(RowSerializer(page, many=True, context=context).data)

    @extend_schema(
        summary="Open a batch of the rows",
        request=CommitSerializer,
        responses=answers(
            {
                201: BatchSerializer,
                **COMMIT_CONFLICT,
                202: OpenApiResponse(UploadSerializer, description="A large sheet: a worker opens the batch."),
            },
            400,
            403,
            404,
            413,
        ),
    )
    @action(detail=True, methods=["post"])
    def commit(self, request: Request, pk: str) -> Response:
        """Poll the upload after 202: in the state ``committed`` it has its ``batch``."""
        upload = self.get_object()
        data = checked(CommitSerializer, request)
        commit = opening.commit_good_rows if data["rows"] == CHOICE_GOOD else opening.commit_all
        try:
            batch = commit(person(request), upload, name=data["name"], again=data["again"])
        except Repeated as error:
            raise Repeated(error.batch, how=' Send "again": true to make another one.') from None
        if batch.opening:
            return Response(self.get_serializer(upload).data, status=202)
        return Response(BatchSerializer(batch, context=self.get_serializer_context()).data, status=201)

    @extend_schema(summary="The rows with errors, as CSV", responses=answers(CSV, 400, 404))
    def bad_rows(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The sheet's own columns and one more, ``error``: correct it and send it again."""
        upload = self.get_object()
        name = f"{upload.sheet.name.rpartition('.')[0] or upload.sheet.name} - rows with errors.csv"
        disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
        headers = {"Content-Disposition": disposition}
        data = opening.bad_rows_csv(upload)
        return StreamingHttpResponse(data, content_type="text/csv; charset=utf-8", headers=headers)

    def get_parsers(self) -> Any:
        asked = getattr(self, "action_map", None) or {}
        return [MultiPartParser(), *super().get_parsers()] if "create" in asked.values() else super().get_parsers()


class BatchOrdering(StableOrdering):
    """Orders by figures too, which are derived where they are asked for."""

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        columns = [self.get_ordering_value(one) for one in value or []]
        return super().filter(listing.sortable(cast(BatchQuerySet, qs), *columns), value)


class BatchFilters(django_filters.FilterSet):  # type: ignore[misc]
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


@extend_schema_view(
    list=extend_schema(summary="Batches", responses=answers({200: BatchSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A batch", responses=answers({200: BatchSerializer}, 400, 404)),
)
class BatchDoor(ListModelMixin, RetrieveModelMixin, Door[Batch]):
    """Batches, their states and counts derived from their jobs."""

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
        return Asset.objects.visible_to(self.request.user)

    @extend_schema(
        summary="Download a file",
        description="Takes ranges (206, 416) and If-None-Match (304).",
        responses=answers({(200, "*/*"): OpenApiTypes.BINARY}, 400, 404),
    )
    @action(detail=True, pagination_class=None)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        # The pages' door: it looks the person up on Django's request, where authentication has put them.
        return asset_download(request._request, record_id(pk))
