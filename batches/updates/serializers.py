"""How the API shows what a newer sheet would change, and what it takes to apply it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from batches.models import SheetChange
from jobs.api import NamedChoice


class ChangeCountsSerializer(serializers.Serializer[Any]):
    """Rows and jobs by what a newer sheet says of them."""

    new = serializers.IntegerField(help_text="Rows without a job.")
    changed = serializers.IntegerField()
    removed = serializers.IntegerField(help_text="Jobs that are not over and have no row.")
    unchanged = serializers.IntegerField()
    errors = serializers.IntegerField(help_text="Rows with errors: their jobs stay as they are.")  # type: ignore[assignment]
    hindered = serializers.IntegerField(help_text="Of the changes, those that cannot be done now.")


class TurnedSerializer(serializers.Serializer[Any]):
    column = serializers.CharField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)


class SheetChangeSerializer(serializers.Serializer[Any]):
    """What a newer sheet would do to one job, or did."""

    kind = NamedChoice(SheetChange.KINDS, component="ChangeKind")
    job_id = serializers.CharField(source="name", help_text="As the sheet has it.")
    job = serializers.IntegerField(source="job_id", allow_null=True, help_text="null for a new row.")
    line = serializers.IntegerField(help_text="For a job whose row is gone, where it stood.")
    differences = serializers.SerializerMethodField()
    redo = serializers.IntegerField(allow_null=True, help_text="The first stage that is prepared anew; null: none.")
    hindrance = serializers.CharField(allow_blank=True, help_text="Why it cannot be done now.")
    outcome = NamedChoice(("", *SheetChange.OUTCOMES), component="ChangeOutcome", allow_blank=True)
    note = serializers.CharField(allow_blank=True, help_text="Why it was left out.")

    @extend_schema_field(TurnedSerializer(many=True))
    def get_differences(self, change: SheetChange) -> list[dict[str, str]]:
        return [{"column": name, "before": old, "after": new} for name, (old, new) in change.fields.items()]


class ApplySerializer(serializers.Serializer[Any]):
    new = serializers.BooleanField(required=False, default=True, help_text="Open the new rows as jobs.")
    changed = serializers.BooleanField(required=False, default=True, help_text="Change the jobs whose rows changed.")
    cancel = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=2**31 - 1,
        help_text="How many jobs to cancel because their rows are gone: `changes.removed`, or 0 to keep them.",
    )
