"""The machines that work: who is there, what it can do, and which stages it may not touch."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from jobs.models.choices import stage_choices
from jobs.states import QUEUES
from jobs.teams import MachineQuerySet


class Worker(models.Model):
    """One ``manage.py work``. Its times are the database's, so that the clocks of the machines do not matter.

    ``capacity`` is {queue: worker processes}; ``capabilities`` {"fonts": {"count", "sha256"}, "aerender": path or ""}.
    """

    ACTIVE, DRAINING, BLOCKED = "active", "draining", "blocked"
    STATES = (ACTIVE, DRAINING, BLOCKED)

    name = models.CharField(max_length=100, unique=True)
    machine = models.CharField(max_length=80, db_index=True)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    capacity = models.JSONField(default=dict)
    capabilities = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=ACTIVE)
    reason = models.TextField(blank=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    restarts = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = MachineQuerySet["Worker"].as_manager()

    class Meta:
        ordering = ["machine", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def served(self) -> dict[str, int]:
        """``capacity`` in the order of the queues, which PostgreSQL's JSON does not keep."""
        return {queue.value: self.capacity[queue] for queue in QUEUES if queue in self.capacity}


class StageBlock(models.Model):
    """A stage that a machine failed too often for its own reasons. It counts until ``until``.

    Attempts up to ``after_attempt_id`` are forgiven: only later ones count for the next block.
    """

    machine = models.CharField(max_length=80)
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    reason = models.TextField()
    blocked_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField()
    after_attempt_id = models.BigIntegerField(default=0)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = MachineQuerySet["StageBlock"].as_manager()

    class Meta:
        ordering = ["machine", "stage"]
        constraints = [models.UniqueConstraint(fields=["machine", "stage"], name="one_block_per_machine_and_stage")]

    def __str__(self) -> str:
        return f"{self.machine}: {self.get_stage_display()}"
