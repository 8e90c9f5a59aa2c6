"""The predecessor's addresses, each a thin alias in its old shape. ``docs/api-migration.md`` maps them to the new ones.

The shapes are those of the predecessor's public repository (edforman-75/aftereffects-automation, October 2025). It knew
no accounts: here a token is needed, and the history names the token's person instead of ``user_id``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.http import Http404
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from aeproject.api_views import Address
from aeproject.old_shapes import (
    OldBatchAnswer,
    OldJobAnswer,
    OldNewBatch,
    OldNewStart,
    OldProblem,
    OldStageAnswer,
    OldStartAnswer,
    OldStatsAnswer,
    OldUploadAnswer,
)
from batches import actions
from batches.figures import attach
from batches.intake import judging, opening
from batches.models import Batch, Upload, UploadRow
from jobs.api import checked, person, record_id
from jobs.errors import Invalid
from jobs.idempotency import Answered
from jobs.models import Event, Job, Team, Warning
from jobs.states import Stage, State, public_state
from jobs.teams import operated_teams
from jobs.tokens import Scope

OLD_PRIORITIES = {"urgent": "high", "normal": "medium"}
"""Ours that the predecessor did not have, in its words."""
DEFAULT_MOST = 100
MOST_JOBS = 1_000
RECENT = 10
LOGGED = 20
LEAVES_STAGE = {"ingest": 1, "approve_matches": 2, "approve_preview": 3, "deploy": 4}
CRITICAL = "critical"
TOO_MANY = "The sheet has too many rows to be judged while you wait: send it to /api/uploads/."
WORKS: Any = {"deprecated": True, "tags": ["old addresses"]}


def addresses() -> list[URLPattern]:
    """Without a slash at the end, as they were."""
    return [
        path("batch/upload", OldUpload.as_view(), name="old-upload"),
        path("batch/<str:batch_id>/start-processing", OldStart.as_view(), name="old-start"),
        path("batch/<str:batch_id>", OldBatch.as_view(), name="old-batch"),
        path("job/<str:job_id>", OldJob.as_view(), name="old-job"),
        path("dashboard/stats", OldStats.as_view(), name="old-stats"),
        path("jobs/stage/<str:stage>", OldStage.as_view(), name="old-stage"),
    ]


def _answers(shape: type[serializers.Serializer[Any]], *problems: int) -> dict[int, Any]:
    return {200: shape, **{status: OpenApiResponse(OldProblem) for status in (*problems, 401, 403, 429)}}


class OldAddress(Address):
    """Errors as they were: ``{"success": false, "error": "..."}`` with the status that the new API gives."""

    takes_fields = False

    def handle_exception(self, error: Exception) -> Any:
        response = super().handle_exception(error)
        if isinstance(error, Answered):
            return response  # what an Idempotency-Key was answered before, in the old shape already
        response.data = {"success": False, "error": _in_words(response.data)}
        return response

    def batch(self, batch_id: str) -> Batch:
        """Raises Http404, in the predecessor's words, for a batch that is not there or another team's."""
        try:
            found = Batch.objects.visible_to(self.request.user).filter(pk=record_id(batch_id))
        except ValidationError:
            found = Batch.objects.none()
        batch = found.select_related("team", "created_by", "upload__sheet").first()
        if batch is None:
            raise Http404(f"Batch not found: {batch_id}")
        return batch


def _in_words(problem: Any) -> str:
    """The first words of an answer of ours: its detail, or what is wrong with the first field."""
    while isinstance(problem, dict | list) and problem:
        first = next(iter(problem.values() if isinstance(problem, dict) else problem))
        problem = problem.get("detail", first) if isinstance(problem, dict) else first
    return str(problem) if problem else "The request could not be answered."


# Batches --------------------------------------------------------------------------------------------------------------
class OldUpload(OldAddress):
    scopes = (Scope.SUBMIT,)
    parser_classes = [MultiPartParser]

    @extend_schema(
        summary="Validate a sheet and open a batch of it (old)",
        request={"multipart/form-data": OldNewBatch},
        responses={
            **_answers(OldUploadAnswer, 404, 409),
            400: OpenApiResponse(
                OldUploadAnswer, description="Rows are bad, or the sheet is no sheet: nothing is kept."
            ),
        },
        **WORKS,
    )
    def post(self, request: Request) -> Response:
        """Every row must be good. Files of the asset roots need not be sent; others go into ``files``, repeated."""
        data = checked(OldNewBatch, request)
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
        summary="Start a batch (old)", request=OldNewStart, responses=_answers(OldStartAnswer, 400, 404, 409), **WORKS
    )
    def post(self, request: Request, batch_id: str) -> Response:
        """Nobody waits: the jobs are queued when the answer comes, so nothing has succeeded or failed yet."""
        batch = self.batch(batch_id)
        started = actions.start(person(request), batch, first=checked(OldNewStart, request)["max_jobs"])
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
    @extend_schema(summary="A batch (old)", responses=_answers(OldBatchAnswer, 404), **WORKS)
    def get(self, request: Request, batch_id: str) -> Response:
        batch = self.batch(batch_id)
        stages, states = _counts(batch.jobs.all())
        left_out = batch.upload.bad if batch.upload else 0
        total = sum(states.values())
        return Response(
            {
                "success": True,
                "batch": {
                    **_batch_in_short(batch, total),
                    "csv_filename": batch.upload.sheet.name if batch.upload else "",
                    "total_jobs": total + left_out,
                    "invalid_jobs": left_out,
                    "validated_at": _moment(batch.created_at),
                    "completed_at": _moment(_completed_at(batch)),
                },
                "stage_counts": stages,
                "status_counts": states,
            }
        )


def _batch_in_short(batch: Batch, total: int) -> dict[str, Any]:
    return {
        "batch_id": str(batch.pk),
        "status": batch.state,
        "total_jobs": total,
        "valid_jobs": total,
        "uploaded_at": _moment(batch.created_at),
        "uploaded_by": batch.created_by.username,
    }


def _completed_at(batch: Batch) -> datetime | None:
    """When the last of the jobs ended; None while one is open."""
    ends = list(batch.jobs.order_by(F("finished_at").desc(nulls_first=True)).values_list("finished_at", flat=True)[:1])
    return ends[0] if ends else None


def _counts(jobs: QuerySet[Job]) -> tuple[dict[str, int], dict[str, int]]:
    """Jobs by the predecessor's stages and by public state; only what there is."""
    stages: dict[str, int] = {}
    states: dict[str, int] = {}
    for stage, state, found in jobs.order_by().values_list("stage", "state").annotate(jobs=Count("pk")):
        old, public = str(_old_stage(stage, state)), public_state(Stage(stage), State(state))
        stages[old] = stages.get(old, 0) + found
        states[public] = states.get(public, 0) + found
    return stages, states


