"""The API of machines: who is there, and what leads do with them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import blocking
from jobs import workers as register
from jobs.api import PROBLEMS, AskedStageField, Door, NamedChoice, StageField, answers, checked, person, words_field
from jobs.errors import Conflict
from jobs.models import StageBlock, Team, Worker
from jobs.tokens import Scope

CONFLICT = {409: PROBLEMS[409]}
MOST_REASON_CHARACTERS = 500


class StageBlockSerializer(serializers.ModelSerializer[StageBlock]):
    """A stage that the machine failed too often for its own reasons."""

    stage = StageField(read_only=True)

    class Meta:
        model = StageBlock
        fields = ("stage", "reason", "blocked_at", "until")
        read_only_fields = fields


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    """One `manage.py work`. ``capacity`` is processes by queue. The context holds the ``blocks`` that count now."""

    state = NamedChoice(Worker.STATES, component="WorkerState", read_only=True)
    capacity = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    changed_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True, allow_null=True)
    is_silent = serializers.BooleanField(read_only=True, help_text="Its heartbeat does not come any more.")
    blocked_stages = serializers.SerializerMethodField()

    class Meta:
        model = Worker
        fields = (
            "id", "name", "machine", "version", "capacity", "state", "reason", "changed_by", "is_silent",
            "blocked_stages", "restarts", "started_at", "heartbeat_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(StageBlockSerializer(many=True))
    def get_blocked_stages(self, worker: Worker) -> list[dict[str, Any]]:
        blocks = [block for block in self.context["blocks"] if block.machine == worker.machine]
        return [dict(row) for row in StageBlockSerializer(blocks, many=True).data]


class MachineReasonSerializer(serializers.Serializer[Any]):
    reason = words_field(required=False, allow_blank=True, default="")

    def validate_reason(self, text: str) -> str:
        return text[:MOST_REASON_CHARACTERS]


class LiftSerializer(serializers.Serializer[Any]):
    stage = AskedStageField(help_text="The stage that the machine may work on again.")


VERB: dict[str, Any] = {
    "request": MachineReasonSerializer,
    "responses": answers({200: WorkerSerializer, **CONFLICT}, 400, 403, 404, 413),
}


@extend_schema_view(
    list=extend_schema(summary="Machines", responses=answers({200: WorkerSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A machine", responses=answers({200: WorkerSerializer}, 400, 404)),
)
class WorkerDoor(ListModelMixin, RetrieveModelMixin, Door[Worker]):
    """The machines that work, of no team: members of any team see them, leads look after them."""

    queryset = Worker.objects.none()
    serializer_class = WorkerSerializer
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[Worker]:
        if not Team.objects.visible_to(self.request.user).exists():
            return Worker.objects.none()
        return register.present().select_related("changed_by").order_by("id")

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "blocks": list(register.blocks())}

    def _set(self, request: Request, state: str) -> Response:
        user, worker = person(request), self.get_object()
        register.require_lead(user)
        register.set_state(user, worker, state, reason=checked(MachineReasonSerializer, request)["reason"])
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(summary="Drain a machine", **VERB)
    @action(detail=True, methods=["post"])
    def drain(self, request: Request, pk: str) -> Response:
        """For leads. It ends what it has begun and claims no more, until it is started again."""
        return self._set(request, Worker.DRAINING)

    @extend_schema(summary="Block a machine", **VERB)
    @action(detail=True, methods=["post"])
    def block(self, request: Request, pk: str) -> Response:
        """For leads. It claims nothing, also when it was started again, until it is readmitted."""
        return self._set(request, Worker.BLOCKED)

    @extend_schema(summary="Readmit a machine", **VERB)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, pk: str) -> Response:
        """For leads."""
        return self._set(request, Worker.ACTIVE)

    @extend_schema(
        summary="Let a machine work on a stage again",
        request=LiftSerializer,
        responses=answers({200: WorkerSerializer, **CONFLICT}, 400, 403, 404, 413),
    )
    @action(detail=True, methods=["post"])
    def lift(self, request: Request, pk: str) -> Response:
        """For leads: lifts the block of one of its ``blocked_stages``."""
        user, worker = person(request), self.get_object()
        register.require_lead(user)
        stage = checked(LiftSerializer, request)["stage"]
        block = register.blocks().filter(machine=worker.machine, stage=stage).first()
        if block is None:
            raise Conflict(f"{worker.machine} may work on {stage.label.lower()} already.", state="lifted")
        blocking.lift(user, block)
        return Response(self.get_serializer(self.get_object()).data)
