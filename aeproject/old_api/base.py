"""What the old addresses have in common: errors as they were, and how batches, counts and times are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from aeproject.api_views import Address
from aeproject.old_api.shapes import (
    OldProblem,
)
from batches.models import Batch
from jobs.api import record_id
from jobs.idempotency import Answered
from jobs.models import Job
from jobs.states import Stage, State, public_state

WORKS: Any = {"deprecated": True, "tags": ["old addresses"]}


def answered(shape: type[serializers.Serializer[Any]], *problems: int) -> dict[int, Any]:
    return {200: shape, **{status: OpenApiResponse(OldProblem) for status in (*problems, 401, 403, 429)}}


class OldAddress(Address):
    """Errors as they were: ``{"success": false, "error": "..."}`` with the status that the new API gives."""

    takes_fields = False

    def handle_exception(self, error: Exception) -> Any:
        response = super().handle_exception(error)
        if isinstance(error, Answered):
            return response  # what an Idempotency-Key was answered before, in the old shape already
        response.data = {"success": False, "error": in_words(response.data)}
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


def in_words(problem: Any) -> str:
    """The first words of an answer of ours: its detail, or what is wrong with the first field."""
    while isinstance(problem, dict | list) and problem:
        first = next(iter(problem.values() if isinstance(problem, dict) else problem))
        problem = problem.get("detail", first) if isinstance(problem, dict) else first
    return str(problem) if problem else "The request could not be answered."


def counts_of(jobs: QuerySet[Job]) -> tuple[dict[str, int], dict[str, int]]:
    """Jobs by the predecessor's stages and by public state; only what there is."""
    stages: dict[str, int] = {}
    states: dict[str, int] = {}
    for stage, state, found in jobs.order_by().values_list("stage", "state").annotate(jobs=Count("pk")):
        old, public = str(old_stage(stage, state)), public_state(Stage(stage), State(state))
        stages[old] = stages.get(old, 0) + found
        states[public] = states.get(public, 0) + found
    return stages, states


def old_stage(stage: int, state: str) -> int:
    """Stage 0 was the sheet's validation: a job stayed there until it was started."""
    return 0 if (stage, state) == (Stage.INGESTION, State.PENDING) else int(stage)


def batch_in_short(batch: Batch, total: int) -> dict[str, Any]:
    return {
        "batch_id": str(batch.pk),
        "status": batch.state,
        "total_jobs": total,
        "valid_jobs": total,
        "uploaded_at": moment(batch.created_at),
        "uploaded_by": batch.created_by.username,
    }


def moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
