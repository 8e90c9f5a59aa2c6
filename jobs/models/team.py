"""Teams and who belongs to them."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from jobs import clock
from jobs.models.choices import role_choices
from jobs.teams import TeamQuerySet

known_zones = cache(available_timezones)


def default_time_zone() -> str:
    return settings.TIME_ZONE


def check_time_zone(name: str) -> None:
    """Raises ValidationError for anything but a name of the IANA time zone database."""
    if name not in known_zones():
        raise ValidationError(f"There is no time zone “{name}”. Name one as in Europe/Warsaw or Asia/Dubai.")


class Team(models.Model):
    TEAM_FIELD = "pk"

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(
        max_length=64,
        default=default_time_zone,
        validators=[check_time_zone],
        help_text="By which the team's days begin, as in Europe/Warsaw.",
    )
    running_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs of the team that run at once. Empty: as the settings say; 0: no limit."
    )
    digested_on = models.DateField(null=True, editable=False)
    """The team's day whose digest was written last."""
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = TeamQuerySet["Team"].as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Membership(models.Model):
    """One role of one person in one team; a person with two roles has two rows."""

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=role_choices)

    objects = TeamQuerySet["Membership"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user", "role"], name="one_row_per_role")]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} in {self.team}"
