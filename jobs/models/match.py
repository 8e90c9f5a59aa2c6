"""Which layer fills which slot."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.models.job import Job
from jobs.teams import TeamQuerySet


class Match(models.Model):
    """A PSD layer put into a slot, or the decision that the slot keeps its own content (``layer_id`` None).

    ``origin``: proposed by the matching, named in the sheet, or chosen by a person.
    """

    TEAM_FIELD = "job__team"
    BATCH_FIELD = "job__batch"
    AUTO, SHEET, HUMAN = "auto", "sheet", "human"
    ORIGINS = (AUTO, SHEET, HUMAN)

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="matches")
    slot_id = models.CharField(max_length=60)
    slot_name = models.CharField(max_length=255)
    slot_kind = models.CharField(max_length=10)
    order = models.PositiveIntegerField(default=0)
    layer_id = models.BigIntegerField(null=True, blank=True)
    layer_name = models.CharField(max_length=255, blank=True)
    score = models.FloatField(null=True, blank=True)
    parts = models.JSONField(default=dict, blank=True)
    runner_up = models.JSONField(null=True, blank=True)
    origin = models.CharField(max_length=10, choices=[(one, one) for one in ORIGINS], default=AUTO)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=clock.now)

    objects = TeamQuerySet["Match"].as_manager()

    class Meta:
        verbose_name_plural = "matches"
        ordering = ["order", "id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "slot_id"], name="one_match_per_slot"),
            models.UniqueConstraint(
                fields=["job", "layer_id"], condition=Q(layer_id__isnull=False), name="a_layer_fills_one_slot"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.layer_name or 'nothing'} → {self.slot_name}"
