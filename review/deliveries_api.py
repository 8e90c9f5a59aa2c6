"""The API of webhook endpoints, and of everything that was sent outside."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import endpoints, notices
from jobs.api import PROBLEMS, Door, NamedChoice, answers, checked, person
from jobs.api_filters import Filters, IdFilter, TextFilter
from jobs.errors import Conflict
from jobs.models import Delivery, Team, WebhookEndpoint
from jobs.models.notice import NOTICE_NAMES
from jobs.states import Role
from jobs.teams import require_role
from jobs.tokens import Scope

CONFLICT = {409: PROBLEMS[409]}


class NoticeNameField(NamedChoice):
    """What webhooks and mails tell of."""

    def __init__(self, **options: Any) -> None:
        super().__init__(NOTICE_NAMES, component="NoticeName", **options)


class EndpointSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """An endpoint. Its secret is shown when it is made or rotated, and never again."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    events = serializers.ListField(child=NoticeNameField(), read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields: tuple[str, ...] = ("id", "team", "url", "events", "active", "created_at", "old_secret_until")
        read_only_fields = fields


class FreshEndpointSerializer(EndpointSerializer):
    """An endpoint with a secret that was just made."""

    secret = serializers.CharField(read_only=True, help_text="Shown this once; of Standard Webhooks (`whsec_...`).")

    class Meta(EndpointSerializer.Meta):
        fields = (*EndpointSerializer.Meta.fields, "secret")
        read_only_fields = fields


class EndpointChangeSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    url = serializers.URLField(required=False, max_length=500, help_text="https, and of no address inside the network.")
    events = serializers.ListField(
        child=NoticeNameField(), required=False, max_length=len(NOTICE_NAMES), help_text="Names of what is told."
    )
    active = serializers.BooleanField(required=False)