def _old_stage(stage: int, state: str) -> int:
    """Stage 0 was the sheet's validation: a job stayed there until it was started."""
    return 0 if (stage, state) == (Stage.INGESTION, State.PENDING) else int(stage)


# Jobs -----------------------------------------------------------------------------------------------------------------
class OldJob(OldAddress):
    @extend_schema(summary="A job (old)", responses=_answers(OldJobAnswer, 404), **WORKS)
    def get(self, request: Request, job_id: str) -> Response:
        """``job_id`` is that of the sheet. Where jobs of several batches have it, the newest is meant."""
        job = Job.objects.visible_to(request.user).filter(job_id=job_id).order_by("-id").first()
        if job is None:
            raise Http404(f"Job not found: {job_id}")
        open_warnings = list(Warning.objects.filter(job=job, resolution="").order_by("id"))
        return Response(
            {
                "success": True,
                "job": _job(job),
                "stage1_results": job.result_of(Stage.INGESTION),
                "stage2_approved_matches": _approved_matches(job),
                "warnings": {
                    "total": len(open_warnings),
                    "critical": sum(warning.severity == CRITICAL for warning in open_warnings),
                    "list": [_warning(warning) for warning in open_warnings],
                },
                "recent_logs": [_log(event) for event in _newest_events(job)],
            }
        )


def _job(job: Job) -> dict[str, Any]:
    left: dict[int, datetime] = {
        LEAVES_STAGE[verb]: at
        for verb, at in Event.objects.filter(job=job, verb__in=LEAVES_STAGE).order_by("id").values_list("verb", "at")
    }
    projects = job.assets.filter(kind="released_project").order_by("id")
    return {
        **_job_in_short(job),
        "current_stage": _old_stage(job.stage, job.state),
        "psd_path": job.psd_path,
        "aepx_path": job.project_path,
        "final_aep_path": project.storage_name if (project := projects.last()) else None,
        "updated_at": _moment(job.moved_at),
        "stage0_completed_at": _moment(job.created_at),
        **{f"stage{stage}_completed_at": _moment(left.get(stage)) for stage in LEAVES_STAGE.values()},
    }


