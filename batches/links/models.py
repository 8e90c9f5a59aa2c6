"""A Google Sheet that a batch follows."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.models import Team
from jobs.teams import TeamQuerySet

LEAST_POLL_MINUTES = 5
MOST_POLL_MINUTES = 7 * 24 * 60


class LinkedSheet(models.Model):
    """The address of a sheet, what was read of it last, and what is done with it by the clock.

    It has no batch until its first upload is committed. ``mapping`` is {our column: tidied title} as a person chose it.
    ``asked_by`` is the person for whom it is read. ``digest`` is that of the snapshot that was compared last, ``told``
    the upload whose differences were told. ``written`` is the state of the jobs that was written back last.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "batch"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="linked_sheets")
    batch = models.OneToOneField(
        "batches.Batch", on_delete=models.CASCADE, null=True, blank=True, related_name="linked_sheet"
    )
    url = models.CharField(max_length=500)
    range = models.CharField(max_length=150, blank=True)
    title = models.CharField(max_length=300, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    digest = models.CharField(max_length=64, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    told = models.BigIntegerField(default=0)

    is_polling = models.BooleanField(default=False)
    poll_minutes = models.PositiveIntegerField(default=15, validators=[MinValueValidator(LEAST_POLL_MINUTES)])
    poll_after = models.DateTimeField(null=True, blank=True)

    state_column = models.CharField(max_length=200, blank=True)
    link_column = models.CharField(max_length=200, blank=True)
    error_column = models.CharField(max_length=200, blank=True)
    written = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    write_after = models.DateTimeField(null=True, blank=True)
    write_error = models.TextField(blank=True)
    write_note = models.TextField(blank=True)
    write_failures = models.PositiveSmallIntegerField(default=0)

    objects = TeamQuerySet["LinkedSheet"].as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(poll_minutes__gte=LEAST_POLL_MINUTES, poll_minutes__lte=MOST_POLL_MINUTES),
                name="linked_sheet_polled_in_reason",
            )
        ]
        indexes = [models.Index(fields=["poll_after"], condition=Q(is_polling=True), name="linked_sheet_to_poll")]

    def __str__(self) -> str:
        return self.title or self.url

    @property
    def columns(self) -> dict[str, str]:
        """The titles of the columns that are written back, by what is written into them: state, link, error."""
        named = {"state": self.state_column, "link": self.link_column, "error": self.error_column}
        return {what: title for what, title in named.items() if title}
