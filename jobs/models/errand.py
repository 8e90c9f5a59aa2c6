"""Work for workers that is no stage of a job."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.log_context import bound_request
from jobs.models.choices import queue_choices
from jobs.models.team import Team
from jobs.states import Queue
from jobs.teams import TeamQuerySet


class Errand(models.Model):
    """One piece of work of a registered ``kind`` on the row ``subject``. ``token`` fences as a stage run's does.

    ``done`` of ``total`` is its progress in the kind's own unit; ``total`` 0 is unknown.
    """

    TEAM_FIELD = "team"
    QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
    STATES = (QUEUED, RUNNING, DONE, FAILED)

    kind = models.CharField(max_length=40)
    subject = models.BigIntegerField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    queue = models.CharField(max_length=10, choices=queue_choices, default=Queue.LIGHT.value)
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, blank=True)
    lease_owner = models.CharField(max_length=120, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=120, blank=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True, default=bound_request, editable=False)
    """Of the request that led to it, for the log lines of whoever does it; empty when a clock did."""
    queued_at = models.DateTimeField(db_default=Now())
    available_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["Errand"].as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(state__in=["queued", "running"]),
                name="one_live_errand_per_kind_and_subject",
            ),
            models.CheckConstraint(
                condition=Q(state="running", token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(token__isnull=True, lease_expires_at__isnull=True)),
                name="errand_leased_if_and_only_if_running",
            ),
        ]
        indexes = [
            models.Index(fields=["queue", "available_at"], condition=Q(state="queued"), name="errand_to_claim"),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="errand_to_sweep"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} ({self.state})"

    @property
    def label(self) -> str:
        """Its kind, for people."""
        return self.kind.replace("_", " ").capitalize()

    @property
    def percent(self) -> float:
        return min(100.0, 100 * self.done / self.total) if self.total else 0.0