class NewEndpointSerializer(EndpointChangeSerializer):
    team = serializers.SlugField(help_text="The team's slug.")
    url = serializers.URLField(max_length=500, help_text="https, and of no address inside the network.")
    events = serializers.ListField(
        child=NoticeNameField(),
        required=False,
        default=lambda: list(NOTICE_NAMES),
        max_length=len(NOTICE_NAMES),
        help_text="All when left out.",
    )
    active = serializers.BooleanField(required=False, default=True)


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One notice to one receiver. ``message_id`` is the `webhook-id` that it was sent with, at every attempt."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    channel = NamedChoice(Delivery.CHANNELS, component="Channel", read_only=True)
    state = NamedChoice(Delivery.STATES, component="DeliveryState", read_only=True)
    message_id = serializers.SerializerMethodField()
    receiver = serializers.CharField(read_only=True, help_text="An address of the web, or of e-mail.")

    class Meta:
        model = Delivery
        fields = (
            "id", "message_id", "team", "name", "channel", "endpoint", "receiver", "job", "batch", "state", "attempts",
            "last_status", "last_answer", "last_at", "available_at", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_message_id(self, delivery: Delivery) -> str:
        return f"msg_{delivery.message_id.hex}"


class EndpointFilters(Filters):
    team = TextFilter("team__slug", help_text="The team's slug.")


@extend_schema_view(
    list=extend_schema(summary="Webhook endpoints", responses=answers({200: EndpointSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A webhook endpoint", responses=answers({200: EndpointSerializer}, 400, 404)),
)
class EndpointDoor(ListModelMixin, RetrieveModelMixin, Door[WebhookEndpoint]):
    """Addresses outside that a team's events are sent to. Operators look after them."""

    queryset = WebhookEndpoint.objects.none()
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilters
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[WebhookEndpoint]:
        return WebhookEndpoint.objects.visible_to(self.request.user).select_related("team").order_by("-id")

    def _fresh(self, endpoint: WebhookEndpoint, *, status: int) -> Response:
        shown = {**self.get_serializer(endpoint).data, "secret": endpoint.secret}
        return Response(shown, status=status, headers={"Cache-Control": "no-store"})

    def _operated(self) -> WebhookEndpoint:
        endpoint = self.get_object()
        require_role(person(self.request), endpoint.team, Role.OPERATOR)
        return endpoint

    @extend_schema(
        summary="Add a webhook endpoint",
        request=NewEndpointSerializer,
        responses=answers({201: FreshEndpointSerializer, **CONFLICT}, 400, 403, 404, 413),
    )
    def create(self, request: Request) -> Response:
        """For operators. The answer shows the secret, once. 400 also for an address inside the network."""
        data = checked(NewEndpointSerializer, request)
        team = get_object_or_404(Team.objects.visible_to(request.user), slug=data.pop("team"))
        return self._fresh(endpoints.add(person(request), team, **data), status=201)

    @extend_schema(
        summary="Change a webhook endpoint",
        request=EndpointChangeSerializer,
        responses=answers({200: EndpointSerializer, **CONFLICT}, 400, 403, 404, 413),
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        endpoint = self._operated()
        endpoints.change(person(request), endpoint, **checked(EndpointChangeSerializer, request))
        return Response(self.get_serializer(endpoint).data)

    @extend_schema(
        summary="Remove a webhook endpoint", request=None, responses=answers({204: None, **CONFLICT}, 400, 403, 404)
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """With what is still to be delivered to it."""
        endpoints.remove(person(request), self.get_object())
        return Response(status=204)

    @extend_schema(
        summary="Give a webhook endpoint a new secret",
        request=None,
        responses=answers({200: FreshEndpointSerializer, **CONFLICT}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def rotate(self, request: Request, pk: str) -> Response:
        """Shown once. For a day messages are signed with the old one too; 409 while that day lasts."""
        endpoint = self._operated()
        notices.rotate_secret(person(request), endpoint)
        return self._fresh(endpoint, status=200)

    @extend_schema(
        summary="Send a test to a webhook endpoint",
        request=None,
        responses=answers({201: DeliverySerializer, **CONFLICT}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def test(self, request: Request, pk: str) -> Response:
        """Through the outbox, as everything else: poll the delivery for what came of it."""
        delivery = notices.announce_test(self._operated())
        delivery.refresh_from_db()  # its time is the database's
        return Response(DeliverySerializer(delivery).data, status=201)


class DeliveryFilters(Filters):
    team = TextFilter("team__slug", help_text="The team's slug.")
    state = django_filters.ChoiceFilter(choices=[(name, name) for name in Delivery.STATES])
    channel = django_filters.ChoiceFilter(choices=[(name, name) for name in Delivery.CHANNELS])
    name = TextFilter("name", help_text="What it tells of.")
    endpoint = IdFilter("endpoint")
    job = IdFilter("job")
    batch = IdFilter("batch")


class ReplayTeamSerializer(serializers.Serializer[Any]):
    team = serializers.SlugField(help_text="The team's slug.")


class ReplayedSerializer(serializers.Serializer[Any]):
    replayed = serializers.IntegerField(help_text="Deliveries that are sent again.")


@extend_schema_view(
    list=extend_schema(summary="Deliveries", responses=answers({200: DeliverySerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A delivery", responses=answers({200: DeliverySerializer}, 400, 404)),
)
class DeliveryDoor(ListModelMixin, RetrieveModelMixin, Door[Delivery]):
    """What was sent outside, by webhook or e-mail, newest first."""

    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilters
    scopes = (Scope.SUBMIT,)

    def get_queryset(self) -> QuerySet[Delivery]:
        return Delivery.objects.visible_to(self.request.user).select_related("team", "endpoint").order_by("-id")

    @extend_schema(
        summary="Send a delivery again",
        request=None,
        responses=answers({200: DeliverySerializer, **CONFLICT}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def replay(self, request: Request, pk: str) -> Response:
        """For operators. Under its id, so that the receiver knows it again; 409 when it is to be sent anyway."""
        delivery = self.get_object()
        require_role(person(request), delivery.team, Role.OPERATOR)
        notices.replay(delivery)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Send again what was never taken",
        request=ReplayTeamSerializer,
        responses=answers({200: ReplayedSerializer, **CONFLICT}, 400, 403, 404, 413),
    )
    @action(detail=False, methods=["post"], url_path="replay-dead", filterset_class=None)
    def replay_dead(self, request: Request) -> Response:
        """For operators: all dead deliveries of the team; 409 when there are none."""
        slug = checked(ReplayTeamSerializer, request)["team"]
        team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
        require_role(person(request), team, Role.OPERATOR)
        count = notices.replay_dead(team)
        if not count:
            raise Conflict(f"{team} has no dead deliveries (any more).")
        return Response({"replayed": count})
