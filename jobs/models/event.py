"""The history."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.models.job import Job
from jobs.models.team import Team
from jobs.states import Stage, State, public_state
from jobs.teams import TeamQuerySet


class Event(models.Model):
    """The history, append-only. A row with ``version`` is a move of the job; one without is a remark beside it."""

    TEAM_FIELD = "team"
    BATCH_FIELD = ""  # history outlives what it tells of

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="events")
    batch = models.ForeignKey("batches.Batch", on_delete=models.PROTECT, null=True, related_name="events")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="events")
    version = models.PositiveIntegerField(null=True, blank=True)
    verb = models.CharField(max_length=40)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    from_stage = models.PositiveSmallIntegerField(null=True, blank=True)
    from_state = models.CharField(max_length=20, blank=True)
    to_stage = models.PositiveSmallIntegerField(null=True, blank=True)
    to_state = models.CharField(max_length=20, blank=True)
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(default=clock.now, editable=False)

    objects = TeamQuerySet["Event"].as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "version"], condition=Q(version__isnull=False), name="one_event_per_job_and_version"
            )
        ]
        indexes = [
            models.Index(fields=["team", "-at"], name="event_by_team"),
            models.Index(fields=["job", "id"], name="event_by_job"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.job or self.batch or ''}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("History is append-only: an event is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("History is append-only: an event is never deleted.")

    @classmethod
    def tell_every_team(cls, verb: str, *, actor: Any, what: str, reason: str = "") -> None:
        """Writes into the history of each team what stops or moves the work of all: of a queue or of a machine."""
        told = {"verb": verb, "actor": actor, "reason": reason.strip(), "data": {"what": what}}
        cls.objects.bulk_create(cls(team=team, **told) for team in Team.objects.all())

    @property
    def from_public(self) -> str:
        return "" if self.from_stage is None else public_state(Stage(self.from_stage), State(self.from_state))

    @property
    def to_public(self) -> str:
        return "" if self.to_stage is None else public_state(Stage(self.to_stage), State(self.to_state))
