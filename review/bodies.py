"""What the API takes for the verbs of people."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.api import MOST_ID, NamedChoice, PriorityField, StageField, version_field, words_field
from jobs.states import Stage


class ApproveSerializer(serializers.Serializer[Any]):
    """At delivery, approval is by force and takes a reason of at least 10 characters."""

    version = version_field(required=True)
    reason = words_field(required=False, allow_blank=True, default="")


class RejectSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)
    reason = words_field()
    stage = StageField(required=False, default=Stage.MATCHING, help_text="Where it goes back to; matching by default.")


class MoveSerializer(serializers.Serializer[Any]):
    """``version`` is checked when it is sent."""

    version = version_field(required=False)
    reason = words_field(required=False, allow_blank=True, default="")


class RequeueSerializer(MoveSerializer):
    stage = StageField(help_text="The stage to process again from.")


class AmendSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)
    slot_id = serializers.CharField(max_length=60)
    layer_id = serializers.IntegerField(
        min_value=-MOST_ID, max_value=MOST_ID, allow_null=True, help_text="null leaves the slot as the template has it."
    )


class ChooseCompSerializer(serializers.Serializer[Any]):
    version = version_field(required=True)
    comp_id = serializers.IntegerField(min_value=-MOST_ID, max_value=MOST_ID)


class AssignSerializer(serializers.Serializer[Any]):
    assignee = serializers.CharField(max_length=150, allow_null=True, help_text="A username; null for nobody.")


class NewCommentSerializer(serializers.Serializer[Any]):
    text = words_field()


class NewPrioritySerializer(serializers.Serializer[Any]):
    priority = PriorityField()


class ResolveSerializer(serializers.Serializer[Any]):
    resolution = NamedChoice(
        ("resolved", "accepted", ""), component="Resolution", allow_blank=True, help_text="Empty opens it again."
    )
    note = words_field(required=False, allow_blank=True, default="", help_text="Accepting takes a note.")
