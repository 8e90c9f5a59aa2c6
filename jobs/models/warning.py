"""What people should know about a job."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs import clock
from jobs.models.choices import stage_choices
from jobs.models.job import Job
from jobs.teams import TeamQuerySet


class Warning(models.Model):
    """A finding on a job. ``kind`` tells a finding about the files from a note on what was approximated."""

    TEAM_FIELD = "job__team"
    BATCH_FIELD = "job__batch"
    FINDING, FIDELITY = "finding", "fidelity"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="warnings")
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    kind = models.CharField(max_length=10, choices=[(FINDING, "finding"), (FIDELITY, "fidelity note")], default=FINDING)
    code = models.CharField(max_length=60)
    severity = models.CharField(max_length=10)
    object = models.CharField(max_length=300, blank=True)
    message = models.TextField()
    cure = models.TextField(blank=True)
    evidence = models.TextField(blank=True)
    resolution = models.CharField(max_length=20, blank=True)
    note = models.TextField(blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = TeamQuerySet["Warning"].as_manager()

    class Meta:
        ordering = ["stage", "id"]

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"
