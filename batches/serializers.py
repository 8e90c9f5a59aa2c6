"""How the API shows uploads and batches, and what it takes for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from batches.intake.upload import MOST_FILES
from batches.intake.verdicts import Verdict, verdicts_of
from batches.models import Batch, Upload
from batches.rollup import BATCH_STATES, COUNTS
from jobs.api import ConflictSerializer, NamedChoice

UPLOAD_STATES = ("preview", "committed")
CHOICE_ALL, CHOICE_GOOD = "all", "good"


class BatchStateField(NamedChoice):
    def __init__(self, **options: Any) -> None:
        super().__init__(BATCH_STATES, component="BatchState", **options)


class CountsSerializer(serializers.Serializer[Any]):
    """Jobs by what they wait for."""

    total = serializers.IntegerField()
    pending = serializers.IntegerField()
    processing = serializers.IntegerField()
    in_review = serializers.IntegerField()
    on_hold = serializers.IntegerField()
    failed = serializers.IntegerField()
    completed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """Takes batches that were read ``with_counts``."""

    url = serializers.HyperlinkedIdentityField(view_name="api:batch-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    state = BatchStateField(read_only=True)
    counts = serializers.SerializerMethodField()
    jobs = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = (
            "id",
            "url",
            "name",
            "team",
            "source",
            "state",
            "counts",
            "jobs",
            "upload",
            "created_by",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(CountsSerializer)
    def get_counts(self, batch: Batch) -> dict[str, int]:
        total: int = batch.count_total  # type: ignore[attr-defined]
        return {"total": total, **{name: batch.counts[name] for name in COUNTS}}

    def get_jobs(self, batch: Batch) -> str:
        """The address of the batch's jobs."""
        return f"{reverse('api:job-list', request=self.context.get('request'))}?batch={batch.pk}"


class BatchProgressSerializer(serializers.Serializer[Any]):
    """What moves while a batch is worked on."""

    id = serializers.IntegerField()
    state = BatchStateField()
    percent = serializers.FloatField(help_text="Of the stages of all jobs that were not cancelled.")
    counts = CountsSerializer()


class StartSerializer(serializers.Serializer[Any]):
    first = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True, help_text="Only so many, in sheet order."
    )


class StartedSerializer(serializers.Serializer[Any]):
    started = serializers.IntegerField(help_text="How many jobs were queued.")
    batch = BatchSerializer()


class BatchConflictSerializer(ConflictSerializer):
    batch = BatchSerializer()


class FaultSerializer(serializers.Serializer[Any]):
    column = serializers.CharField(help_text="Empty when the row as a whole is wrong.")
    message = serializers.CharField()


class RowSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="The header is line 1.")
    good = serializers.BooleanField()
    values = serializers.DictField(child=serializers.CharField(allow_blank=True))
    errors = FaultSerializer(many=True)  # type: ignore[assignment]


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """The preview: what was found in the sheet, row by row."""

    url = serializers.HyperlinkedIdentityField(view_name="api:upload-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    sheet = serializers.CharField(source="sheet.name", read_only=True)
    files = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    state = serializers.SerializerMethodField()
    batch = serializers.PrimaryKeyRelatedField[Any](read_only=True, allow_null=True, default=None)
    good = serializers.IntegerField(source="verdicts.good", read_only=True)
    bad = serializers.IntegerField(source="verdicts.bad", read_only=True)
    kept_columns = serializers.ListField(
        source="verdicts.kept", child=serializers.CharField(), read_only=True, help_text="Unknown columns, kept."
    )
    rows = serializers.SerializerMethodField()
    bad_rows = serializers.HyperlinkedIdentityField(view_name="api:upload-bad-rows")

    class Meta:
        model = Upload
        fields = (
            "id", "url", "team", "sheet", "files", "state", "batch", "good", "bad", "kept_columns", "bad_rows",
            "created_at", "committed_at", "rows",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(NamedChoice(UPLOAD_STATES, component="UploadState"))
    def get_state(self, upload: Upload) -> str:
        """``preview`` until it is committed, then ``committed``."""
        return UPLOAD_STATES[upload.committed_at is not None]

    @extend_schema_field(RowSerializer(many=True))
    def get_rows(self, upload: Upload) -> list[dict[str, Any]]:
        names = upload.verdicts["names"]
        return [_row(names, verdict) for verdict in self._shown(upload)]

    def _shown(self, upload: Upload) -> Iterable[Verdict]:
        only_bad = self.context["request"].query_params.get("only") == "bad"
        return (verdict for verdict in verdicts_of(upload.verdicts) if not (only_bad and verdict.good))


def _row(names: list[str], verdict: Verdict) -> dict[str, Any]:
    return {
        "line": verdict.line,
        "good": verdict.good,
        "values": dict(zip(names, verdict.values, strict=True)),
        "errors": [{"column": fault.column, "message": fault.message} for fault in verdict.errors],
    }


class SentFilesSerializer(serializers.Serializer[Any]):
    file_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MOST_FILES, help_text="Of /api/files/, complete."
    )


class SentUploadSerializer(SentFilesSerializer):
    """An upload of files that arrived before; the one sheet among them (also inside a ZIP) is the sheet."""

    team = serializers.SlugField(help_text="The team's slug.")


class NewUploadSerializer(SentUploadSerializer):
    """``multipart/form-data``. Without ``sheet``, the one CSV among the files (also inside a ZIP) is the sheet."""

    sheet = serializers.FileField(required=False, allow_empty_file=True, help_text="CSV, or a ZIP with the CSV in it.")
    files = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True), required=False, help_text="PSDs and projects, or ZIPs."
    )


class CommitSerializer(serializers.Serializer[Any]):
    rows = NamedChoice((CHOICE_ALL, CHOICE_GOOD), component="RowsToCommit", help_text="good leaves bad rows out.")
    name = serializers.CharField(required=False, allow_blank=True, default="", max_length=1000)
    again = serializers.BooleanField(
        required=False, default=False, help_text="Also when you made a batch of the same sheet lately."
    )


class CommitConflictSerializer(ConflictSerializer):
    batch = serializers.IntegerField(required=False, help_text="The batch that the same sheet became lately.")
