"""Stored files."""

from __future__ import annotations

from django.db import models

from jobs import clock
from jobs.models.choices import stage_choices
from jobs.models.team import Team
from jobs.teams import TeamQuerySet


class Asset(models.Model):
    """A stored file. ``storage_name`` is content-addressed in the default storage, or a path in ``outputs``.

    ``crc32`` is empty for files of earlier versions until the first ZIP that holds them has read them.
    ``removed_at``: nobody is given the file any more, by the team's retention policy; ``gone_at``: its content was
    deleted; ``wanted_at``: the same content was stored anew in between.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "job__batch"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="assets")
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, null=True, blank=True, related_name="assets")
    stage = models.PositiveSmallIntegerField(choices=stage_choices, null=True, blank=True)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=255)
    storage = models.CharField(max_length=20, default="default")
    storage_name = models.CharField(max_length=400)
    size_bytes = models.PositiveBigIntegerField()
    media_type = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    crc32 = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    gone_at = models.DateTimeField(null=True, blank=True, editable=False)
    wanted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TeamQuerySet["Asset"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["job", "stage", "kind"], name="asset_by_job"),
            models.Index(fields=["storage", "storage_name"], name="asset_by_content"),
            models.Index(
                fields=["removed_at"],
                condition=models.Q(removed_at__isnull=False, gone_at__isnull=True),
                name="asset_to_forget",
            ),
        ]

    def __str__(self) -> str:
        return self.name
