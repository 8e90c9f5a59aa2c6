"""How much was asked for lately, shared by all processes."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs.teams import MachineQuerySet


class RequestWindow(models.Model):
    """When a person's requests of the last minute came, in seconds since the epoch by the database's clock."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="request_window"
    )
    stamps = models.JSONField(default=list)
    version = models.BigIntegerField(default=0)

    objects = MachineQuerySet["RequestWindow"].as_manager()

    def __str__(self) -> str:
        return f"{self.user}: {len(self.stamps)}"


class TokenBucket(models.Model):
    """``tokens`` were left at ``filled_at`` (seconds since the epoch by the database's clock); it fills steadily."""

    key = models.CharField(max_length=80, primary_key=True)
    tokens = models.FloatField()
    filled_at = models.FloatField()
    version = models.BigIntegerField(default=0)

    objects = MachineQuerySet["TokenBucket"].as_manager()

    def __str__(self) -> str:
        return self.key
