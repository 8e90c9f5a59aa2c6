"""What the claim consults: whose turn it was last, and what is paused."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs import clock
from jobs.models.team import Team
from jobs.teams import MachineQuerySet, TeamQuerySet


class Turn(models.Model):
    """Whom the last claim served: ``light/2`` has the team in rank 2, ``light/2:7`` the batch of team 7. The next one
    is next. ``light:aged`` has the bits of the ranks that owe a turn to those below, since risen work had one.
    ``light:errand`` has the team of the last errand.
    """

    key = models.CharField(max_length=40, primary_key=True)
    last = models.BigIntegerField(default=0)

    objects = MachineQuerySet["Turn"].as_manager()

    def __str__(self) -> str:
        return f"{self.key} after {self.last}"


class Pause(models.Model):
    """A queue, a team or a batch of which no work is claimed. What runs already is finished.

    ``key`` is ``queue:heavy``, ``team:7`` or ``batch:12``; ``team`` is empty for a queue, which is everybody's.
    """

    TEAM_FIELD = "team"

    key = models.CharField(max_length=40, unique=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="pauses")
    reason = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=clock.now)

    objects = TeamQuerySet["Pause"].as_manager()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.key
