"""What machines do for a job: stage runs and their attempts."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.log_context import bound_request
from jobs.models.choices import PRIORITIES, priority_choices, queue_choices, stage_choices
from jobs.models.job import Job
from jobs.models.team import Team
from jobs.states import Queue, Stage
from jobs.teams import TeamQuerySet


class StageRun(models.Model):
    """The preparation of one stage from one set of inputs. ``token`` fences: only its holder may finish the run."""

    TEAM_FIELD = "job__team"
    BATCH_FIELD = "batch"
    QUEUED, RUNNING, DONE, FAILED, DROPPED = "queued", "running", "done", "failed", "dropped"
    STATES = (QUEUED, RUNNING, DONE, FAILED, DROPPED)

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="runs")
    # The job's own, so that one index can order the runs of all teams. Nothing is looked up by them alone.
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False)
    batch = models.ForeignKey("batches.Batch", on_delete=models.CASCADE, related_name="+", db_index=False)
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    input_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=QUEUED)
    priority = models.PositiveSmallIntegerField(choices=priority_choices, default=PRIORITIES["normal"])
    rank = models.PositiveSmallIntegerField(default=PRIORITIES["normal"], editable=False)
    """The priority, risen by age (``jobs.aging``)."""
    queue = models.CharField(max_length=10, choices=queue_choices, default=Queue.LIGHT.value)
    queued_at = models.DateTimeField(default=clock.now)
    available_at = models.DateTimeField(default=clock.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, blank=True)
    lease_owner = models.CharField(max_length=120, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=120, blank=True)
    percent = models.FloatField(default=0)
    result = models.JSONField(default=dict, blank=True)
    metrics = models.JSONField(default=dict, blank=True)
    error_class = models.CharField(max_length=20, blank=True)
    error = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=16, blank=True, editable=False)
    """Of the cause, when the run failed for good: the same for every run that failed for the same reason."""
    request_id = models.CharField(max_length=64, blank=True, default=bound_request, editable=False)
    """Of the request that led to it, for the log lines of whoever does it; empty when a clock did."""
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["StageRun"].as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "stage", "input_hash"], name="one_run_per_job_stage_and_inputs"),
            models.CheckConstraint(
                condition=Q(state="running", token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(token__isnull=True, lease_expires_at__isnull=True)),
                name="leased_if_and_only_if_running",
            ),
            models.UniqueConstraint(
                fields=["job"], condition=Q(state__in=["queued", "running"]), name="one_live_run_per_job"
            ),
        ]
        indexes = [
            models.Index(
                fields=["queue", "rank", "team", "batch", "available_at", "id"],
                condition=Q(state="queued"),
                name="run_to_claim",
            ),
            models.Index(fields=["priority", "rank", "queued_at"], condition=Q(state="queued"), name="run_to_raise"),
            models.Index(fields=["team", "batch"], condition=Q(state="running"), name="run_by_load"),
            models.Index(fields=["team", "fingerprint"], condition=Q(state="failed"), name="run_by_cause"),
            # How long preparations took lately, by team and stage.
            models.Index(fields=["team", "stage", "id"], condition=Q(state="done"), name="run_of_the_past"),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="run_to_sweep"),
        ]

    def __str__(self) -> str:
        return f"{self.job} {Stage(self.stage).label} ({self.state})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is None:
            self.team_id, self.batch_id = self.job.team_id, self.job.batch_id
            self.rank = self.priority
        super().save(*args, **kwargs)

    @property
    def seconds(self) -> float | None:
        """Wall time from claim to end (or to now), seconds."""
        if self.started_at is None:
            return None
        return ((self.ended_at or clock.now()) - self.started_at).total_seconds()


class Attempt(models.Model):
    """One try of a stage run by one worker, with its outcome."""

    TEAM_FIELD = "run__job__team"
    BATCH_FIELD = "run__batch"

    run = models.ForeignKey(StageRun, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveSmallIntegerField()
    token = models.UUIDField(default=uuid.uuid4)
    worker = models.CharField(max_length=120)
    started_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, blank=True)
    error_class = models.CharField(max_length=20, blank=True)
    error = models.TextField(blank=True)
    log = models.TextField(blank=True)

    objects = TeamQuerySet["Attempt"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["token"], name="attempt_by_token")]

    def __str__(self) -> str:
        return f"{self.run} try {self.number}"
