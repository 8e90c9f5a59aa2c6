"""A batch: jobs that belong together. Its state and counts are derived from its jobs."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from batches.bundles.models import Download, ShareLink
from batches.figures import Figures, figures_of
from batches.links.models import LinkedSheet
from batches.prefix import FALLBACK, MOST_CHARACTERS
from batches.rollup import state_expression
from batches.updates.models import SheetChange
from jobs import clock
from jobs.models import Asset, Team
from jobs.teams import TeamQuerySet

__all__ = ["Batch", "Download", "ExternalId", "LinkedSheet", "ShareLink", "SheetChange", "Upload", "UploadedFile"]


class Upload(models.Model):
    """A sheet with its files on its way to a batch, or a newer sheet for the batch that it ``updates``.

    ``layout`` is ``batches.intake.sheet.Layout`` as JSON; ``mapping`` is {our column: {"title", "how"}}. ``problem``
    says why the sheet was refused, or what became of the last commit. ``committed_by`` is who applied a newer sheet.
    ``content_sha256`` is that of titles and cells, the same in every format; empty until they are judged.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = ("batch", "updates")
    SHOWN_WHILE_OPENING = True
    JUDGING, MAPPING, PREVIEW, OPENING, COMMITTED, REFUSED = (
        "judging", "mapping", "preview", "opening", "committed", "refused",
    )  # fmt: skip
    STATES = (JUDGING, MAPPING, PREVIEW, OPENING, COMMITTED, REFUSED)
    STILL = (MAPPING, PREVIEW, REFUSED)
    """The states in which nobody works on it: it may be judged anew or discarded."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sheet = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="sheet_of")
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=JUDGING)
    layout = models.JSONField(default=dict, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    good = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    problem = models.TextField(blank=True)
    content_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    updates = models.ForeignKey(
        "batches.Batch", on_delete=models.CASCADE, null=True, blank=True, related_name="newer_sheets"
    )
    link = models.ForeignKey(LinkedSheet, on_delete=models.SET_NULL, null=True, blank=True, related_name="uploads")
    """The linked sheet that it was read from."""
    created_at = models.DateTimeField(default=clock.now)
    committed_at = models.DateTimeField(null=True, blank=True)
    committed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    objects = TeamQuerySet["Upload"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["updates"], condition=Q(state="opening", updates__isnull=False), name="one_update_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return self.sheet.name

    @property
    def total(self) -> int:
        """How many rows were judged."""
        return self.good + self.bad


class UploadRow(models.Model):
    """The verdict on one row of a sheet. ``values`` are its cells, ``errors`` [column, message, where] each.

    ``psd`` and ``project`` name files that were sent along; empty for those of the asset roots.
    """

    TEAM_FIELD = "upload__team"
    BATCH_FIELD = ("upload__batch", "upload__updates")
    SHOWN_WHILE_OPENING = True

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="rows", db_index=False)
    line = models.PositiveIntegerField()
    values = models.JSONField()
    errors = models.JSONField(default=list)
    good = models.BooleanField()
    psd = models.CharField(max_length=500, blank=True)
    project = models.CharField(max_length=500, blank=True)

    objects = TeamQuerySet["UploadRow"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["upload", "good", "id"], name="upload_row_by_verdict")]

    def __str__(self) -> str:
        return f"{self.upload}: {self.line}"


class ColumnMapping(models.Model):
    """What a team chose for a foreign header: {our column: tidied title}. Proposed when the header comes again.

    ``header_row`` is the row in which it stood: so far down it is looked for.
    """

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="column_mappings")
    fingerprint = models.CharField(max_length=64)
    header = models.JSONField()
    header_row = models.PositiveIntegerField(default=0, db_default=0)
    mapping = models.JSONField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=clock.now)

    objects = TeamQuerySet["ColumnMapping"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "fingerprint"], name="one_mapping_per_team_and_header")]

    def __str__(self) -> str:
        return ", ".join(self.header)


class UploadedFile(models.Model):
    """A file sent along with a sheet, under the name by which its rows may call it."""

    TEAM_FIELD = "upload__team"
    BATCH_FIELD = ("upload__batch", "upload__updates")
    SHOWN_WHILE_OPENING = True

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=500)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="uploaded_as")

    objects = TeamQuerySet["UploadedFile"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "name"], name="one_file_per_name_in_an_upload")]

    def __str__(self) -> str:
        return self.name


class BatchQuerySet(TeamQuerySet["Batch"]):
    def in_state(self, state: str) -> BatchQuerySet:
        """Those in a derived state."""
        return self.alias(derived_state=state_expression()).filter(derived_state=state)


class Batch(models.Model):
    """Jobs under one name and one directory. ``name`` is the directory's until somebody gives the batch its own.

    The directory is called by prefix, day (in the team's time zone) and number: ``PL_DXB_2025-11-05_batch-1``. Numbers
    are given without gaps and never twice (``LastNumber``): a deleted batch keeps its own, and one that takes another
    prefix leaves its own unused. ``deleted_at``: the rows stay, for the history; ``TeamQuerySet.visible_to`` shows
    nobody the batch, nor anything of its jobs.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "pk"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=MOST_CHARACTERS, default=FALLBACK)
    day = models.DateField(editable=False)
    number = models.PositiveIntegerField(editable=False)
    directory_name = models.CharField(max_length=80, editable=False)
    description = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=20, default="csv")
    opening = models.BooleanField(default=False, editable=False)
    """True while the jobs of a large sheet are made, chunk by chunk: nobody sees the batch or its jobs yet."""
    upload = models.OneToOneField(Upload, on_delete=models.PROTECT, null=True, blank=True, related_name="batch")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["team", "prefix", "day", "number"], name="one_batch_per_number"),
            models.UniqueConstraint(fields=["team", "directory_name"], name="one_batch_per_directory"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(deleted_at__isnull=False), name="batch_deleted"),
            models.Index(fields=["id"], condition=Q(deleted_at__isnull=False) | Q(opening=True), name="batch_hidden"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.day = timezone.localdate(self.created_at, timezone=self.team.zone)
            self._take_number(*args, **kwargs)
        else:
            super().save(*args, **kwargs)

    def move_to_prefix(self, prefix: str) -> None:
        """Saves the batch under the next number of another prefix and its day. A name of its own stays."""
        self.prefix = prefix
        self._take_number(update_fields=["prefix", "number", "directory_name", "name"])

    @transaction.atomic
    def _take_number(self, *args: Any, **kwargs: Any) -> None:
        """Saves under the number after the last that was given. What rolls back leaves no gap."""
        unnamed = self.name in {"", self.directory_name}
        self.number = LastNumber.next(self.team, self.prefix, self.day)
        self.directory_name = f"{self.prefix}_{self.day:%Y-%m-%d}_batch-{self.number}"
        self.name = self.directory_name if unnamed else self.name
        super().save(*args, **kwargs)

    @property
    def is_renamed(self) -> bool:
        return self.name != self.directory_name

    @cached_property
    def figures(self) -> Figures:
        """As of when they were first asked for; ``figures.attach`` reads those of many batches at once."""
        return figures_of([self.pk])[self.pk]

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by the names of ``rollup.COUNTS``."""
        return self.figures.counts

    @property
    def state(self) -> str:
        return self.figures.state


class LastNumber(models.Model):
    """The last number that was given to a batch of a prefix and day. It only rises.

    It is no look for the highest number there is: of a batch that took another prefix the old directory name still
    stands in manifests, downloads and webhooks, and must not become another batch's.
    """

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    prefix = models.CharField(max_length=MOST_CHARACTERS)
    day = models.DateField()
    number = models.PositiveIntegerField(default=0)

    objects = TeamQuerySet["LastNumber"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "prefix", "day"], name="one_last_number_per_prefix_and_day")
        ]

    def __str__(self) -> str:
        return f"{self.prefix}_{self.day:%Y-%m-%d}: {self.number}"

    @classmethod
    def next(cls, team: Team, prefix: str, day: date) -> int:
        """Gives the next number, in an open transaction: others wait for its end, and get this one if it rolls back."""
        key = {"team": team, "prefix": prefix, "day": day}
        cls.objects.bulk_create([cls(**key)], ignore_conflicts=True)
        last = cls.objects.select_for_update(no_key=True).get(**key)
        last.number += 1
        last.save(update_fields=["number"])
        return last.number


class ExternalId(models.Model):
    """What a batch is called elsewhere: ``dropbox`` is ``/Clients/PL``, ``monday`` is ``4711``."""

    TEAM_FIELD = "batch__team"
    BATCH_FIELD = "batch"

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="external_ids")
    key = models.CharField(max_length=60)
    value = models.CharField(max_length=500)

    objects = TeamQuerySet["ExternalId"].as_manager()

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["batch", "key"], name="one_external_id_per_key")]
        indexes = [models.Index(fields=["key", "value"], name="external_id_by_value")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"
