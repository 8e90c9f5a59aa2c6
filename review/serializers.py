"""How the API shows jobs and what belongs to them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.api import ConflictSerializer, ForecastSerializer, NamedChoice, PriorityField, StageField, StateField
from jobs.models import Asset, Attempt, Event, Job, Match, StageRun, Warning
from jobs.states import Role, Stage, State, public_state
from review.models import Comment, Decision

Username = serializers.SlugRelatedField[Any]
SEVERITIES = ("critical", "warning", "info")


class ProgressSerializer(serializers.Serializer[Any]):
    step = serializers.CharField()
    percent = serializers.FloatField()


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job in a list. The context holds the ``roles`` of the person by team; jobs are read as ``review.api`` does."""

    url = serializers.HyperlinkedIdentityField(view_name="api:job-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    batch_name = serializers.CharField(source="batch.name", read_only=True)
    stage = StageField(read_only=True)
    stage_name = serializers.CharField(source="stage_label", read_only=True)
    state = StateField(source="public_state", read_only=True)
    priority = PriorityField(source="priority_name", read_only=True)
    assignee = Username(slug_field="username", read_only=True, allow_null=True)
    allowed = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    open_warnings = serializers.IntegerField(read_only=True)

    class Meta:
        model = Job
        fields: tuple[str, ...] = (
            "id", "url", "job_id", "team", "batch", "batch_name", "row_line", "stage", "stage_name", "state", "version",
            "allowed", "progress", "priority", "assignee", "open_warnings", "client_name", "project_name",
            "psd_path", "project_path", "output_name", "created_at", "moved_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_allowed(self, job: Job) -> list[str]:
        """The verbs that you may use on the job now."""
        roles: dict[int, frozenset[Role]] = self.context["roles"]
        return list(job.allowed(roles.get(job.team_id, frozenset())))

    @extend_schema_field(ProgressSerializer(allow_null=True))
    def get_progress(self, job: Job) -> dict[str, Any] | None:
        """How far the running stage is; null when none is queued or running."""
        live: list[StageRun] = job.live_runs  # type: ignore[attr-defined]
        return {"step": live[0].step, "percent": live[0].percent} if live else None


class JobProgressSerializer(serializers.Serializer[Any]):
    """What moves while a job is prepared. Takes a row of values, with those of the live run or None."""

    id = serializers.IntegerField(source="pk")
    job_id = serializers.CharField()
    batch = serializers.IntegerField(source="batch_id")
    stage = StageField()
    state = serializers.SerializerMethodField()
    version = serializers.IntegerField()
    running = serializers.SerializerMethodField()
    step = serializers.CharField(allow_null=True, help_text="What the running stage does now; null when none is live.")
    percent = serializers.FloatField(allow_null=True, help_text="Of the stage.")
    attempts = serializers.IntegerField(allow_null=True)
    waits_until = serializers.DateTimeField(
        allow_null=True, help_text="When the next try is due; null when no stage waits for that."
    )
    held = serializers.CharField(
        help_text="What keeps a stage that is due: a pause, or as many jobs run as may. Empty when nothing does."
    )
    forecast = ForecastSerializer(
        allow_null=True, help_text="When the next decision is due; null when no worker has the job."
    )
    moved_at = serializers.DateTimeField()

    @extend_schema_field(StateField())
    def get_state(self, job: dict[str, Any]) -> str:
        return public_state(Stage(job["stage"]), State(job["state"]))

    def get_running(self, job: dict[str, Any]) -> bool:
        """Whether a worker has it now."""
        return bool(job["run_state"] == StageRun.RUNNING)


class AssetSerializer(serializers.ModelSerializer[Asset]):
    stage = StageField(read_only=True, allow_null=True)
    download = serializers.HyperlinkedIdentityField(view_name="api:asset-download")

    class Meta:
        model = Asset
        fields = ("id", "kind", "name", "stage", "media_type", "size_bytes", "sha256", "created_at", "download")
        read_only_fields = fields


class RunnerUpSerializer(serializers.Serializer[Any]):
    """The layer that would have fitted second best."""

    layer_id = serializers.IntegerField()
    layer_name = serializers.CharField()
    score = serializers.FloatField()


class MatchSerializer(serializers.ModelSerializer[Match]):
    changed_by = Username(slug_field="username", read_only=True, allow_null=True)
    slot_kind = NamedChoice(("text", "image"), component="SlotKind", read_only=True)
    origin = NamedChoice(Match.ORIGINS, component="MatchOrigin", read_only=True)
    parts = serializers.DictField(child=serializers.FloatField(), read_only=True)
    runner_up = RunnerUpSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Match
        fields = (
            "slot_id", "slot_name", "slot_kind", "layer_id", "layer_name", "score", "parts", "runner_up", "origin",
            "changed_by", "changed_at",
        )  # fmt: skip
        read_only_fields = fields


class JobDetailSerializer(JobSerializer):
    """A job with what was prepared for it."""

    psd = AssetSerializer(read_only=True, allow_null=True)
    project = AssetSerializer(read_only=True, allow_null=True)
    matches = MatchSerializer(many=True, read_only=True)
    metrics = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    report = serializers.SerializerMethodField()

    class Meta(JobSerializer.Meta):
        fields = (
            *JobSerializer.Meta.fields, "notes", "row_data", "psd", "project", "render_comp_id", "forced_reason",
            "matches", "metrics", "report", "error",
        )  # fmt: skip
        read_only_fields = fields

    def get_metrics(self, job: Job) -> dict[str, dict[str, Any]]:
        """What was measured, by the name of the stage: render_seconds, frame_count, files ..."""
        runs = job.runs.filter(state=StageRun.DONE).order_by("ended_at", "id").values_list("stage", "metrics")
        return {Stage(stage).name.lower(): metrics for stage, metrics in runs if metrics}

    def get_error(self, job: Job) -> str:
        """Why the job failed; empty when it has not."""
        run = job.run_of(Stage(job.stage)) if job.state == State.FAILED else None
        return run.error if run else ""

    def get_report(self, job: Job) -> dict[str, Any] | None:
        """The validator's report on the final project; null before there is one."""
        report: dict[str, Any] | None = (job.result_of(Stage.DELIVERY) or {}).get("report")
        return report


class JobConflictSerializer(ConflictSerializer):
    job = JobDetailSerializer()


class LayerSerializer(serializers.Serializer[Any]):
    layer_id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.CharField()
    slot_kind = serializers.CharField(allow_null=True, help_text="The kind of slot that it can fill.")
    path = serializers.ListField(child=serializers.CharField(), help_text="The groups it lies in.")
    visible = serializers.BooleanField()


class CompositionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    width_px = serializers.IntegerField()
    height_px = serializers.IntegerField()
    duration_seconds = serializers.FloatField()
    frame_rate = serializers.FloatField()


class MatchingSerializer(serializers.Serializer[Any]):
    """Everything that ``amend`` and ``choose_comp`` choose from."""

    version = serializers.IntegerField(help_text="The version of the job that this belongs to.")
    matches = MatchSerializer(many=True)
    layers = LayerSerializer(many=True)
    kept = serializers.ListField(child=serializers.IntegerField(), help_text="Layers that fill no slot.")
    compositions = CompositionSerializer(many=True)
    render_comp = serializers.IntegerField(allow_null=True, help_text="The id of the composition that is rendered.")
    scores = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField()), help_text="By slot_id and layer_id, 0 to 100."
    )


