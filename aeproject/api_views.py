"""The parts of the API that look across both front doors."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import Count, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from batches.models import Batch
from batches.rollup import BATCH_STATES, state_expression
from jobs import pauses
from jobs.api import (
    PROBLEMS,
    DecisionParser,
    Door,
    OneAnswer,
    PausedSerializer,
    PauseSerializer,
    Selective,
    StageField,
    answers,
    checked,
    person,
)
from jobs.api_access import ANY_SCOPE
from jobs.errors import Invalid
from jobs.idempotency import Idempotent
from jobs.models import Job, Pause, StageRun, Team
from jobs.states import PUBLIC_STATES, QUEUES, Stage, State, public_state
from jobs.teams import PEOPLE_ROLES
from jobs.tokens import Scope
from review.serializers import RunningSerializer
from review.waiting import roles_by_team, waiting_for

MOST_RUNNING = 50


class Address(Selective, Idempotent):
    """One address that is no set of records."""

    parser_classes = [DecisionParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OneAnswer
    metadata_class = None
    scopes: ClassVar[tuple[Scope, ...]] = ()

    def at_conflict(self) -> dict[str, Any]:
        return {}


class TeamSerializer(serializers.ModelSerializer[Team]):
    """A team, with your roles in it. The context holds the ``roles`` by team."""

    roles = serializers.SerializerMethodField()

    class Meta:
        model = Team
        fields = ("id", "name", "slug", "roles")
        read_only_fields = fields

    def get_roles(self, team: Team) -> list[str]:
        held = self.context["roles"].get(team.pk, frozenset())
        return [role.value for role in PEOPLE_ROLES if role in held]


class TeamDoor(Door[Team]):
    """Your teams."""

    queryset = Team.objects.none()
    serializer_class = TeamSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "roles": roles_by_team(person(self.request))}

    def get_queryset(self) -> QuerySet[Team]:
        return Team.objects.visible_to(self.request.user)

    @extend_schema(
        summary="Pause a team",
        request=PauseSerializer,
        responses=answers({200: PausedSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def pause(self, request: Request, pk: str) -> Response:
        """No work of the team is begun until it is resumed; what runs already is finished."""
        reason = checked(PauseSerializer, request)["reason"]
        pauses.pause(person(request), pauses.of_team(self.get_object()), reason=reason)
        return Response({"paused": True})

    @extend_schema(
        summary="Resume a team",
        request=None,
        responses=answers({200: PausedSerializer, 409: PROBLEMS[409]}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], scopes=(Scope.SUBMIT,))
    def resume(self, request: Request, pk: str) -> Response:
        pauses.resume(person(request), pauses.of_team(self.get_object()))
        return Response({"paused": False})

    @extend_schema(summary="Your teams", responses=answers({200: TeamSerializer(many=True)}))
    def list(self, request: Request) -> Response:
        return self.page_of(Team.objects.visible_to(request.user), TeamSerializer)


class QueueSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    paused = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it was paused.")


class QueuesSerializer(serializers.Serializer[Any]):
    queues = QueueSerializer(many=True)


class Queues(Address):
    @extend_schema(summary="The queues", responses=answers({200: QueuesSerializer}))
    def get(self, request: Request) -> Response:
        """Which queues there are, and which of them leads have paused."""
        reasons = dict(Pause.objects.filter(key__startswith="queue:").values_list("key", "reason"))
        scopes = [(queue.value, pauses.of_queue(queue).key) for queue in QUEUES]
        rows = [{"name": name, "paused": key in reasons, "reason": reasons.get(key, "")} for name, key in scopes]
        return Response({"queues": rows})


QUEUE = OpenApiParameter("queue", str, OpenApiParameter.PATH, enum=[queue.value for queue in QUEUES])


class PauseQueue(Address):
    scopes = (Scope.SUBMIT,)

    @extend_schema(
        parameters=[QUEUE],
        summary="Pause a queue",
        request=PauseSerializer,
        responses=answers({200: PausedSerializer, 409: PROBLEMS[409]}, 400, 403, 404, 413),
    )
    def post(self, request: Request, queue: str) -> Response:
        """For leads: no work of the queue is begun, of any team, until it is resumed; what runs already is finished."""
        reason = checked(PauseSerializer, request)["reason"]
        pauses.pause(person(request), _queue(queue), reason=reason)
        return Response({"paused": True})


class ResumeQueue(Address):
    scopes = (Scope.SUBMIT,)

    @extend_schema(
        parameters=[QUEUE],
        summary="Resume a queue",
        request=None,
        responses=answers({200: PausedSerializer, 409: PROBLEMS[409]}, 400, 403, 404),
    )
    def post(self, request: Request, queue: str) -> Response:
        """For leads."""
        pauses.resume(person(request), _queue(queue))
        return Response({"paused": False})


def _queue(name: str) -> pauses.Scope:
    try:
        return pauses.of_queue(name)
    except Invalid as error:
        raise NotFound(str(error)) from None


class MeSerializer(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="get_full_name", read_only=True)
    teams = TeamSerializer(many=True, read_only=True)

    class Meta:
        model = User
        fields = ("username", "name", "email", "is_superuser", "teams")
        read_only_fields = fields


class Me(Address):
    @extend_schema(summary="Who you are", responses=answers({200: MeSerializer}))
    def get(self, request: Request) -> Response:
        user = person(request)
        user.teams = Team.objects.visible_to(user)  # type: ignore[attr-defined]
        return Response(MeSerializer(user, context={"roles": roles_by_team(user)}).data)


# Figures --------------------------------------------------------------------------------------------------------------
class StageFiguresSerializer(serializers.Serializer[Any]):
    stage = StageField()
    name = serializers.CharField()
    total = serializers.IntegerField()
    states = serializers.DictField(child=serializers.IntegerField(), help_text="Jobs by public state.")


class DashboardSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    states = serializers.DictField(child=serializers.IntegerField(), help_text="Jobs by public state.")
    stages = StageFiguresSerializer(many=True)
    needs_me = serializers.IntegerField(help_text="Jobs that wait for one of your roles.")
    assigned_to_me = serializers.IntegerField(help_text="Of these, those that you were asked to look after.")
    queued = serializers.IntegerField()
    running = RunningSerializer(many=True, help_text=f"The first {MOST_RUNNING}.")
    batches = serializers.DictField(child=serializers.IntegerField(), help_text="Batches by state.")


class Dashboard(Address):
    @extend_schema(summary="Figures", responses=answers({200: DashboardSerializer}))
    def get(self, request: Request) -> Response:
        """Jobs by stage and state, what needs you, what runs, batches by state."""
        user = person(request)
        stages = _stages(user)
        waiting = waiting_for(user).order_by()
        runs = StageRun.objects.visible_to(user)
        running = runs.filter(state=StageRun.RUNNING).select_related("job").defer("result", "metrics", "error")
        batches = Batch.objects.visible_to(user).annotate(derived_state=state_expression()).order_by()
        found = Counter(batches.values_list("derived_state", flat=True))
        figures = {
            "total": sum(stage["total"] for stage in stages),
            "states": {name: sum(stage["states"][name] for stage in stages) for name in PUBLIC_STATES},
            "stages": stages,
            "needs_me": waiting.count(),
            "assigned_to_me": waiting.filter(assignee=user).count(),
            "queued": runs.filter(state=StageRun.QUEUED).count(),
            "running": running.order_by("started_at", "id")[:MOST_RUNNING],
            "batches": {state: found.get(state, 0) for state in BATCH_STATES},
        }
        return Response(DashboardSerializer(figures).data)


def _stages(user: User) -> list[dict[str, Any]]:
    counted: Counter[tuple[Stage, str]] = Counter()
    rows = Job.objects.visible_to(user).order_by().values_list("stage", "state")
    for stage, state, jobs in rows.annotate(jobs=Count("pk")):
        counted[Stage(stage), public_state(Stage(stage), State(state))] += jobs
    return [
        {
            "stage": stage,
            "name": stage.label,
            "total": sum(jobs for (at, _), jobs in counted.items() if at == stage),
            "states": {name: counted[stage, name] for name in PUBLIC_STATES},
        }
        for stage in Stage
    ]


@extend_schema(exclude=True)
class NotThere(Address):
    """Every other address below ``/api/``, so that a wrong one is answered in JSON."""

    scopes = reading_scopes = ANY_SCOPE

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}  # what is not there has no methods to allow

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        slash = "" if request.path.endswith("/") else " Addresses end with a slash."
        raise NotFound(f"There is nothing at {request.path[:200]}.{slash}")
