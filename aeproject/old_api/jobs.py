"""The predecessor's addresses of jobs and of the dashboard's figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from aeproject.old_api.base import WORKS, OldAddress, answered, batch_in_short, counts_of, moment, old_stage
from aeproject.old_api.shapes import (
    OldJobAnswer,
    OldStageAnswer,
    OldStatsAnswer,
)
from batches.figures import attach
from batches.models import Batch
from jobs.errors import Invalid
from jobs.models import Event, Job, Warning
from jobs.states import Stage, State

OLD_PRIORITIES = {"urgent": "high", "normal": "medium"}
"""Ours that the predecessor did not have, in its words."""
DEFAULT_MOST = 100
MOST_JOBS = 1_000
LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST_JOBS}
RECENT = 10
LOGGED = 20
LEAVES_STAGE = {"ingest": 1, "approve_matches": 2, "approve_preview": 3, "deploy": 4}
CRITICAL = "critical"


class OldJob(OldAddress):
    @extend_schema(summary="A job (old)", responses=answered(OldJobAnswer, 404), **WORKS)
    def get(self, request: Request, job_id: str) -> Response:
        """``job_id`` is that of the sheet. Where jobs of several batches have it, the newest is meant."""
        jobs = Job.objects.visible_to(request.user).filter(job_id=job_id).order_by("-id")
        job = None if "\0" in job_id else jobs.first()  # PostgreSQL compares no such text with anything
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
        "current_stage": old_stage(job.stage, job.state),
        "psd_path": job.psd_path,
        "aepx_path": job.project_path,
        "final_aep_path": project.storage_name if (project := projects.last()) else None,
        "updated_at": moment(job.moved_at),
        "stage0_completed_at": moment(job.created_at),
        **{f"stage{stage}_completed_at": moment(left.get(stage)) for stage in LEAVES_STAGE.values()},
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
        "created_at": moment(job.created_at),
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
        "created_at": moment(warning.created_at),
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
        "created_at": moment(event.at),
    }


class OldStage(OldAddress):
    @extend_schema(
        summary="Jobs at a stage (old)",
        parameters=[
            OpenApiParameter("stage", int, OpenApiParameter.PATH, enum=[0, *(stage.value for stage in Stage)]),
            OpenApiParameter("batch_id", str),
            OpenApiParameter("limit", LIMIT, description=f"At most {MOST_JOBS}; {DEFAULT_MOST} without it."),
        ],
        responses=answered(OldStageAnswer, 400, 404),
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


class OldStats(OldAddress):
    @extend_schema(summary="Figures of the dashboard (old)", responses=answered(OldStatsAnswer), **WORKS)
    def get(self, request: Request) -> Response:
        jobs = Job.objects.visible_to(request.user)
        stages, states = counts_of(jobs)
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
                "recent_batches": [batch_in_short(batch, batch.figures.total) for batch in batches],
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