def _job_in_short(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "batch_id": str(job.batch_id),
        "status": job.public_state,
        "priority": OLD_PRIORITIES.get(job.priority_name, job.priority_name),
        "client_name": job.client_name or None,
        "project_name": job.project_name or None,
        "output_name": job.output_name,
        "created_at": _moment(job.created_at),
    }


def _approved_matches(job: Job) -> list[Any] | None:
    """Which layer fills which slot, once a person has approved it; None before."""
    if job.stage < Stage.PREVIEW:
        return None
    return [*job.matches.order_by("id").values("slot_id", "slot_name", "layer_id", "layer_name", "score")]


def _warning(warning: Warning) -> dict[str, Any]:
    return {
        "warning_id": warning.pk,
        "type": warning.code,
        "severity": warning.severity,
        "message": warning.message,
        "stage": warning.stage,
        "created_at": _moment(warning.created_at),
    }


def _newest_events(job: Job) -> QuerySet[Event]:
    return job.events.select_related("actor").order_by("-id")[:LOGGED]


def _log(event: Event) -> dict[str, Any]:
    return {
        "log_id": event.pk,
        "stage": event.to_stage,
        "action": event.verb,
        "message": event.reason or f"{event.from_public} → {event.to_public}",
        "user_id": event.actor.username if event.actor else "system",
        "created_at": _moment(event.at),
    }


class OldStage(OldAddress):
    @extend_schema(
        summary="Jobs at a stage (old)",
        parameters=[
            OpenApiParameter("stage", int, OpenApiParameter.PATH, enum=[0, *(stage.value for stage in Stage)]),
            OpenApiParameter("batch_id", str),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"At most {MOST_JOBS}; {DEFAULT_MOST} without it."),
        ],
        responses=_answers(OldStageAnswer, 400, 404),
        **WORKS,
    )
    def get(self, request: Request, stage: str) -> Response:
        """The most urgent first, then the oldest. Stage 0: jobs that nobody has started."""
        if stage not in {"0", *(str(known.value) for known in Stage)}:
            raise Http404(f"Stage not found: {stage}")
        unstarted = Q(stage=Stage.INGESTION, state=State.PENDING)
        jobs = Job.objects.visible_to(request.user)
        jobs = jobs.filter(unstarted) if stage == "0" else jobs.filter(stage=int(stage)).exclude(unstarted)
        if batch_id := request.query_params.get("batch_id"):
            jobs = jobs.filter(batch=self.batch(batch_id))
        found = list(jobs.order_by("priority", "created_at", "id")[: _limit(request)])
        return Response(
            {"success": True, "stage": int(stage), "count": len(found), "jobs": [_job_in_short(job) for job in found]}
        )


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_MOST))
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MOST_JOBS):
        raise Invalid(f"limit is a number from 1 to {MOST_JOBS}.", field="limit")
    return int(text)


# Figures --------------------------------------------------------------------------------------------------------------
class OldStats(OldAddress):
    @extend_schema(summary="Figures of the dashboard (old)", responses=_answers(OldStatsAnswer), **WORKS)
    def get(self, request: Request) -> Response:
        jobs = Job.objects.visible_to(request.user)
        stages, states = _counts(jobs)
        total = sum(states.values())
        completed, failed = states.get("completed", 0), states.get("failed", 0)
        batches = list(Batch.objects.visible_to(request.user).select_related("created_by").order_by("-id")[:RECENT])
        attach(batches)
        return Response(
            {
                "success": True,
                "summary": {
                    "total": total,
                    "completed": completed,
                    "failed": failed,
                    "in_progress": total - completed - failed,
                    "avg_completion_time": _average(jobs),
                },
                "stage_counts": stages,
                "status_counts": states,
                "recent_batches": [_batch_in_short(batch, batch.figures.total) for batch in batches],
            }
        )


def _average(jobs: QuerySet[Job]) -> str:
    """From the sheet to the deployed project, as ``2h 5m`` or ``12m``; N/A before there is one."""
    taken = ExpressionWrapper(F("finished_at") - F("created_at"), output_field=DurationField())
    average: timedelta | None = jobs.filter(state=State.DONE).aggregate(average=Avg(taken))["average"]
    if average is None:
        return "N/A"
    hours, minutes = divmod(int(average.total_seconds() // 60), 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
