"""The API of dead letters: what failed for good, by cause, and setting it going again."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import deadletters
from jobs.api import PROBLEMS, Door, NamedChoice, StageField, answers, checked, person
from jobs.models import Errand, StageRun
from jobs.teams import require_verb
from jobs.tokens import Scope

THIS, CAUSE, ALL = "this", "cause", "all"


class DeadLetterSerializer(serializers.Serializer[Any]):
    """One cause, with the number of jobs that failed of it."""

    letter = serializers.IntegerField(help_text="The newest of them: the number to retry by.")
    fingerprint = serializers.CharField()
    stage = StageField()
    error_class = serializers.CharField()
    error = serializers.CharField(help_text="The words of the newest.")
    jobs = serializers.IntegerField()
    newest_at = serializers.DateTimeField()


class ErrandSerializer(serializers.ModelSerializer[Errand]):
    """Work of a page, such as judging a large sheet. ``subject`` is the number of the upload or linked sheet there."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    state = NamedChoice(Errand.STATES, component="ErrandState", read_only=True)

    class Meta:
        model = Errand
        fields = ("id", "kind", "subject", "team", "state", "attempts", "error", "ended_at")
        read_only_fields = fields


class RetryLettersSerializer(serializers.Serializer[Any]):
    which = NamedChoice(
        (THIS, CAUSE, ALL),
        component="Letters",
        required=False,
        default=THIS,
        help_text="This one, those with its cause, or all that you may retry.",
    )


class RetriedSerializer(serializers.Serializer[Any]):
    moved = serializers.IntegerField(help_text="Jobs that are queued again.")
    refused = serializers.IntegerField(help_text="Jobs that somebody else had moved meanwhile.")
    left = serializers.IntegerField(help_text="What one request could not take too: send it again.")


class DeadLetterDoor(Door[StageRun]):
    """What failed for good, of your teams."""

    queryset = StageRun.objects.none()
    serializer_class = DeadLetterSerializer

    def get_queryset(self) -> QuerySet[StageRun]:
        return deadletters.letters(person(self.request)).select_related("job__team")

    def at_conflict(self) -> dict[str, Any]:
        return {"state": "gone", "allowed": []}

    @extend_schema(summary="Dead letters by cause", responses=answers({200: DeadLetterSerializer(many=True)}))
    def list(self, request: Request) -> Response:
        """The cause with the most jobs first."""
        return self.page_of(deadletters.by_cause(self.get_queryset()), DeadLetterSerializer)

    @extend_schema(
        summary="Retry dead letters",
        request=RetryLettersSerializer,
        responses=answers({200: RetriedSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def retry(self, request: Request, pk: str) -> Response:
        user, letter = person(request), self.get_object()
        which = checked(RetryLettersSerializer, request)["which"]
        require_verb(user, letter.job.team, "retry")
        if which == THIS:
            done = deadletters.retry_one(user, letter)
        else:
            found = deadletters.letters(user)
            done = deadletters.retry_many(user, deadletters.with_cause_of(found, letter) if which == CAUSE else found)
        return Response({"moved": done.moved, "refused": done.refused, "left": done.left})


class DeadErrandDoor(ListModelMixin, Door[Errand]):
    """Work of pages that failed for good, of your teams."""

    queryset = Errand.objects.none()
    serializer_class = ErrandSerializer

    def get_queryset(self) -> QuerySet[Errand]:
        user = person(self.request)
        if self.action == "list":
            return deadletters.dead_errands(user)
        return Errand.objects.visible_to(user).select_related("team")

    @extend_schema(summary="Errands that failed", responses=answers({200: ErrandSerializer(many=True)}))
    def list(self, request: Request) -> Response:
        """Those that were not asked for again, the newest first."""
        return super().list(request)

    @extend_schema(
        summary="Try an errand again",
        request=None,
        responses=answers({200: ErrandSerializer, 409: PROBLEMS[409]}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def retry(self, request: Request, pk: str) -> Response:
        """For operators. Answers with the errand that was sent in its place; 409 when there is nothing to try again."""
        sent = deadletters.retry_errand(person(request), self.get_object())
        return Response(self.get_serializer(sent).data)
