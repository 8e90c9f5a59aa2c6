"""What the API takes for the verbs of people."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.api import MOST_ID, AskedStageField, NamedChoice, PriorityField, version_field, words_field
from jobs.states import Stage


class ApproveSerializer(serializers.Serializer[Any]):
    """At delivery, approval is by force and takes a reason of at least 10 characters."""

    version = version_field(required=True)
    reason = words_field(required=False, allow_blank=True, default="")


class RejectSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)
    reason = words_field()
    stage = AskedStageField(
        required=False,
        default=Stage.MATCHING,
        help_text="Where it goes back to: a stage behind it; matching by default.",
    )


class MoveSerializer(serializers.Serializer[Any]):
    """``version`` is checked when it is sent."""

    version = version_field(required=False)
    reason = words_field(required=False, allow_blank=True, default="")


class RequeueSerializer(MoveSerializer):
    stage = AskedStageField(help_text="The stage to process again from: this one or one behind it.")


class AmendSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)
    slot_id = serializers.CharField(max_length=60, help_text="One of the job's matches; 400 for another.")
    layer_id = serializers.IntegerField(
        min_value=-MOST_ID,
        max_value=MOST_ID,
        allow_null=True,
        help_text="One of the job's layers; null: as the template has it.",
    )


class UndoSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)


class ChooseCompSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)
    comp_id = serializers.IntegerField(
        min_value=-MOST_ID, max_value=MOST_ID, help_text="One of the project's compositions; 400 for another."
    )


class AssignSerializer(serializers.Serializer[Any]):
    assignee = serializers.CharField(max_length=150, allow_null=True, help_text="Of the job's team; null for nobody.")


class NewCommentSerializer(serializers.Serializer[Any]):
    text = words_field()


class NewPrioritySerializer(serializers.Serializer[Any]):
    priority = PriorityField()


class ResolveSerializer(serializers.Serializer[Any]):
    resolution = NamedChoice(
        ("resolved", "accepted", ""), component="Resolution", allow_blank=True, help_text="Empty opens it again."
    )
    note = words_field(required=False, allow_blank=True, default="", help_text="Accepting takes a note.")
