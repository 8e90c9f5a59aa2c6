"""The predecessor's addresses of batches: upload, start, look."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from aeproject.old_api.base import WORKS, OldAddress, answered, batch_in_short, counts_of, moment
from aeproject.old_api.shapes import (
    OldBatchAnswer,
    OldNewBatch,
    OldNewStart,
    OldStartAnswer,
    OldUploadAnswer,
)
from batches import actions
from batches.intake import judging, opening
from batches.models import Batch, Upload, UploadRow
from jobs.api import checked, person
from jobs.errors import Invalid
from jobs.models import Team
from jobs.teams import operated_teams
from jobs.tokens import Scope

TOO_MANY = "The sheet has too many rows to be judged while you wait: send it to /api/uploads/."


class OldUpload(OldAddress):
    scopes = (Scope.SUBMIT,)
    parser_classes = [MultiPartParser]

    @extend_schema(
        summary="Validate a sheet and open a batch of it (old)",
        request={"multipart/form-data": OldNewBatch},
        responses={
            **answered(OldUploadAnswer, 404, 409),
            400: OpenApiResponse(
                OldUploadAnswer, description="Rows are bad, or the sheet is no sheet: nothing is kept."
            ),
        },
        **WORKS,
    )
    def post(self, request: Request) -> Response:
        """Every row must be good. Files of the asset roots need not be sent; others go into ``files``, repeated."""
        data = checked(OldNewBatch, request, lenient=True)
        user, sheet = person(request), data["csv_file"]
        team = self._team(data.get("team", ""))
        files = [(file.name or "", file) for file in data.get("files", [])]
        upload = opening.preview_upload(user, team, sheet_name=sheet.name, sheet_file=sheet, files=files)
        validation = _validation(upload)
        if upload.state != Upload.PREVIEW or upload.bad:
            failed = f"Batch validation failed: {upload.bad} invalid jobs"
            problem = upload.problem or (TOO_MANY if upload.state != Upload.PREVIEW else failed)
            opening.discard(user, upload)
            return Response({"success": False, "validation": validation, "message": problem}, status=400)
        batch = opening.commit_all(user, upload, again=True)
        return Response(
            {
                "success": True,
                "batch_id": str(batch.pk),
                "validation": {**validation, "batch_id": str(batch.pk)},
                "message": f"Batch created successfully with {upload.good} jobs",
            }
        )

    def _team(self, slug: str) -> Team:
        """The team named, or the only one in which the person is an operator."""
        teams = Team.objects.visible_to(self.request.user)
        if slug:
            team = teams.filter(slug=slug).first()
            if team is None:
                raise Http404(f"Team not found: {slug}")
            return team
        operated = list(teams.filter(pk__in=operated_teams(person(self.request)))[:2])
        if len(operated) > 1:
            raise Invalid("You are an operator in more than one team: send its slug as team.", field="team")
        return operated[0] if operated else _any_team(teams)


def _any_team(teams: QuerySet[Team]) -> Team:
    """A team of somebody who operates none: the intake refuses it with the words for that."""
    team = teams.first()
    if team is None:
        raise Http404("You belong to no team.")
    return team


def _validation(upload: Upload) -> dict[str, Any]:
    """The predecessor's report on a sheet: bad rows with their errors, good ones as jobs."""
    names = judging.judge_names(upload) if upload.state == Upload.PREVIEW else ()
    rows = list(upload.rows.order_by("id"))
    errors = [_bad_row(row, names) for row in rows if not row.good]
    if upload.state != Upload.PREVIEW:
        errors = [
            {"job_id": None, "row": 0, "errors": [upload.problem or "The sheet has too many rows for this address."]}
        ]
    return {
        "valid": not errors,
        "batch_id": None,
        "total_jobs": upload.good + upload.bad,
        "valid_jobs": upload.good,
        "invalid_jobs": upload.bad,
        "errors": errors,
        "warnings": [],
        "jobs": [_good_row(row, names) for row in rows if row.good],
    }


def _bad_row(row: UploadRow, names: tuple[str, ...]) -> dict[str, Any]:
    cells = judging.cells_of(row, names)
    words = [f"{column}: {message}" if column else message for column, message, _where in row.errors]
    return {"job_id": cells.get("job_id") or f"Row {row.line}", "row": row.line, "errors": words}


def _good_row(row: UploadRow, names: tuple[str, ...]) -> dict[str, Any]:
    cells = judging.cells_of(row, names)
    optional = {name: cells.get(name) or None for name in ("client_name", "project_name", "notes")}
    required = {name: cells[name] for name in ("job_id", "psd_path", "aepx_path", "output_name")}
    return {**required, **optional, "priority": (cells.get("priority") or "medium").lower()}


class OldStart(OldAddress):
    scopes = (Scope.SUBMIT,)

    @extend_schema(
        summary="Start a batch (old)", request=OldNewStart, responses=answered(OldStartAnswer, 400, 404, 409), **WORKS
    )
    def post(self, request: Request, batch_id: str) -> Response:
        """Nobody waits: the jobs are queued when the answer comes, so nothing has succeeded or failed yet."""
        batch = self.batch(batch_id)
        started = actions.start(person(request), batch, first=checked(OldNewStart, request, lenient=True)["max_jobs"])
        result = {"processed": started, "succeeded": 0, "failed": 0, "job_results": {}}
        return Response(
            {
                "success": True,
                "batch_id": str(batch.pk),
                "result": result,
                "message": f"Queued {started} jobs: their states tell how they go on",
            }
        )


class OldBatch(OldAddress):
    @extend_schema(summary="A batch (old)", responses=answered(OldBatchAnswer, 404), **WORKS)
    def get(self, request: Request, batch_id: str) -> Response:
        batch = self.batch(batch_id)
        stages, states = counts_of(batch.jobs.all())
        left_out = batch.upload.bad if batch.upload else 0
        total = sum(states.values())
        return Response(
            {
                "success": True,
                "batch": {
                    **batch_in_short(batch, total),
                    "csv_filename": batch.upload.sheet.name if batch.upload else "",
                    "total_jobs": total + left_out,
                    "invalid_jobs": left_out,
                    "validated_at": moment(batch.created_at),
                    "completed_at": moment(_completed_at(batch)),
                },
                "stage_counts": stages,
                "status_counts": states,
            }
        )


def _completed_at(batch: Batch) -> datetime | None:
    """When the last of the jobs ended; None while one is open."""
    ends = list(batch.jobs.order_by(F("finished_at").desc(nulls_first=True)).values_list("finished_at", flat=True)[:1])
    return ends[0] if ends else None
