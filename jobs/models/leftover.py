"""Contents whose record went."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models.team import Team
from jobs.teams import TeamQuerySet


class Leftover(models.Model):
    """A stored content of which a record was deleted, to be looked at after a while (``jobs.leftovers``).

    ``team`` is empty for one of which nobody knows whose it was. ``since``: nobody has had it for so long, as far as we
    know. ``gone_at``: it was deleted.
    """

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    storage = models.CharField(max_length=20)
    storage_name = models.CharField(max_length=400)
    size_bytes = models.PositiveBigIntegerField()
    since = models.DateTimeField(db_default=Now())
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["Leftover"].as_manager()

    class Meta:
        ordering = ["since", "id"]
        indexes = [
            models.Index(fields=["storage", "storage_name"], name="leftover_by_content"),
            models.Index(fields=["since"], condition=Q(gone_at__isnull=True), name="leftover_to_look_at"),
        ]

    def __str__(self) -> str:
        return self.storage_name
