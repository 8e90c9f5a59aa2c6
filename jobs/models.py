"""The records of the core: teams, jobs, their preparations, matches, warnings, files and history."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from jobs.states import FINAL, Role, Stage, State, allowed_verbs, public_state
from jobs.teams import PEOPLE_ROLES, TeamQuerySet

PRIORITIES = {"urgent": 0, "high": 1, "normal": 2, "low": 3}
PRIORITY_NAMES = {rank: name for name, rank in PRIORITIES.items()}


def role_choices() -> list[tuple[str, str]]:
    return [(role.value, role.value) for role in PEOPLE_ROLES]


def stage_choices() -> list[tuple[int, str]]:
    return [(stage.value, stage.label) for stage in Stage]


def state_choices() -> list[tuple[str, str]]:
    return [(state.value, state.value.replace("_", " ")) for state in State]


def priority_choices() -> list[tuple[int, str]]:
    return list(PRIORITY_NAMES.items())


class Team(models.Model):
    TEAM_FIELD = "pk"

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TeamQuerySet["Team"].as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


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


class Asset(models.Model):
    """A stored file. ``storage_name`` is content-addressed in the default storage, or a path in ``outputs``."""

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="assets")
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, null=True, blank=True, related_name="assets")
    stage = models.PositiveSmallIntegerField(choices=stage_choices, null=True, blank=True)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=255)
    storage = models.CharField(max_length=20, default="default")
    storage_name = models.CharField(max_length=400)
    size_bytes = models.PositiveBigIntegerField()
    media_type = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TeamQuerySet["Asset"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["job", "stage", "kind"], name="asset_by_job")]

    def __str__(self) -> str:
        return self.name


class JobQuerySet(TeamQuerySet["Job"]):
    def open(self) -> JobQuerySet:
        return self.exclude(state__in=FINAL)

    def in_public_state(self, name: str) -> JobQuerySet:
        from jobs.states import inner_states

        wanted = Q(pk__in=[])
        for stage, state in inner_states(name):
            wanted |= Q(stage=stage, state=state)
        return self.filter(wanted)


class Job(models.Model):
    """One row of a sheet on its way to a deployed project.

    ``stage``, ``state`` and ``version`` are written by ``jobs.lifecycle.move`` alone.
    """

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="jobs")
    batch = models.ForeignKey("batches.Batch", on_delete=models.PROTECT, related_name="jobs")
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
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="assigned_jobs"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    moved_at = models.DateTimeField(default=timezone.now)
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
            models.Index(fields=["batch", "state"], name="job_by_batch"),
        ]

    def __str__(self) -> str:
        return self.job_id

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
        run = self.runs.filter(stage=stage, state=StageRun.DONE).order_by("-ended_at", "-id").first()
        return None if run is None else run.result


class StageRun(models.Model):
    """The preparation of one stage from one set of inputs. ``token`` fences: only its holder may finish the run."""

    TEAM_FIELD = "job__team"
    QUEUED, RUNNING, DONE, FAILED, DROPPED = "queued", "running", "done", "failed", "dropped"
    STATES = (QUEUED, RUNNING, DONE, FAILED, DROPPED)

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="runs")
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    input_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES], default=QUEUED)
    priority = models.PositiveSmallIntegerField(choices=priority_choices, default=PRIORITIES["normal"])
    queued_at = models.DateTimeField(default=timezone.now)
    available_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, blank=True)
    lease_owner = models.CharField(max_length=120, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=120, blank=True)
    percent = models.FloatField(default=0)
    result = models.JSONField(default=dict, blank=True)
    metrics = models.JSONField(default=dict, blank=True)
    error_class = models.CharField(max_length=20, blank=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["StageRun"].as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "stage", "input_hash"], name="one_run_per_job_stage_and_inputs"),
            models.CheckConstraint(
                condition=Q(state="running", token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(token__isnull=True, lease_expires_at__isnull=True)),
                name="leased_if_and_only_if_running",
            ),
            models.UniqueConstraint(
                fields=["job"], condition=Q(state__in=["queued", "running"]), name="one_live_run_per_job"
            ),
        ]
        indexes = [
            models.Index(
                F("priority"),
                F("queued_at"),
                F("id"),
                condition=Q(state="queued"),
                name="run_to_claim",
            ),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="run_to_sweep"),
        ]

    def __str__(self) -> str:
        return f"{self.job} {Stage(self.stage).label} ({self.state})"

    @property
    def seconds(self) -> float | None:
        """Wall time from claim to end (or to now), seconds."""
        if self.started_at is None:
            return None
        return ((self.ended_at or timezone.now()) - self.started_at).total_seconds()


class Attempt(models.Model):
    """One try of a stage run by one worker, with its outcome."""

    TEAM_FIELD = "run__job__team"

    run = models.ForeignKey(StageRun, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveSmallIntegerField()
    token = models.UUIDField(default=uuid.uuid4)
    worker = models.CharField(max_length=120)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, blank=True)
    error_class = models.CharField(max_length=20, blank=True)
    error = models.TextField(blank=True)
    log = models.TextField(blank=True)

    objects = TeamQuerySet["Attempt"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["token"], name="attempt_by_token")]

    def __str__(self) -> str:
        return f"{self.run} try {self.number}"


class Match(models.Model):
    """A PSD layer put into a slot, or the decision that the slot keeps its own content (``layer_id`` None)."""

    TEAM_FIELD = "job__team"
    AUTO, HUMAN = "auto", "human"

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
    origin = models.CharField(max_length=10, choices=[(AUTO, "auto"), (HUMAN, "human")], default=AUTO)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=timezone.now)

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


class Warning(models.Model):
    """A finding on a job. ``kind`` tells a finding about the files from a note on what was approximated."""

    TEAM_FIELD = "job__team"
    FINDING, FIDELITY = "finding", "fidelity"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="warnings")
    stage = models.PositiveSmallIntegerField(choices=stage_choices)
    kind = models.CharField(max_length=10, choices=[(FINDING, "finding"), (FIDELITY, "fidelity note")], default=FINDING)
    code = models.CharField(max_length=60)
    severity = models.CharField(max_length=10)
    object = models.CharField(max_length=300, blank=True)
    message = models.TextField()
    cure = models.TextField(blank=True)
    evidence = models.TextField(blank=True)
    resolution = models.CharField(max_length=20, blank=True)
    note = models.TextField(blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = TeamQuerySet["Warning"].as_manager()

    class Meta:
        ordering = ["stage", "id"]

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


class Event(models.Model):
    """The history, append-only. A row with ``version`` is a move of the job; one without is a remark beside it."""

    TEAM_FIELD = "team"

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
    at = models.DateTimeField(default=timezone.now, editable=False)

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

    @property
    def from_public(self) -> str:
        return "" if self.from_stage is None else public_state(Stage(self.from_stage), State(self.from_state))

    @property
    def to_public(self) -> str:
        return "" if self.to_stage is None else public_state(Stage(self.to_stage), State(self.to_state))
