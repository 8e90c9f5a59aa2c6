"""How the API shows uploads and batches, and what it takes for them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from batches.intake import opening
from batches.intake.judging import judge_names, titles_of
from batches.intake.sheet import MOST_ROW
from batches.intake.table import BY_NAME
from batches.intake.upload import MOST_FILES
from batches.models import Batch, Upload, UploadRow
from batches.rollup import BATCH_STATES, COUNTS
from batches.updates.applying import counts_of
from batches.updates.serializers import ChangeCountsSerializer
from jobs.api import ConflictSerializer, ForecastSerializer, NamedChoice, words_field
from jobs.errands import why_paused

UPLOAD_STATES = Upload.STATES
ROWS_SHOWN = 500
CHOICE_ALL, CHOICE_GOOD = "all", "good"


class BatchStateField(NamedChoice):
    def __init__(self, **options: Any) -> None:
        super().__init__(list(BATCH_STATES), component="BatchState", **options)


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


class TemplateSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As the rows name it.")
    jobs = serializers.IntegerField()


class FiguresSerializer(serializers.Serializer[Any]):
    """What a list shows of a batch's work."""

    files = serializers.IntegerField(source="total", help_text="Designs: one a job.")
    bytes_in = serializers.IntegerField(help_text="Of the designs that are stored.")
    bytes_out = serializers.IntegerField(help_text="Of what was deployed last.")
    percent = serializers.FloatField(help_text="0 to 100, of the jobs that were not cancelled.")


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """Many batches should have their figures attached at once."""

    url = serializers.HyperlinkedIdentityField(view_name="api:batch-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    state = BatchStateField(read_only=True)
    counts = serializers.SerializerMethodField()
    figures = FiguresSerializer(read_only=True)
    external_ids = serializers.SerializerMethodField()
    jobs = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields: tuple[str, ...] = (
            "id", "url", "name", "directory_name", "prefix", "day", "number", "description", "external_ids", "team",
            "source", "state", "counts", "figures", "jobs", "upload", "created_by", "created_at", "archived_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_external_ids(self, batch: Batch) -> dict[str, str]:
        return {known.key: known.value for known in batch.external_ids.all()}

    @extend_schema_field(CountsSerializer)
    def get_counts(self, batch: Batch) -> dict[str, int]:
        return {"total": batch.figures.total, **{name: batch.counts[name] for name in COUNTS}}

    def get_jobs(self, batch: Batch) -> str:
        """The address of the batch's jobs."""
        return f"{reverse('api:job-list', request=self.context.get('request'))}?batch={batch.pk}"


class BatchProgressSerializer(serializers.Serializer[Any]):
    """What moves while a batch is worked on."""

    id = serializers.IntegerField()
    state = BatchStateField()
    percent = serializers.FloatField(help_text="Of the stages of all jobs that were not cancelled.")
    counts = CountsSerializer()


class BatchStatsSerializer(serializers.Serializer[Any]):
    state = BatchStateField()
    description = serializers.CharField(help_text="The batch's own, or one from what is in it.")
    figures = FiguresSerializer()
    states = serializers.DictField(
        source="figures.public", child=serializers.IntegerField(), help_text="Jobs by public state, those that occur."
    )
    templates = TemplateSerializer(many=True)
    rate_per_minute = serializers.FloatField(help_text="Preparations of stages that ended lately.")
    forecast = ForecastSerializer(allow_null=True, help_text="null when no machine has anything to do.")


class AmendBatchSerializer(serializers.Serializer[Any]):
    """What is left out stays."""

    name = words_field(required=False, allow_blank=True, help_text="Empty: the directory's name again.")
    prefix = words_field(required=False, allow_blank=True, help_text="Empty: as the files' names say.")
    description = words_field(required=False, allow_blank=True)
    external_ids = serializers.DictField(child=words_field(), required=False, help_text="Replaces all of them.")


class ReasonSerializer(serializers.Serializer[Any]):
    reason = words_field(required=False, allow_blank=True, default="")


class BatchDoneSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField(help_text="What became of it, in words.")
    batch = BatchSerializer()


class PinnedSerializer(serializers.Serializer[Any]):
    pinned = serializers.BooleanField()


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
    where = serializers.CharField(help_text="How people find it: Jobs!C7 in a workbook, Line 7 elsewhere.")


class RowSerializer(serializers.Serializer[Any]):
    """Takes UploadRow with the upload's ``names`` in the context."""

    line = serializers.IntegerField(help_text="Of a text or workbook, the first is 1; of a JSON the number of the row.")
    good = serializers.BooleanField()
    values = serializers.DictField(child=serializers.CharField(allow_blank=True))
    errors = FaultSerializer(many=True)  # type: ignore[assignment]

    def to_representation(self, row: UploadRow) -> dict[str, Any]:
        return {
            "line": row.line,
            "good": row.good,
            "values": dict(zip(self.context["names"], row.values, strict=True)),
            "errors": [{"column": column, "message": message, "where": where} for column, message, where in row.errors],
        }


class IntakeProgressSerializer(serializers.Serializer[Any]):
    """What a worker does for an upload now."""

    step = serializers.CharField()
    done = serializers.IntegerField(help_text="Rows.")
    total = serializers.IntegerField(help_text="Rows, about; 0 when unknown.")


class MappedColumnSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(help_text="The sheet's column, tidied: lower case, _ for blanks.")
    how = NamedChoice(("same", "word", "alike", "remembered", "chosen"), component="MappedHow")


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """The preview: what was found in the sheet, row by row."""

    url = serializers.HyperlinkedIdentityField(view_name="api:upload-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    sheet = serializers.CharField(source="sheet.name", read_only=True)
    sheet_name = serializers.SerializerMethodField(help_text="The workbook's sheet that was taken.")
    sheet_names = serializers.SerializerMethodField(help_text="The sheets of the workbook.")
    header_row = serializers.SerializerMethodField(help_text="The row of the titles, from 1; null in a JSON.")
    files = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    state = NamedChoice(UPLOAD_STATES, component="UploadState", read_only=True)
    problem = serializers.CharField(read_only=True, help_text="Why it is in the state mapping or refused.")
    progress = serializers.SerializerMethodField()
    batch = serializers.SerializerMethodField(help_text="The batch, when it is open.")
    columns = serializers.SerializerMethodField(help_text="The titles of the sheet's columns.")
    updates = serializers.IntegerField(
        source="updates_id", read_only=True, allow_null=True, help_text="The batch that it is a newer sheet for."
    )
    changes = serializers.SerializerMethodField(help_text="What a newer sheet would change; null before it is judged.")
    mapping = serializers.SerializerMethodField(help_text="Which of them are ours, and how that was found.")
    kept_columns = serializers.SerializerMethodField(help_text="Unknown columns, kept.")
    rows = serializers.SerializerMethodField()
    all_rows = serializers.HyperlinkedIdentityField(view_name="api:upload-rows")
    bad_rows = serializers.HyperlinkedIdentityField(view_name="api:upload-bad-rows")

    class Meta:
        model = Upload
        fields = (
            "id", "url", "team", "sheet", "sheet_name", "sheet_names", "header_row", "files", "state", "problem",
            "progress", "batch", "updates", "changes", "good", "bad", "columns", "mapping", "kept_columns",
            "all_rows", "bad_rows", "created_at", "committed_at",
            "rows",
        )  # fmt: skip
        read_only_fields = fields

    def get_sheet_name(self, upload: Upload) -> str:
        return str(upload.layout.get("sheet_name", ""))

    def get_sheet_names(self, upload: Upload) -> list[str]:
        return list(upload.layout.get("sheet_names", ()))

    def get_header_row(self, upload: Upload) -> int | None:
        return upload.layout.get("header_line") or None

    def get_columns(self, upload: Upload) -> list[str]:
        return list(upload.layout.get("header", ()))

    @extend_schema_field(serializers.DictField(child=MappedColumnSerializer()))
    def get_mapping(self, upload: Upload) -> dict[str, Any]:
        return dict(upload.mapping)

    def get_kept_columns(self, upload: Upload) -> list[str]:
        mapped = set(titles_of(upload).values())
        pairs = zip(upload.layout.get("header", ()), upload.layout.get("titles", ()), strict=True)
        return [title for title, name in pairs if name not in mapped]

    @extend_schema_field(IntakeProgressSerializer(allow_null=True))
    def get_progress(self, upload: Upload) -> dict[str, Any] | None:
        errand = opening.errand_of(upload)
        if errand is None:
            return None
        step = why_paused(errand) or errand.step
        return {"step": step, "done": errand.done, "total": errand.total}

    def get_batch(self, upload: Upload) -> int | None:
        if upload.state != Upload.COMMITTED:
            return None
        return upload.batch.pk if upload.updates_id is None else upload.updates_id

    @extend_schema_field(ChangeCountsSerializer(allow_null=True))
    def get_changes(self, upload: Upload) -> dict[str, int] | None:
        is_judged = upload.state in {Upload.PREVIEW, Upload.OPENING, Upload.COMMITTED}
        return counts_of(upload) if upload.updates_id is not None and is_judged else None

    @extend_schema_field(RowSerializer(many=True))
    def get_rows(self, upload: Upload) -> list[dict[str, Any]]:
        """The first 500 in the order of the sheet; all of them, page by page, are at ``all_rows``."""
        if upload.state in {Upload.JUDGING, Upload.MAPPING, Upload.REFUSED}:
            return []
        rows = upload.rows.order_by("id")
        if self.context["request"].query_params.get("only") == "bad":
            rows = rows.filter(good=False)
        context = {**self.context, "names": judge_names(upload)}
        return [dict(row) for row in RowSerializer(rows[:ROWS_SHOWN], many=True, context=context).data]


MAPPING_HELP = "{our column: the sheet's column}; remembered for the team's next sheet with this header."


class SentFilesSerializer(serializers.Serializer[Any]):
    file_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MOST_FILES, help_text="Of /api/files/, complete."
    )


class SentUploadSerializer(SentFilesSerializer):
    """An upload of files that arrived before; the one sheet among them (also inside a ZIP) is the sheet."""

    team = serializers.SlugField(help_text="The team's slug.")
    sheet_name = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=200, help_text="Which sheet of a workbook."
    )
    url = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=1000,
        help_text="The address of a Google Sheet, which is read instead of a sheet among the files.",
    )
    range = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=200, help_text="What of it: A1:H, 'My tab'!A1:H, Tab."
    )
    mapping = serializers.JSONField(required=False, help_text=MAPPING_HELP)
    updates = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="The batch that this is a newer sheet for.",
    )

    def validate_mapping(self, given: Any) -> dict[str, str]:
        return checked_mapping(given)


