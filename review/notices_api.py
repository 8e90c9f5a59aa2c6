"""The API of what one person is told: the bell, and how they want to be told. Everybody sees their own alone."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import PROBLEMS, Door, NamedChoice, answers, checked, person
from jobs.api_access import ANY_SCOPE
from jobs.api_filters import Filters, TruthFilter
from jobs.models import Notice, NoticeChoice
from jobs.models.notice import PEOPLES_NAMES
from review import bell
from review.notice_choices import choices_of, keep_choices, send_test

CONFLICT = {409: PROBLEMS[409]}
AS_TEAM = "team"


class NoticeSerializer(serializers.ModelSerializer[Notice]):
    """``times`` is for how many jobs of the batch it stands; ``job`` is the newest of them.

    Both are null for errands and deliveries that were given up: of these it counts the team's.
    """

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    title = serializers.CharField(read_only=True)

    class Meta:
        model = Notice
        fields = ("id", "team", "name", "title", "batch", "job", "times", "told_at", "read_at")
        read_only_fields = fields


class NoticeFilters(Filters):
    unread = TruthFilter("read_at", lookup_expr="isnull", help_text="true: those that you have not read.")


class MarkedSerializer(serializers.Serializer[Any]):
    read = serializers.IntegerField(help_text="Notices that were unread.")


class ChoiceSerializer(serializers.Serializer[Any]):
    """How you are told of one kind of notice."""

    name = NamedChoice(PEOPLES_NAMES, component="PersonalNotice")
    mail = NamedChoice(
        (AS_TEAM, NoticeChoice.NOW, NoticeChoice.DAILY, NoticeChoice.NEVER),
        component="MailChoice",
        help_text="`team`: as the team has it; `digest`: once a day.",
    )
    bell = serializers.BooleanField()


class ChoicesSerializer(serializers.Serializer[Any]):
    choices = ChoiceSerializer(many=True)


class NewChoicesSerializer(serializers.Serializer[Any]):
    """Those that are left out stay as they are; of one that is named twice the last counts."""

    choices = serializers.ListField(child=ChoiceSerializer(), max_length=100, required=False, default=list)


class SentToSerializer(serializers.Serializer[Any]):
    to = serializers.EmailField()


@extend_schema_view(
    list=extend_schema(summary="Your notices", responses=answers({200: NoticeSerializer(many=True)}, 400))
)
class NoticeDoor(ListModelMixin, Door[Notice]):
    """What stands in your bell, newest first."""

    queryset = Notice.objects.none()
    serializer_class = NoticeSerializer
    filterset_class = NoticeFilters
    scopes = ANY_SCOPE

    def get_queryset(self) -> QuerySet[Notice]:
        return bell.notices_of(person(self.request)).select_related("team").order_by("-told_at", "-id")

    @extend_schema(
        summary="Mark a notice as read",
        request=None,
        responses=answers({200: NoticeSerializer, **CONFLICT}, 400, 403, 404),
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def read(self, request: Request, pk: str) -> Response:
        bell.mark_read(person(request), self.get_object().pk)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        operation_id="notices_read_all_create",
        summary="Mark all notices as read",
        request=None,
        responses=answers({200: MarkedSerializer, **CONFLICT}, 400, 403, 404),
    )
    @action(detail=False, methods=["post"], url_path="read", url_name="read-all", filterset_class=None)
    def read_all(self, request: Request) -> Response:
        return Response({"read": bell.mark_read(person(request))})

    @extend_schema(
        methods=["GET"], summary="How you are told", filters=False, responses=answers({200: ChoicesSerializer}, 400)
    )
    @extend_schema(
        methods=["PATCH"],
        summary="Choose how you are told",
        request=NewChoicesSerializer,
        responses=answers({200: ChoicesSerializer, **CONFLICT}, 400, 403, 404, 413),
    )
    @action(detail=False, methods=["get", "patch"], filterset_class=None, pagination_class=None)
    def choices(self, request: Request) -> Response:
        user = person(request)
        if request.method == "PATCH":
            given = checked(NewChoicesSerializer, request)["choices"]
            mail = {AS_TEAM: NoticeChoice.AS_TEAM}
            keep_choices(user, {one["name"]: (mail.get(one["mail"], one["mail"]), one["bell"]) for one in given})
        shown = [
            {"name": choice.name, "mail": choice.mail or AS_TEAM, "bell": choice.bell} for choice in choices_of(user)
        ]
        return Response({"choices": shown})

    @extend_schema(
        summary="Send yourself a test e-mail",
        request=None,
        responses=answers({200: SentToSerializer, **CONFLICT}, 400, 403, 404),
    )
    @action(detail=False, methods=["post"], filterset_class=None)
    def test(self, request: Request) -> Response:
        """409 when one is on its way already, or when we know no address of yours."""
        return Response({"to": send_test(person(request))})
