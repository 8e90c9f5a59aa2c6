"""The shapes of the predecessor's API: what the old addresses take, and, for the schema, what they answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

Shape = serializers.Serializer[Any]


class OldNewBatch(Shape):
    csv_file = serializers.FileField(help_text="The sheet.", allow_empty_file=True)
    files = serializers.ListField(child=serializers.FileField(allow_empty_file=True), required=False)
    team = serializers.CharField(required=False, help_text="Its slug, for those who are operators in more than one.")
    user_id = serializers.CharField(
        required=False, allow_blank=True, help_text="Ignored: the history names the person whose token it is."
    )


class OldNewStart(Shape):
    max_jobs = serializers.IntegerField(min_value=1, max_value=2**31 - 1, default=100)


class OldProblem(Shape):
    success = serializers.BooleanField(help_text="false")
    error = serializers.CharField()


class OldBadRow(Shape):
    job_id = serializers.CharField(allow_null=True)
    row = serializers.IntegerField(help_text="Its line; the header is 1. 0: the sheet itself.")
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]


class OldGoodRow(Shape):
    job_id = serializers.CharField()
    psd_path = serializers.CharField()
    aepx_path = serializers.CharField()
    output_name = serializers.CharField()
    client_name = serializers.CharField(allow_null=True)
    project_name = serializers.CharField(allow_null=True)
    priority = serializers.CharField()
    notes = serializers.CharField(allow_null=True)


class OldValidation(Shape):
    valid = serializers.BooleanField()
    batch_id = serializers.CharField(allow_null=True)
    total_jobs = serializers.IntegerField()
    valid_jobs = serializers.IntegerField()
    invalid_jobs = serializers.IntegerField()
    errors = OldBadRow(many=True)  # type: ignore[assignment]
    warnings = serializers.ListField(child=serializers.JSONField(), help_text="Always empty.")
    jobs = OldGoodRow(many=True)


class OldUploadAnswer(Shape):
    """With ``success`` false either ``validation`` and ``message``, or ``error``."""

    success = serializers.BooleanField()
    batch_id = serializers.CharField(required=False)
    validation = OldValidation(required=False)
    message = serializers.CharField(required=False)
    error = serializers.CharField(required=False)


class OldStartResult(Shape):
    processed = serializers.IntegerField(help_text="Queued now.")
    succeeded = serializers.IntegerField(help_text="0: nothing is prepared when the answer comes.")
    failed = serializers.IntegerField(help_text="0")
    job_results = serializers.DictField(help_text="Empty.")


class OldStartAnswer(Shape):
    success = serializers.BooleanField()
    batch_id = serializers.CharField()
    result = OldStartResult()
    message = serializers.CharField()


class OldShortBatch(Shape):
    batch_id = serializers.CharField()
    status = serializers.CharField()
    total_jobs = serializers.IntegerField()
    valid_jobs = serializers.IntegerField()
    uploaded_at = serializers.CharField()
    uploaded_by = serializers.CharField()


class OldLongBatch(OldShortBatch):
    csv_filename = serializers.CharField()
    invalid_jobs = serializers.IntegerField()
    validated_at = serializers.CharField()
    completed_at = serializers.CharField(allow_null=True)


class OldBatchAnswer(Shape):
    success = serializers.BooleanField()
    batch = OldLongBatch()
    stage_counts = serializers.DictField(child=serializers.IntegerField())
    status_counts = serializers.DictField(child=serializers.IntegerField())


class OldShortJob(Shape):
    job_id = serializers.CharField()
    batch_id = serializers.CharField()
    status = serializers.CharField()
    priority = serializers.CharField(help_text="high, medium or low; urgent jobs are high.")
    client_name = serializers.CharField(allow_null=True)
    project_name = serializers.CharField(allow_null=True)
    output_name = serializers.CharField()
    created_at = serializers.CharField()


class OldLongJob(OldShortJob):
    current_stage = serializers.IntegerField()
    psd_path = serializers.CharField()
    aepx_path = serializers.CharField()
    final_aep_path = serializers.CharField(allow_null=True, help_text="Below the output storage.")
    updated_at = serializers.CharField()
    stage0_completed_at = serializers.CharField()
    stage1_completed_at = serializers.CharField(allow_null=True)
    stage2_completed_at = serializers.CharField(allow_null=True)
    stage3_completed_at = serializers.CharField(allow_null=True)
    stage4_completed_at = serializers.CharField(allow_null=True)


class OldMatch(Shape):
    slot_id = serializers.CharField()
    slot_name = serializers.CharField()
    layer_id = serializers.IntegerField(allow_null=True)
    layer_name = serializers.CharField(allow_blank=True)
    score = serializers.FloatField(allow_null=True)


class OldWarning(Shape):
    warning_id = serializers.IntegerField()
    type = serializers.CharField()
    severity = serializers.CharField()
    message = serializers.CharField()
    stage = serializers.IntegerField()
    created_at = serializers.CharField()


class OldWarnings(Shape):
    total = serializers.IntegerField()
    critical = serializers.IntegerField()
    list = OldWarning(many=True)


class OldLog(Shape):
    log_id = serializers.IntegerField()
    stage = serializers.IntegerField(allow_null=True)
    action = serializers.CharField()
    message = serializers.CharField()
    user_id = serializers.CharField()
    created_at = serializers.CharField()


class OldJobAnswer(Shape):
    success = serializers.BooleanField()
    job = OldLongJob()
    stage1_results = serializers.DictField(allow_null=True)
    stage2_approved_matches = OldMatch(many=True, allow_null=True)
    warnings = OldWarnings()
    recent_logs = OldLog(many=True)


class OldStageAnswer(Shape):
    success = serializers.BooleanField()
    stage = serializers.IntegerField()
    count = serializers.IntegerField()
    jobs = OldShortJob(many=True)


class OldSummary(Shape):
    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    avg_completion_time = serializers.CharField(help_text="2h 5m, 12m or N/A.")


class OldStatsAnswer(Shape):
    success = serializers.BooleanField()
    summary = OldSummary()
    stage_counts = serializers.DictField(child=serializers.IntegerField())
    status_counts = serializers.DictField(child=serializers.IntegerField())
    recent_batches = OldShortBatch(many=True)
