"""A batch: jobs that belong together. Its state and counts are derived from its jobs."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, models, transaction
from django.db.models import Max, Q
from django.utils import timezone

from batches.bundles.models import Download, ShareLink
from batches.figures import Figures, figures_of
from batches.prefix import FALLBACK, MOST_CHARACTERS
from batches.rollup import state_expression
from jobs.models import Asset, Team
from jobs.teams import TeamQuerySet

__all__ = ["Batch", "Download", "ExternalId", "ShareLink", "Upload", "UploadedFile"]


class Upload(models.Model):
    """A sheet with its files on its way to a batch.

    ``layout`` is ``batches.intake.sheet.Layout`` as JSON; ``mapping`` is {our column: {"title", "how"}}. ``problem``
    says why the sheet was refused, or what became of the last commit.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "batch"
    JUDGING, MAPPING, PREVIEW, OPENING, COMMITTED, REFUSED = (
        "judging", "mapping", "preview", "opening", "committed", "refused",
    )  # fmt: skip
    STATES = (JUDGING, MAPPING, PREVIEW, OPENING, COMMITTED, REFUSED)
    STILL = (MAPPING, PREVIEW, REFUSED)
    """The states in which nobody works on it: it may be judged anew or discarded."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sheet = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=JUDGING)
    layout = models.JSONField(default=dict, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    good = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    committed_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["Upload"].as_manager()

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
    BATCH_FIELD = "upload__batch"

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
    """What a team chose for a foreign header: {our column: tidied title}. Proposed when the header comes again."""

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="column_mappings")
    fingerprint = models.CharField(max_length=64)
    header = models.JSONField()
    mapping = models.JSONField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=timezone.now)

    objects = TeamQuerySet["ColumnMapping"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "fingerprint"], name="one_mapping_per_team_and_header")]

    def __str__(self) -> str:
        return ", ".join(self.header)


class UploadedFile(models.Model):
    """A file sent along with a sheet, under the name by which its rows may call it."""

    TEAM_FIELD = "upload__team"
    BATCH_FIELD = "upload__batch"

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=500)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")

    objects = TeamQuerySet["UploadedFile"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "name"], name="one_file_per_name_in_an_upload")]

    def __str__(self) -> str:
        return self.name


class BatchQuerySet(TeamQuerySet["Batch"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the person's teams that are open: one whose jobs are still on their way is shown to nobody."""
        return super().visible_to(user).filter(opening=False)

    def in_state(self, state: str) -> BatchQuerySet:
        """Those in a derived state."""
        return self.alias(derived_state=state_expression()).filter(derived_state=state)


class Batch(models.Model):
    """Jobs under one name and one directory. ``name`` is the directory's until somebody gives the batch its own.

    The directory is called by prefix, day (in the team's time zone) and number: ``PL_DXB_2025-11-05_batch-1``. Numbers
    of a prefix and day have no gaps, and a deleted batch keeps its own. ``deleted_at``: the rows stay, for the
    history; ``TeamQuerySet.visible_to`` shows nobody the batch, nor anything of its jobs.
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
    """True while the jobs of a large sheet are made, chunk by chunk."""
    upload = models.OneToOneField(Upload, on_delete=models.PROTECT, null=True, blank=True, related_name="batch")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
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
        indexes = [models.Index(fields=["id"], condition=Q(deleted_at__isnull=False), name="batch_deleted")]

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

    def _take_number(self, *args: Any, **kwargs: Any) -> None:
        """Saves under the number after the last. Whoever loses a race for it finds the next: the constraint decides.

        A number that is being taken in an open transaction is waited for, so that one rolled back leaves no gap.
        """
        unnamed = self.name in {"", self.directory_name}
        alike = Batch.objects.filter(team=self.team, prefix=self.prefix, day=self.day)
        tried = None
        while True:
            self.number = (alike.aggregate(last=Max("number"))["last"] or 0) + 1
            self.directory_name = f"{self.prefix}_{self.day:%Y-%m-%d}_batch-{self.number}"
            self.name = self.directory_name if unnamed else self.name
            try:
                with transaction.atomic():
                    super().save(*args, **kwargs)
            except IntegrityError:
                if self.number == tried:
                    raise  # nobody took the number: it is something else that does not fit
                tried = self.number
            else:
                return

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
