"""What people decided, and who is asked to."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs import clock
from jobs.models import Job, stage_choices
from jobs.teams import TeamQuerySet


class Decision(models.Model):
    """An approval or rejection of a stage. ``shown_sha256`` is the hash of everything that was shown."""

    TEAM_FIELD = "job__team"
    BATCH_FIELD = "job__batch"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="decisions")
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    verb = models.CharField(max_length=40)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions")
    reason = models.TextField(blank=True)
    version = models.PositiveIntegerField()
    shown_sha256 = models.CharField(max_length=64)
    open_warnings = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=clock.now)

    objects = TeamQuerySet["Decision"].as_manager()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.user}: {self.verb} {self.job}"


class Comment(models.Model):
    TEAM_FIELD = "job__team"
    BATCH_FIELD = "job__batch"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="comments")
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    at = models.DateTimeField(default=clock.now)

    objects = TeamQuerySet["Comment"].as_manager()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:60]
