"""The API of what files take and how long they are kept: use, policy, and what the policy would remove now."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django_filters.utils import translate_validation
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import retention
from jobs.api import PROBLEMS, Door, answers, checked, person
from jobs.api_filters import Filters, IdField
from jobs.models import Asset, RetentionPolicy, Team
from jobs.tokens import Scope


def _days(**options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(
        allow_null=True, min_value=1, max_value=retention.MOST_DAYS, help_text="Days; null keeps them.", **options
    )


class PolicySerializer(serializers.Serializer[Any]):
    """How many days files are kept, by what they are. In a PATCH what is left out stays as it is."""

    preview_days = _days(required=False)
    intermediate_days = _days(required=False)
    input_days = _days(required=False)
    deployed_days = _days(required=False)
    failed_days = _days(required=False)
    archived_days = _days(required=False)
    deleted_days = _days(required=False)


class UseSerializer(serializers.Serializer[Any]):
    files = serializers.IntegerField()
    named_bytes = serializers.IntegerField(help_text="Once for each record.")
    stored_bytes = serializers.IntegerField(help_text="The same content once.")


class DueSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField(source="rule.name")
    what = serializers.CharField(source="rule.label")
    files = serializers.IntegerField()
    size_bytes = serializers.IntegerField()


class LargeBatchSerializer(serializers.Serializer[Any]):
    batch = serializers.IntegerField()
    name = serializers.CharField()
    pinned = serializers.BooleanField()
    deleted = serializers.BooleanField()
    files = serializers.IntegerField()
    size_bytes = serializers.IntegerField()


class DueFileSerializer(serializers.Serializer[Any]):
    """``job`` and ``batch`` are null for files that several jobs or batches may share."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.CharField()
    size_bytes = serializers.IntegerField()
    rule = serializers.CharField(help_text="The rule that takes it.")
    job = serializers.IntegerField(source="job_id", allow_null=True)
    batch = serializers.IntegerField(allow_null=True)
    batch_name = serializers.CharField(allow_null=True)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": retention.MOST_DAYS})
class DaysFilter(django_filters.Filter):  # type: ignore[misc]
    """Narrows nothing: the days make another policy to try."""

    field_class = IdField

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


def _tried() -> DaysFilter:
    return DaysFilter(min_value=1, max_value=retention.MOST_DAYS, help_text="Instead of the policy's.")


class DueFilters(Filters):
    """A rule, and days to try instead of the policy's."""

    rule = django_filters.ChoiceFilter(
        choices=[(rule.name, rule.label) for rule in retention.RULES],
        method="of_rule",
        help_text="What this rule names, also where another one takes it first.",
    )
    preview_days = _tried()
    intermediate_days = _tried()
    input_days = _tried()
    deployed_days = _tried()
    failed_days = _tried()
    archived_days = _tried()
    deleted_days = _tried()

    def of_rule(self, qs: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return qs  # which is made for it


class RetentionSerializer(serializers.Serializer[Any]):
    policy = PolicySerializer()
    use = UseSerializer()
    due = DueSerializer(many=True, help_text="What would go now, by rule. A file that two rules name counts for both.")
    largest_batches = LargeBatchSerializer(many=True)


class RetentionDoor(Door[Team]):
    """The space of a team."""

    queryset = Team.objects.none()
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[Team]:
        return Team.objects.visible_to(self.request.user)

    @extend_schema(
        summary="What a team's files take, and how long they are kept",
        responses=answers({200: RetentionSerializer}, 400, 404),
    )
    def retention(self, request: Request, pk: str) -> Response:
        """``due`` is the dry run: what the policy would remove now. Batches that are pinned are not in it."""
        return Response(self._of(self.get_object()))

    @extend_schema(
        summary="Change how long files are kept",
        request=PolicySerializer,
        responses=answers({200: RetentionSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    def set_retention(self, request: Request, pk: str) -> Response:
        """For leads."""
        team = self.get_object()
        retention.set_policy(person(request), team, checked(PolicySerializer, request))
        return Response(self._of(team))

    def _of(self, team: Team) -> Any:
        policy = retention.policy_of(team)
        shown = {
            "policy": {name: getattr(policy, name) for name in RetentionPolicy.DAYS},
            "use": retention.use_of(team),
            "due": retention.due(team, policy),
            "largest_batches": retention.largest_batches(team),
        }
        return self.shown(RetentionSerializer, shown)


class DueDoor(Door[Team]):
    """The files of a team that would go."""

    queryset = Team.objects.none()
    filterset_class = DueFilters
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[Team]:
        return Team.objects.visible_to(self.request.user)

    @extend_schema(
        operation_id="teams_retention_due_list",
        summary="The files that would go now",
        responses=answers({200: DueFileSerializer(many=True)}, 400, 404),
    )
    def due(self, request: Request, pk: str) -> Response:
        """The dry run, file by file, the oldest first. With days it is that of a policy that has these instead."""
        policy = retention.policy_of(self.get_object())
        asked = DueFilters(request.query_params, queryset=Asset.objects.none())
        if not asked.is_valid():
            raise translate_validation(asked.errors)
        days = {name: asked.form.cleaned_data[name] for name in RetentionPolicy.DAYS}
        for name, value in days.items():
            setattr(policy, name, getattr(policy, name) if value is None else value)  # never saved
        return self.page_of(retention.due_list(policy, rule=asked.form.cleaned_data["rule"]), DueFileSerializer)
