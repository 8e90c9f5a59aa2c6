"""Times at which a person stood before a review page that was not ready."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from jobs.models.choices import stage_choices
from jobs.models.job import Job
from jobs.teams import TeamQuerySet


class PageWait(models.Model):
    """Somebody opened a job's page while machines still worked on it. Nobody should: each row is a fault of ours."""

    TEAM_FIELD = "job__team"
    BATCH_FIELD = "job__batch"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="page_waits")
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    opened_at = models.DateTimeField(db_default=Now())
    ready_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["PageWait"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["job"], condition=models.Q(ready_at__isnull=True), name="page_wait_open")]

    def __str__(self) -> str:
        return f"{self.job} {self.get_stage_display()}"
