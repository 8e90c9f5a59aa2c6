"""Batches, to look at: they are opened and started on the batch pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from batches.models import Batch
from jobs.admin import TeamFilter, TeamModelAdmin


@admin.register(Batch)
class BatchAdmin(TeamModelAdmin):
    list_display = ("name", "team", "source", "job_count", "created_by", "created_at")
    list_filter = (("team", TeamFilter), "source", "created_at")
    list_select_related = ("team", "created_by")
    search_fields = ("name",)
    ordering = ("-id",)
    fields = ("name", "team", "source", "created_by", "created_at", "job_count")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        counted: QuerySet[Any] = super().get_queryset(request).annotate(counted_jobs=Count("jobs"))
        return counted

    @admin.display(description="jobs", ordering="counted_jobs")
    def job_count(self, batch: Any) -> int:
        return int(batch.counted_jobs)
