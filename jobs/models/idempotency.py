"""Requests that carried an ``Idempotency-Key``, and what they were answered."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs import clock
from jobs.teams import MachineQuerySet


class IdempotentRequest(models.Model):
    """One key of one person at one address. While ``status`` is null, ``holder`` works on it until ``held_until``."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    fingerprint = models.CharField(max_length=64)
    holder = models.UUIDField()
    held_until = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    body = models.BinaryField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now, db_index=True)

    objects = MachineQuerySet["IdempotentRequest"].as_manager()

    def __str__(self) -> str:
        return f"{self.user}: {self.status or 'in progress'}"
