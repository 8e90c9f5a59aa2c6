"""``POST /api/jobs/`` and ``POST /api/jobs/batch/``: jobs without a sheet, their files as multipart or as base64."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from batches.intake.upload import Sent
from batches.models import Batch
from batches.serializers import BatchSerializer
from batches.submission import MOST_JOBS, Wanted, submit
from jobs.api import DecisionParser, PriorityField, answers, checked, person, words_field
from jobs.models import PRIORITY_NAMES, Team
from jobs.tokens import Scope
from review import api
from review.serializers import JobSerializer

SUBMITTING = frozenset({"create", "submit_batch"})
CELLS = ("job_id", "psd_path", "output_name", "client_name", "project_name", "notes")


class InlineFileSerializer(serializers.Serializer[Any]):
    """A file inside the JSON."""

    name = serializers.CharField(max_length=250)
    base64 = serializers.CharField(help_text="Its bytes.")

    def validate_base64(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise serializers.ValidationError("This is no base64.") from None


INLINE = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 250}, "base64": {"type": "string"}},
    "required": ["name", "base64"],
}


@extend_schema_field({"oneOf": [{"type": "string", "format": "binary"}, INLINE]})
class FileOrInline(serializers.Field[Any, Any, Any, Any]):
    """A part of a multipart body, or ``{"name", "base64"}`` in JSON. Becomes (name, readable); never shown."""

    def to_internal_value(self, data: Any) -> Sent:
        if hasattr(data, "read"):
            return data.name or "", data
        inline = InlineFileSerializer(data=data)
        inline.is_valid(raise_exception=True)
        return inline.validated_data["name"], io.BytesIO(inline.validated_data["base64"])


class JobFieldsSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField(required=False, max_length=1000, help_text="Made of the design's name without it.")
    output_name = serializers.CharField(required=False, max_length=1000, help_text="<job_id>.aep without it.")
    psd_path = serializers.CharField(required=False, max_length=1000, help_text="Below the asset roots.")
    project_path = serializers.CharField(required=False, max_length=1000, help_text="Below the asset roots.")
    client_name = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    project_name = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    notes = words_field(required=False, allow_blank=True)
    priority = PriorityField(required=False)


class BatchFieldsSerializer(serializers.Serializer[Any]):
    team = serializers.SlugField(help_text="The team's slug.")
    name = serializers.CharField(required=False, allow_blank=True, default="", max_length=1000)
    start = serializers.BooleanField(required=False, default=True, help_text="false: somebody starts it later.")


class NewJobSerializer(JobFieldsSerializer, BatchFieldsSerializer):
    """One job. The design and the project: as a file, or as a path below the asset roots."""

    psd = FileOrInline(required=False)
    project = FileOrInline(required=False)


class NewJobsSerializer(BatchFieldsSerializer):
    """Either ``jobs`` with what they need (JSON), or ``files``: a job for each design, all with one project."""

    jobs = serializers.ListField(child=JobFieldsSerializer(), required=False, min_length=1, max_length=MOST_JOBS)
    files = serializers.ListField(
        child=FileOrInline(),
        required=False,
        help_text=f"Designs, and what else the jobs call by name; at most {MOST_JOBS}.",
    )
    project = FileOrInline(required=False)
    project_path = serializers.CharField(required=False, max_length=1000, help_text="For all jobs without their own.")

    def validate_files(self, files: list[Sent]) -> list[Sent]:
        if len(files) > MOST_JOBS:
            raise serializers.ValidationError(f"{len(files)} files were sent; at most {MOST_JOBS} go into a request.")
        return files


class SubmittedSerializer(serializers.Serializer[Any]):
    batch = BatchSerializer()
    jobs = JobSerializer(many=True)


class JobDoor(api.JobDoor):
    """Jobs, and the submission of new ones."""

    scopes = (Scope.SUBMIT,)

    @extend_schema(
        summary="Submit a job",
        request={"application/json": NewJobSerializer, "multipart/form-data": NewJobSerializer},
        responses=answers({201: SubmittedSerializer}, 400, 403, 404, 409, 413),
    )
    def create(self, request: Request) -> Response:
        """It gets a batch of its own."""
        data = checked(NewJobSerializer, request)
        sent = {kind: data[kind] for kind in ("psd", "project") if kind in data}
        cells = _cells(data, {kind: name for kind, (name, _file) in sent.items()})
        return self._submit(request, data, [Wanted(cells=cells)], list(sent.values()))

    @extend_schema(
        summary="Submit jobs",
        request={"application/json": NewJobsSerializer, "multipart/form-data": NewJobsSerializer},
        responses=answers({201: SubmittedSerializer}, 400, 403, 404, 409, 413),
    )
    @action(detail=False, methods=["post"], url_path="batch", url_name="batch", scopes=(Scope.SUBMIT,))
    def submit_batch(self, request: Request) -> Response:
        """All of them into one batch, or none."""
        data = checked(NewJobsSerializer, request)
        files: list[Sent] = data.get("files", [])
        shared = {"project_path": data["project_path"]} if "project_path" in data else {}
        names = {}
        if "project" in data:
            names["project"] = data["project"][0]
        if "jobs" in data:
            wanted = [Wanted(cells=_cells({**shared, **job}, names)) for job in data["jobs"]]
        else:
            wanted = [Wanted(cells=_cells(shared, {**names, "psd": name})) for name, _file in files]
        return self._submit(request, data, wanted, [*files, *([data["project"]] if "project" in data else [])])

    def _submit(self, request: Request, data: dict[str, Any], wanted: list[Wanted], files: list[Sent]) -> Response:
        team = get_object_or_404(Team.objects.visible_to(request.user), slug=data["team"])
        batch = submit(person(request), team, wanted, files=files, name=data["name"], start=data["start"])
        context = self.get_serializer_context()
        opened = Batch.objects.select_related("team", "created_by").get(pk=batch.pk)
        jobs = self.get_queryset().filter(batch=batch).order_by("row_line", "id")
        return Response(
            {
                "batch": BatchSerializer(opened, context=context).data,
                "jobs": JobSerializer(jobs, many=True, context=context).data,
            },
            status=201,
        )

    def at_conflict(self) -> dict[str, Any]:
        return {} if self.action in SUBMITTING else super().at_conflict()

    def get_parsers(self) -> list[BaseParser]:
        asked = getattr(self, "action_map", None) or {}
        return [DecisionParser(), MultiPartParser()] if SUBMITTING & set(asked.values()) else super().get_parsers()


def _cells(data: dict[str, Any], sent: dict[str, str]) -> dict[str, str]:
    """The cells of a sheet's row: files that were sent go by their names, the others by their paths."""
    cells = {name: str(data[name]) for name in CELLS if data.get(name)}
    if "psd" in sent:
        cells["psd_path"] = sent["psd"]
    if project := data.get("project_path") or sent.get("project"):
        cells["aepx_path"] = project
    if "priority" in data:
        cells["priority"] = PRIORITY_NAMES[data["priority"]]
    return cells
