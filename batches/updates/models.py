"""What a newer sheet would change."""

from __future__ import annotations

from django.db import models

from jobs.models import Job
from jobs.models.choices import stage_choices
from jobs.teams import TeamQuerySet


class SheetChange(models.Model):
    """What a newer sheet would do to one job of its batch; rows that say what is so already have none.

    ``name`` is the job's id in the sheet, ``fields`` {column: [before, after]}. ``redo`` is the first stage that is
    prepared anew, None when none is. ``hindrance`` says why it cannot be done now. Jobs that take their output names
    from one another have ``trades``. ``outcome`` is empty until the sheet is applied, ``note`` why it was left out.
    """

    TEAM_FIELD = "upload__team"
    BATCH_FIELD = "upload__updates"
    SHOWN_WHILE_OPENING = True
    NEW, CHANGED, REMOVED = "new", "changed", "removed"
    KINDS = (NEW, CHANGED, REMOVED)
    DONE, LEFT = "done", "left"
    OUTCOMES = (DONE, LEFT)

    upload = models.ForeignKey("batches.Upload", on_delete=models.CASCADE, related_name="changes", db_index=False)
    kind = models.CharField(max_length=10, choices=[(k, k) for k in KINDS])
    row = models.ForeignKey("batches.UploadRow", on_delete=models.CASCADE, null=True, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.CharField(max_length=50)
    line = models.PositiveIntegerField(default=0)
    fields = models.JSONField(default=dict)
    redo = models.PositiveSmallIntegerField(choices=stage_choices, null=True)
    hindrance = models.TextField(blank=True)
    trades = models.BooleanField(default=False)
    outcome = models.CharField(max_length=10, choices=[(o, o) for o in OUTCOMES], blank=True)
    note = models.TextField(blank=True)

    objects = TeamQuerySet["SheetChange"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["upload", "kind", "outcome", "id"], name="sheet_change_by_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
