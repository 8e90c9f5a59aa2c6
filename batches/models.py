"""A batch: the jobs of one sheet. Its state and counts are derived from its jobs."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from batches.rollup import COUNTS, batch_state, count_annotations, state_expression
from jobs.models import Asset, Team
from jobs.teams import TeamQuerySet


class Upload(models.Model):
    """A sheet with its files, between the preview and the commit. ``verdicts`` is what the preview shows."""

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sheet = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    verdicts = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    committed_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["Upload"].as_manager()

    def __str__(self) -> str:
        return self.sheet.name


class UploadedFile(models.Model):
    """A file sent along with a sheet, under the name by which its rows may call it."""

    TEAM_FIELD = "upload__team"

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=500)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")

    objects = TeamQuerySet["UploadedFile"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "name"], name="one_file_per_name_in_an_upload")]

    def __str__(self) -> str:
        return self.name


class BatchQuerySet(TeamQuerySet["Batch"]):
    def with_counts(self) -> BatchQuerySet:
        """Adds the counts of the jobs by state, in the same query: ``count_total``, ``counts`` and ``state`` work."""
        return self.annotate(**count_annotations())

    def in_state(self, state: str) -> BatchQuerySet:
        """Those in a derived state. Takes a queryset ``with_counts``."""
        return self.alias(derived_state=state_expression()).filter(derived_state=state)


class Batch(models.Model):
    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=20, default="csv")
    upload = models.OneToOneField(Upload, on_delete=models.PROTECT, null=True, blank=True, related_name="batch")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by the names of ``rollup.COUNTS``. Only for batches that were read ``with_counts``."""
        return {name: getattr(self, f"count_{name}") for name in COUNTS}

    @property
    def state(self) -> str:
        return batch_state(self.counts)
