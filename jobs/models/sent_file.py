"""Files on their way: sent in pieces, resumed after a cut, and then used by uploads."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from jobs import clock
from jobs.models.asset import Asset
from jobs.models.team import Team
from jobs.teams import TeamQuerySet


class SentFile(models.Model):
    """A file that arrives piece by piece. ``pieces`` are the stored pieces in order, each ``[name, bytes]``.

    ``writer`` alone may add to it, until ``writer_until``. When all is there and put together, ``asset`` is the file.
    Once an upload used it (``used_at``) it no longer counts against the team's quota.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "asset__job__batch"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="sent_files")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=500)
    metadata = models.TextField(blank=True)
    size_bytes = models.PositiveBigIntegerField()
    received_bytes = models.PositiveBigIntegerField(default=0)
    pieces = models.JSONField(default=list, blank=True)
    writer = models.UUIDField(null=True, blank=True)
    writer_until = models.DateTimeField(null=True, blank=True)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(db_index=True)

    objects = TeamQuerySet["SentFile"].as_manager()

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.name
