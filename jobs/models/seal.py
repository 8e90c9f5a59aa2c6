"""The seals of the history, and what waits for one. ``jobs/history_chain.py`` writes both."""

from __future__ import annotations

from typing import Any

from django.db import models

from jobs.models.event import Event
from jobs.models.team import Team
from jobs.teams import TeamQuerySet


class Seal(models.Model):
    """The place of an event in its team's chain. ``digest`` proves the event, its place and all that stands before.

    ``number`` counts the seals of all teams and ``position`` those of the team, both from 1 and without gaps. Whoever
    saw number n has seen all below it: n + 1 is given only when n is committed.
    """

    TEAM_FIELD = "team"

    number = models.BigIntegerField(primary_key=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="seals", db_index=False)
    position = models.BigIntegerField()
    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="seal")
    sealed_at = models.DateTimeField()
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)

    objects = TeamQuerySet["Seal"].as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["team", "position"], name="one_seal_per_team_and_position")]

    def __str__(self) -> str:
        return f"{self.position}:{self.digest}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("History is append-only: a seal is never deleted.")


class Unsealed(models.Model):
    """An event that waits for its seal. The database writes the row with the event; sealing takes it away."""

    TEAM_FIELD = "team"

    # No constraints: the trigger writes what is right, and events are never deleted.
    event = models.OneToOneField(
        Event, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="unsealed"
    )
    team = models.ForeignKey(Team, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")

    objects = TeamQuerySet["Unsealed"].as_manager()

    def __str__(self) -> str:
        return f"event {self.event_id}"
