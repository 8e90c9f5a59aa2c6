"""``GET /api/batches/{id}/``: a batch with its first jobs inside, for those who want all with one request."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view

from batches import api
from batches.models import Batch
from batches.serializers import BatchSerializer
from jobs.api import answers, person
from jobs.models import Job
from review.api import as_shown
from review.serializers import JobSerializer
from review.waiting import roles_by_team

FIRST_JOBS = 100
"""As many as can be submitted with one request. A batch may have thousands: its ``jobs`` leads to all of them."""


class BatchDetailSerializer(BatchSerializer):
    first_jobs = JobSerializer(
        many=True, read_only=True, help_text=f"The first {FIRST_JOBS} in the order of the sheet; `jobs` leads to all."
    )

    class Meta(BatchSerializer.Meta):
        fields = (*BatchSerializer.Meta.fields, "first_jobs")
        read_only_fields = fields


@extend_schema_view(
    retrieve=extend_schema(
        summary="A batch with its first jobs", responses=answers({200: BatchDetailSerializer}, 400, 404)
    )
)
class BatchDoor(api.BatchDoor):
    """Batches, their states and counts derived from their jobs."""

    def get_serializer_class(self) -> type[BatchSerializer]:
        return BatchDetailSerializer if self.action == "retrieve" else BatchSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        roles = roles_by_team(person(self.request)) if self._shows_jobs() else {}
        return {**super().get_serializer_context(), "roles": roles}

    def get_object(self) -> Batch:
        batch = super().get_object()
        if self._shows_jobs():
            jobs = as_shown(Job.objects.filter(batch=batch)).order_by("row_line", "id")
            batch.first_jobs = list(jobs[:FIRST_JOBS])  # type: ignore[attr-defined]
        return batch

    def _shows_jobs(self) -> bool:
        return self.action == "retrieve" and self.wants("first_jobs")