class WarningSerializer(serializers.ModelSerializer[Warning]):
    stage = StageField(read_only=True)
    kind = NamedChoice((Warning.FINDING, Warning.FIDELITY), component="WarningKind", read_only=True)
    severity = NamedChoice(SEVERITIES, component="Severity", read_only=True)
    resolution = serializers.CharField(read_only=True, help_text="resolved, accepted, or empty while it is open.")
    resolved_by = Username(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = Warning
        fields = (
            "id", "job", "stage", "kind", "code", "severity", "object", "message", "cure", "evidence", "resolution",
            "note", "resolved_by", "resolved_at", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class EventSerializer(serializers.ModelSerializer[Event]):
    """A row of the history. One without ``version`` is a remark beside the life of the job.

    ``number``, ``position`` and ``digest`` are those of its seal, and null for the second until it has one.
    """

    number = serializers.IntegerField(source="seal.number", read_only=True, allow_null=True, default=None)
    position = serializers.IntegerField(source="seal.position", read_only=True, allow_null=True, default=None)
    digest = serializers.CharField(source="seal.digest", read_only=True, allow_null=True, default=None)
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    job_id = serializers.CharField(source="job.job_id", read_only=True, allow_null=True, default=None)
    actor = Username(slug_field="username", read_only=True, allow_null=True)
    from_stage = StageField(read_only=True, allow_null=True)
    to_stage = StageField(read_only=True, allow_null=True)
    from_state = serializers.CharField(source="from_public", read_only=True)
    to_state = serializers.CharField(source="to_public", read_only=True)

    class Meta:
        model = Event
        fields = (
            "id", "at", "verb", "actor", "team", "batch", "job", "job_id", "version", "from_stage", "from_state",
            "to_stage", "to_state", "reason", "data", "number", "position", "digest",
        )  # fmt: skip
        read_only_fields = fields


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    stage = StageField(read_only=True)
    user = Username(slug_field="username", read_only=True)

    class Meta:
        model = Decision
        fields = ("id", "stage", "verb", "user", "reason", "version", "shown_sha256", "open_warnings", "at")
        read_only_fields = fields


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One try of a worker at a stage. ``log`` is kept when it ends."""

    stage = StageField(source="run.stage", read_only=True)

    class Meta:
        model = Attempt
        fields = ("id", "stage", "number", "worker", "started_at", "ended_at", "outcome", "error_class", "error", "log")
        read_only_fields = fields


class CommentSerializer(serializers.ModelSerializer[Comment]):
    stage = StageField(read_only=True)
    user = Username(slug_field="username", read_only=True)

    class Meta:
        model = Comment
        fields = ("id", "stage", "user", "text", "at")
        read_only_fields = fields


class RunningSerializer(serializers.Serializer[StageRun]):
    """A stage of a job that a worker prepares now."""

    job = serializers.IntegerField(source="job_id")
    job_id = serializers.CharField(source="job.job_id")
    batch = serializers.IntegerField(source="job.batch_id")
    stage = StageField()
    step = serializers.CharField()
    percent = serializers.FloatField()
    started_at = serializers.DateTimeField()
    seconds = serializers.FloatField()
