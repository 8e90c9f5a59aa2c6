"""Jobs: the rows whose life the lifecycle writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.models.asset import Asset
from jobs.models.choices import PRIORITIES, PRIORITY_NAMES, priority_choices, stage_choices, state_choices
from jobs.models.team import Team
from jobs.states import FINAL, Role, Stage, State, allowed_verbs, inner_states, public_state
from jobs.teams import TeamQuerySet

if TYPE_CHECKING:
    from jobs.models.run import StageRun


class JobQuerySet(TeamQuerySet["Job"]):
    def bulk_create(self, objs: Iterable[Job], *args: Any, **kwargs: Any) -> list[Job]:
        jobs = list(objs)
        for job in jobs:
            job.weigh()
        return super().bulk_create(jobs, *args, **kwargs)

    def open(self) -> JobQuerySet:
        return self.exclude(state__in=FINAL)

    def in_public_state(self, name: str) -> JobQuerySet:
        wanted = Q(pk__in=[])
        for stage, state in inner_states(name):
            wanted |= Q(stage=stage, state=state)
        return self.filter(wanted)


class Job(models.Model):
    """One row of a sheet on its way to a deployed project.

    ``stage``, ``state`` and ``version`` are written by ``jobs.lifecycle.move`` alone.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "batch"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="jobs")
    batch = models.ForeignKey("batches.Batch", on_delete=models.PROTECT, related_name="jobs", db_index=False)
    row_line = models.PositiveIntegerField(default=0)
    job_id = models.CharField(max_length=50)
    psd_path = models.CharField(max_length=500)
    project_path = models.CharField(max_length=500)
    output_name = models.CharField(max_length=200)
    client_name = models.CharField(max_length=200, blank=True)
    project_name = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True)
    row_data = models.JSONField(default=dict, blank=True)
    priority = models.PositiveSmallIntegerField(choices=priority_choices, default=PRIORITIES["normal"])

    stage = models.PositiveSmallIntegerField(choices=stage_choices, default=Stage.INGESTION.value)
    state = models.CharField(max_length=20, choices=state_choices, default=State.PENDING.value)
    version = models.PositiveIntegerField(default=0)
    held_state = models.CharField(max_length=20, blank=True)

    render_comp_id = models.BigIntegerField(null=True, blank=True)
    forced_reason = models.TextField(blank=True)
    psd = models.ForeignKey(Asset, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    project = models.ForeignKey(Asset, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    bytes_in = models.PositiveBigIntegerField(default=0, editable=False)
    """Of the design, from when it is stored; ``bytes_out`` of the files that were deployed last."""
    bytes_out = models.PositiveBigIntegerField(default=0, editable=False)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="assigned_jobs"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    moved_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["priority", "id"]
        permissions = [("lead_job", "Can act on jobs of every team")]
        constraints = [
            models.UniqueConstraint(fields=["batch", "output_name"], name="output_name_unique_in_batch"),
            models.UniqueConstraint(fields=["batch", "job_id"], name="job_id_unique_in_batch"),
            models.UniqueConstraint(
                fields=["team", "job_id"],
                condition=~Q(state__in=[state.value for state in sorted(FINAL)]),
                name="job_id_unique_among_open_jobs",
            ),
        ]
        indexes = [
            models.Index(fields=["team", "state", "stage"], name="job_by_state"),
            # The figures of a batch are read from this index alone.
            models.Index(
                fields=["batch", "state", "stage", "priority", "bytes_in", "bytes_out"], name="job_figures_by_batch"
            ),
            # A page of a batch is read in the order of its sheet, without a look at its other jobs.
            models.Index(fields=["batch", "row_line", "id"], name="job_by_line"),
            models.Index(fields=["team", "client_name", "batch"], name="job_by_client"),
            models.Index(fields=["moved_at"], condition=Q(state=State.IN_REVIEW.value), name="job_waiting"),
        ]

    def __str__(self) -> str:
        return self.job_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.weigh()
        super().save(*args, **kwargs)

    def weigh(self) -> None:
        """Notes the size of the design, if it is stored already."""
        if self.psd_id is not None and self.psd is not None:
            self.bytes_in = self.psd.size_bytes

    @property
    def public_state(self) -> str:
        return public_state(Stage(self.stage), State(self.state))

    @property
    def stage_label(self) -> str:
        return Stage(self.stage).label

    @property
    def priority_name(self) -> str:
        return PRIORITY_NAMES[self.priority]

    def allowed(self, roles: frozenset[Role] | None = None) -> tuple[str, ...]:
        """The verbs people (with these roles) may use on the job now."""
        return allowed_verbs(Stage(self.stage), State(self.state), roles)

    def run_of(self, stage: Stage) -> StageRun | None:
        """The newest run of a stage, whatever became of it."""
        return self.runs.filter(stage=stage).order_by("-queued_at", "-id").first()

    def result_of(self, stage: Stage) -> dict[str, Any] | None:
        """What the newest finished run of a stage reported; None before there is one."""
        run = self.runs.filter(stage=stage, state="done").order_by("-ended_at", "-id").first()
        return None if run is None else run.result
