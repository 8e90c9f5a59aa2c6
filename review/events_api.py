"""The API of the history: lists with filters, a cursor for those who keep a copy, and exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request

from jobs.api import Door, answers
from jobs.api_filters import Filters, IdFilter, MomentFilter, StableOrdering, TextFilter, TruthFilter
from jobs.models import Event
from review import event_export
from review.serializers import EventSerializer

SINCE = "since"
F = TypeVar("F", bound=Callable[..., Any])


class EventFilters(Filters):
    team = TextFilter("team__slug", help_text="The team's slug.")
    verb = TextFilter("verb")
    job = IdFilter("job")
    job_id = TextFilter("job__job_id", lookup_expr="icontains", help_text="Finds text in the job's name.")
    batch = IdFilter("batch")
    actor = TextFilter("actor__username", help_text="A username.")
    by_machine = TruthFilter("actor", lookup_expr="isnull", help_text="What no person did.")
    after = MomentFilter("at", lookup_expr="gte")
    before = MomentFilter("at", lookup_expr="lt")
    since = IdFilter(
        "seal__number",
        lookup_expr="gt",
        help_text="The `number` of the last event that you have (0: none). What was sealed after it, oldest first;"
        " not together with `ordering`.",
    )
    ordering = StableOrdering(fields=["at", "id"])

    def filter_queryset(self, queryset: QuerySet[Event]) -> QuerySet[Event]:
        events: QuerySet[Event] = super().filter_queryset(queryset)
        if self.form.cleaned_data.get(SINCE) is None:
            return events
        if self.form.cleaned_data.get("ordering"):
            raise ValidationError({"ordering": ["With since, events come in the order of their numbers."]})
        return events.order_by("seal__number")


def _export(summary: str, media_type: str) -> Callable[[F], F]:
    """Documents an export: the filters of the list, without its order and pages."""
    unordered = OpenApiParameter("ordering", exclude=True)
    responses = answers({(200, media_type): OpenApiTypes.STR}, 400)
    documented: Callable[[F], F] = extend_schema(
        summary=summary, parameters=[unordered], responses=responses, filters=True
    )
    return documented


@extend_schema_view(list=extend_schema(summary="History", responses=answers({200: EventSerializer(many=True)}, 400)))
class EventDoor(ListModelMixin, Door[Event]):
    """The whole history of your teams, newest first. To keep a copy, ask for what came `since` the last `number`."""

    queryset = Event.objects.none()
    serializer_class = EventSerializer
    filterset_class = EventFilters

    def get_queryset(self) -> QuerySet[Event]:
        events = Event.objects.visible_to(self.request.user)
        return events.select_related("team", "actor", "job", "seal").order_by("-id")

    @_export("History as CSV", "text/csv")
    def export_csv(self, request: Request) -> StreamingHttpResponse:
        """All that fits the filters, oldest first. What a spreadsheet would calculate has an apostrophe before it."""
        return self._streamed(event_export.as_csv, "text/csv; charset=utf-8", "history.csv")

    @_export("History as JSON Lines", "application/jsonl")
    def export_jsonl(self, request: Request) -> StreamingHttpResponse:
        """All that fits the filters, oldest first, an event on each line."""
        return self._streamed(event_export.as_json_lines, "application/jsonl", "history.jsonl")

    def _streamed(
        self, write: Callable[[Iterator[dict[str, Any]]], Iterator[bytes]], media_type: str, name: str
    ) -> StreamingHttpResponse:
        events = self.filter_queryset(self.get_queryset())
        key = "seal__number" if SINCE in self.request.query_params else "pk"
        rows = event_export.rows(events, key)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(write(rows), content_type=media_type, headers=headers)
