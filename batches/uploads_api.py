"""The API of sheets on their way to a batch: upload, preview, commit."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from batches.answers import XLSX_TYPE, csv_answer, sample_answer
from batches.google import taking
from batches.intake import bad_rows, opening
from batches.intake.judging import judge_names
from batches.intake.repeats import Repeated
from batches.intake.sample import Template, known_template
from batches.intake.sent import add, sent_files
from batches.models import Batch, SheetChange, Upload
from batches.serializers import (
    CHOICE_GOOD,
    BatchSerializer,
    CommitConflictSerializer,
    CommitSerializer,
    NewUploadSerializer,
    RowSerializer,
    SentFilesSerializer,
    SentUploadSerializer,
    UploadChangeSerializer,
    UploadSerializer,
)
from batches.updates import applying
from batches.updates.serializers import ApplySerializer, SheetChangeSerializer
from jobs.api import Door, answers, checked, person, record_id
from jobs.errors import Invalid
from jobs.models import Team
from jobs.tokens import Scope

CSV = {(200, "text/csv"): OpenApiTypes.STR}
XLSX = {(200, XLSX_TYPE): OpenApiTypes.BINARY}
COMMIT_CONFLICT = {
    409: OpenApiResponse(CommitConflictSerializer, description="Committed already, or the same sheet was lately.")
}
ONLY_BAD = OpenApiParameter("only", str, enum=["bad"], description="bad: the rows with errors alone.")
OF_TEAM = OpenApiParameter("team", str, description="The slug of the team whose template it is.")
OF_TEMPLATE = OpenApiParameter("template", str, description="The name of a template that a job of the team had.")
KIND = OpenApiParameter("kind", str, enum=list(SheetChange.KINDS), description="Changes of one kind alone.")
ONLY = OpenApiParameter("only", str, enum=["good", "bad"], description="The rows of one verdict alone.")


class UploadDoor(RetrieveModelMixin, Door[Upload]):
    """Sheets on their way to a batch: upload, preview, commit."""

    queryset = Upload.objects.none()
    serializer_class = UploadSerializer
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[Upload]:
        uploads = Upload.objects.visible_to(self.request.user)
        return uploads.select_related("team", "sheet", "batch", "updates__upload").prefetch_related("files")

    @extend_schema(
        summary="Preview of an upload", parameters=[ONLY_BAD], responses=answers({200: UploadSerializer}, 400, 404)
    )
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        _chosen(request, ONLY_BAD)
        return super().retrieve(request, *args, **kwargs)

    def at_conflict(self) -> dict[str, Any]:
        if "pk" not in self.kwargs:
            return {}  # there is no upload yet: the conflict is the batch's that it is for
        upload = Upload.objects.filter(pk=record_id(self.kwargs["pk"])).first()
        if upload is None:
            return {"state": "discarded", "allowed": []}
        allowed = ["check", "discard"] if upload.state in Upload.STILL else []
        if upload.state == Upload.PREVIEW:
            allowed.insert(1, "commit" if upload.updates_id is None else "apply")
        return {"state": upload.state, "allowed": allowed}

    @extend_schema(
        summary="Upload a sheet and preview it",
        request={"multipart/form-data": NewUploadSerializer, "application/json": SentUploadSerializer},
        responses=answers({201: UploadSerializer}, 400, 403, 404, 409, 503),
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
            "given": data.get("mapping"),
            "updates": self._batch(team, data["updates"]) if "updates" in data else None,
        }
        if data["url"]:
            upload = taking.preview(user, team, url=data["url"], range_=data["range"], **how)
        elif sheet := data.get("sheet"):
            tab = data["sheet_name"]
            upload = opening.preview_upload(user, team, sheet_name=sheet.name, sheet_file=sheet, tab=tab, **how)
        else:
            upload = opening.preview_files(user, team, tab=data["sheet_name"], **how)
        return Response(self.get_serializer(upload).data, status=201)

    def _batch(self, team: Team, pk: int) -> Batch:
        batch = Batch.objects.visible_to(self.request.user).filter(team=team, pk=pk).first()
        if batch is None:
            raise Invalid(f"{pk} is no batch of the team {team.name}.", field="updates")
        return batch

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
        summary="Change the mapping, the sheet or the header row",
        request=UploadChangeSerializer,
        responses=answers({200: UploadSerializer}, 400, 403, 404, 409, 413),
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """The rows are judged anew."""
        upload = self.get_object()
        data = checked(UploadChangeSerializer, request)
        how = {"given": data.get("mapping"), "tab": data.get("sheet_name"), "header_row": data.get("header_row")}
        opening.check_again(person(request), upload, **how)
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
        if only := _chosen(request, ONLY):
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

    @extend_schema(
        summary="A sample sheet, as CSV", parameters=[OF_TEAM, OF_TEMPLATE], responses=answers(CSV, 400, 404)
    )
    def sample(self, request: Request) -> StreamingHttpResponse:
        """Every column with two example rows; with a template of the team a column for each of its slots."""
        return sample_answer(self._template(request), "csv")

    @extend_schema(
        summary="A sample sheet, as XLSX", parameters=[OF_TEAM, OF_TEMPLATE], responses=answers(XLSX, 400, 404)
    )
    def sample_workbook(self, request: Request) -> StreamingHttpResponse:
        """As the CSV; all cells are texts, and the titles have notes that say what belongs below them."""
        return sample_answer(self._template(request), "xlsx")

    def _template(self, request: Request) -> Template | None:
        name = request.query_params.get("template", "")
        if not name:
            return None
        teams = Team.objects.visible_to(request.user)
        return known_template(get_object_or_404(teams, slug=request.query_params.get("team", "")), name)

    @extend_schema(
        summary="What a newer sheet would change",
        parameters=[KIND],
        responses=answers({200: SheetChangeSerializer(many=True)}, 400, 404),
    )
    @action(detail=True)
    def changes(self, request: Request, pk: str) -> Response:
        """Page by page. Rows that say what their jobs say already are not among them."""
        changes = self.get_object().changes.order_by("id")
        if kind := _chosen(request, KIND):
            changes = changes.filter(kind=kind)
        page = self.paginate_queryset(changes)  # type: ignore[arg-type]
        return self.get_paginated_response(SheetChangeSerializer(page, many=True).data)

    @extend_schema(
        summary="Apply a newer sheet to its batch",
        request=ApplySerializer,
        responses=answers(
            {
                200: UploadSerializer,
                202: OpenApiResponse(UploadSerializer, description="Many rows: a worker applies them."),
            },
            400,
            403,
            404,
            409,
            413,
        ),
    )
    @action(detail=True, methods=["post"])
    def apply(self, request: Request, pk: str) -> Response:
        """Each change says in ``/changes/`` what became of it. Poll the upload after 202."""
        data = checked(ApplySerializer, request)
        upload = applying.apply(
            person(request), self.get_object(), new=data["new"], changed=data["changed"], cancel=data["cancel"]
        )
        status = 200 if upload.state == Upload.COMMITTED else 202
        return Response(self.get_serializer(self.get_object()).data, status=status)

    @extend_schema(summary="The rows with errors, as CSV", responses=answers(CSV, 400, 404))
    def bad_rows(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The sheet's own columns and one more, ``error``: correct it and send it again."""
        upload = self.get_object()
        name = f"{upload.sheet.name.rpartition('.')[0] or upload.sheet.name} - rows with errors.csv"
        return csv_answer(bad_rows.bad_rows_csv(upload), name)

    def get_parsers(self) -> Any:
        asked = getattr(self, "action_map", None) or {}
        return [MultiPartParser(), *super().get_parsers()] if "create" in asked.values() else super().get_parsers()


def _chosen(request: Request, parameter: OpenApiParameter) -> str | None:
    """One of the values that the parameter has; None when it is left out. Raises Invalid for any other."""
    value = request.query_params.get(parameter.name)
    values = [str(known) for known in parameter.enum or ()]
    if value is not None and value not in values:
        raise Invalid(f"There is no “{value[:20]}”. There are: {', '.join(values)}.", field=parameter.name)
    return value
