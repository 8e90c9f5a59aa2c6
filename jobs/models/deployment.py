"""What is meant to lie in the output storage, written down before it does."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from jobs.models.run import StageRun
from jobs.teams import TeamQuerySet


class Deployment(models.Model):
    """The files of one try to release. ``folder`` is used once, so whoever takes files back takes nobody else's.

    planned: being written, by the holder of ``token``. kept: recorded with the run's end. dropped: to be taken back.
    cleared: taken back, to be looked at once more. gone: nothing is there.
    """

    TEAM_FIELD = "run__job__team"
    BATCH_FIELD = "run__batch"
    PLANNED, KEPT, DROPPED, CLEARED, GONE = "planned", "kept", "dropped", "cleared", "gone"
    STATES = (PLANNED, KEPT, DROPPED, CLEARED, GONE)

    run = models.ForeignKey(StageRun, on_delete=models.CASCADE, related_name="deployments")
    folder = models.CharField(max_length=400, unique=True)
    names = models.JSONField(default=list)
    token = models.UUIDField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=PLANNED)
    changed_at = models.DateTimeField(db_default=Now())

    objects = TeamQuerySet["Deployment"].as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["changed_at"], condition=~models.Q(state__in=["kept", "gone"]), name="deployment_to_sweep"
            )
        ]

    def __str__(self) -> str:
        return f"{self.folder} ({self.state})"