class NewUploadSerializer(SentUploadSerializer):
    """``multipart/form-data``. Without ``sheet``, the one sheet among the files (also inside a ZIP) is taken."""

    sheet = serializers.FileField(
        required=False, allow_empty_file=True, help_text="CSV, TSV, XLSX, ODS or JSON, or a ZIP with one of them in it."
    )
    files = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True), required=False, help_text="PSDs and projects, or ZIPs."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["url"] and data.get("sheet"):
            raise serializers.ValidationError({"url": ["Send a sheet or the address of one, not both."]})
        return data


def checked_mapping(given: Any) -> dict[str, str]:
    """{our column: a title}, or a ValidationError."""
    if not isinstance(given, dict) or not all(isinstance(title, str) for title in given.values()):
        raise serializers.ValidationError("An object is wanted: our columns with the titles of the sheet's columns.")
    if len(given) > len(BY_NAME):
        raise serializers.ValidationError(f"There are only {len(BY_NAME)} columns to map to.")
    return given


class UploadChangeSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    mapping = serializers.DictField(
        child=serializers.CharField(allow_blank=True), required=False, help_text=MAPPING_HELP
    )
    sheet_name = serializers.CharField(required=False, max_length=200, help_text="Another sheet of the workbook.")
    header_row = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_ROW, help_text="The number of the row that has the titles, from 1."
    )


class CommitSerializer(serializers.Serializer[Any]):
    rows = NamedChoice((CHOICE_ALL, CHOICE_GOOD), component="RowsToCommit", help_text="good leaves bad rows out.")
    name = serializers.CharField(required=False, allow_blank=True, default="", max_length=1000)
    again = serializers.BooleanField(
        required=False, default=False, help_text="Also when you made a batch of the same sheet lately."
    )


class CommitConflictSerializer(ConflictSerializer):
    batch = serializers.IntegerField(required=False, help_text="The batch that the same sheet became lately.")
