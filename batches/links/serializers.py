"""How the API shows a linked sheet, and what it takes for one."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from batches.intake.table import BY_NAME
from batches.links import linking
from batches.links.models import LEAST_POLL_MINUTES, MOST_POLL_MINUTES, LinkedSheet


class LinkedSheetSerializer(serializers.ModelSerializer[LinkedSheet]):
    """A Google Sheet that a batch follows."""

    address = serializers.HyperlinkedIdentityField(view_name="api:linked-sheet-detail")
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    batch = serializers.IntegerField(
        source="batch_id", read_only=True, allow_null=True, help_text="null until its first upload is committed."
    )
    is_reading = serializers.SerializerMethodField()
    upload = serializers.SerializerMethodField()
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = LinkedSheet
        fields = (
            "id", "address", "team", "batch", "url", "range", "title", "mapping", "is_reading", "upload", "read_at",
            "error", "is_polling", "poll_minutes", *linking.COLUMN_FIELDS, "written_at", "write_error", "write_note",
            "created_by", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_is_reading(self, linked: LinkedSheet) -> bool:
        """Whether a worker reads it now, or is going to."""
        return linking.errand_of(linked) is not None

    def get_upload(self, linked: LinkedSheet) -> int | None:
        """What was made of it when it was compared last: look at its changes, commit or apply it."""
        upload = linking.newest(linked)
        return upload.pk if upload is not None else None


class NewLinkSerializer(serializers.Serializer[Any]):
    team = serializers.SlugField(help_text="The team's slug.")
    url = serializers.CharField(max_length=500, help_text="As in the browser, or the id of the sheet alone.")
    range = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=150, help_text="A1:H, or 'My tab'!A:F."
    )
    mapping = serializers.DictField(
        child=serializers.CharField(allow_blank=True), required=False, help_text="{our column: the sheet's column}"
    )
    batch = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="Without one, the first commit opens it."
    )

    def validate_mapping(self, given: dict[str, str]) -> dict[str, str]:
        if len(given) > len(BY_NAME):
            raise serializers.ValidationError(f"There are only {len(BY_NAME)} columns to map to.")
        return given


class AmendLinkSerializer(serializers.Serializer[Any]):
    """What is left out stays."""

    is_polling = serializers.BooleanField(required=False)
    poll_minutes = serializers.IntegerField(required=False, min_value=LEAST_POLL_MINUTES, max_value=MOST_POLL_MINUTES)
    state_column = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text="A title; empty: not written."
    )
    link_column = serializers.CharField(required=False, allow_blank=True, max_length=200)
    error_column = serializers.CharField(required=False, allow_blank=True, max_length=200)
