"""What a team keeps for how long."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from jobs import clock
from jobs.models.team import Team
from jobs.teams import TeamQuerySet


class RetentionPolicy(models.Model):
    """Days after which stored files go, by what they are; empty: they stay. The records and the history stay anyway."""

    TEAM_FIELD = "team"
    DAYS = (
        "preview_days",
        "intermediate_days",
        "input_days",
        "deployed_days",
        "failed_days",
        "archived_days",
        "deleted_days",
    )

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="retention")
    preview_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    intermediate_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    input_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    deployed_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    failed_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    archived_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    deleted_days = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=clock.now, editable=False)

    objects = TeamQuerySet["RetentionPolicy"].as_manager()

    class Meta:
        verbose_name_plural = "retention policies"

    def __str__(self) -> str:
        return f"retention of {self.team}"


class Pin(models.Model):
    """A batch whose files stay, whatever the policy says."""

    TEAM_FIELD = "batch__team"
    BATCH_FIELD = "batch"

    batch = models.OneToOneField("batches.Batch", on_delete=models.CASCADE, related_name="pin")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now, editable=False)

    objects = TeamQuerySet["Pin"].as_manager()

    def __str__(self) -> str:
        return f"{self.batch} stays"
