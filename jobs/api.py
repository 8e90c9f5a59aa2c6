"""What the parts of the API have in common: how they read requests, cut pages, name choices and document errors.

As ``jobs/admin.py`` for the admin site. The addresses are put together in ``aeproject/api.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from django.contrib.auth.models import User
from django.db import models
from django.http import HttpRequest, QueryDict
from django.shortcuts import get_object_or_404
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from jobs.api_bodies import check_body
from jobs.api_fields import Tree, narrow, prune, read_fields
from jobs.api_pages import CursorPages
from jobs.idempotency import Idempotent
from jobs.log_context import bind
from jobs.models import PRIORITIES, Job
from jobs.states import PUBLIC_STATES, Stage
from jobs.tokens import Scope

M = TypeVar("M", bound=models.Model)
MOST_ID = 2**63 - 1
MOST_VERSION = 2**31 - 1
MOST_WORDS_CHARACTERS = 10_000
STAGE_NAMES = {stage.name.lower(): stage for stage in Stage}


# Requests -------------------------------------------------------------------------------------------------------------
class DecisionParser(JSONParser):
    """JSON. What is nested deeper than the decoder can go is as wrong as any other body that cannot be read."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply.") from None


class OneAnswer(BaseContentNegotiation):
    """Every address has one kind of answer, whatever ``Accept`` says: a download is not JSON, and no 406 is needed."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return next((parser for parser in parsers if request.content_type.lower().startswith(parser.media_type)), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


def person(request: HttpRequest | Request) -> User:
    """The person who asks. Nobody else gets past the permission check."""
    assert isinstance(request.user, User)
    return request.user


def record_id(text: str) -> int:
    """The number in an address. Raises a ValidationError for what cannot be the number of a record."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MOST_ID):
        raise ValidationError({"id": [f"“{text[:20]}” is not the number of a record."]})
    return int(text)


def _check_query(query: QueryDict) -> None:
    """Raises a ValidationError that names what has a NUL: PostgreSQL compares no such text with anything."""
    problems = {name: ["Null characters are not allowed."] for name in query if "\0" in "".join(query.getlist(name))}
    if problems:
        raise ValidationError(problems)


class Selective(APIView):
    """A view whose answers to GET can be narrowed with ``fields``. ``selected`` is what was asked for."""

    selected: Tree
    takes_fields = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.selected = {}
        super().initial(request, *args, **kwargs)
        _check_query(request.query_params)
        if request.method == "GET" and self.takes_fields:
            self.selected = read_fields(request.query_params.get("fields"))

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "selected", None) and response.status_code == 200 and isinstance(response, Response):
            try:
                response.data = self.pruned(response.data)
            except ValidationError as error:
                response = self.handle_exception(error)
        return super().finalize_response(request, response, *args, **kwargs)

    def pruned(self, data: Any) -> Any:
        return prune(data, self.selected)

    def wants(self, name: str) -> bool:
        """Whether a field of the answer is asked for."""
        selected = getattr(self, "selected", None)
        return not selected or name in selected


def _job_of(record: models.Model) -> Job | None:
    """The job that the log lines of a request for the record name; nothing is fetched for it."""
    if isinstance(record, Job):
        return record
    link = getattr(type(record), "job", None)
    return getattr(record, "job", None) if link is not None and link.is_cached(record) else None


class Door(Selective, Idempotent, GenericViewSet[M]):
    """A set of addresses on records of the person's teams. ``get_queryset`` starts from ``visible_to``."""

    parser_classes = [DecisionParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OneAnswer
    pagination_class = CursorPages
    metadata_class = None
    scopes: ClassVar[tuple[Scope, ...]] = ()

    def get_object(self) -> M:
        """The record of the address; the filters of lists have no say here."""
        record = get_object_or_404(self.get_queryset(), pk=record_id(self.kwargs["pk"]))
        job = _job_of(record)
        if job is not None:
            bind(job=job.job_id)
        return record

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        return narrow(super().get_serializer(*args, **kwargs), getattr(self, "selected", {}))

    def pruned(self, data: Any) -> Any:
        if isinstance(data, dict) and "results" in data and "next" in data:
            return {**data, "results": [prune(row, self.selected) for row in data["results"]]}
        return super().pruned(data)

    def shown(self, serializer: type[serializers.BaseSerializer[Any]], record: Any, **options: Any) -> Any:
        """A record, or ``many=True`` records, as the serializer shows them, narrowed to what is asked for."""
        context = self.get_serializer_context()
        return narrow(serializer(record, context=context, **options), self.selected).data

    def page_of(
        self, rows: models.QuerySet[Any] | Sequence[Any], serializer: type[serializers.BaseSerializer[Any]]
    ) -> Response:
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.shown(serializer, page, many=True))

    def at_conflict(self) -> dict[str, Any]:
        """What a conflict tells beside its words: the present state, and what is possible in it."""
        return {}


def checked(
    serializer: type[serializers.Serializer[Any]], request: Request, *, lenient: bool = False
) -> dict[str, Any]:
    """The body, read by the serializer. Raises a ValidationError that names the fields, unknown ones too.

    ``lenient`` leaves out what is unknown and reads text as numbers, for those whose clients were written elsewhere.
    """
    body = serializer(data=request.data)
    if not lenient:
        check_body(body, request.data)
    body.is_valid(raise_exception=True)
    data: dict[str, Any] = body.validated_data
    return data


# Fields ---------------------------------------------------------------------------------------------------------------
class NamedChoice(serializers.ChoiceField):
    """A choice that is one named schema wherever it occurs."""

    component = ""

    def __init__(self, choices: Iterable[str], *, component: str, **options: Any) -> None:
        self.component = component
        super().__init__(list(choices), **options)


class NamedChoiceSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = NamedChoice
    match_subclasses = True

    def get_name(self) -> str:
        return str(self.target.component)

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.target.choices)}


class StateField(NamedChoice):
    """The public state of a job."""

    def __init__(self, **options: Any) -> None:
        super().__init__(PUBLIC_STATES, component="JobState", **options)


class PriorityField(NamedChoice):
    """A priority by its name; inside it is a rank."""

    def __init__(self, **options: Any) -> None:
        super().__init__(PRIORITIES, component="Priority", **options)

    def to_internal_value(self, data: Any) -> Any:
        return PRIORITIES[super().to_internal_value(data)]


class StageField(serializers.Field[Stage, Any, int, Any]):
    """A stage: shown as its number, taken as its number or its name."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "stage": f"A stage is a number from 1 to 4, or one of {', '.join(STAGE_NAMES)}."
    }

    def to_representation(self, value: int) -> int:
        return int(value)

    def to_internal_value(self, data: Any) -> Stage:
        stage = stage_of(data)
        if stage is None:
            self.fail("stage")
        return stage


class StageFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = StageField

    def get_name(self) -> str:
        return "Stage"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        described = ", ".join(f"{stage.value} {name}" for name, stage in STAGE_NAMES.items())
        return {"type": "integer", "enum": [stage.value for stage in Stage], "description": described}


class AskedStageField(StageField):
    """A stage in a body: its number or its name."""


class AskedStageFieldSchema(StageFieldSchema):  # type: ignore[no-untyped-call]
    target_class = AskedStageField
    priority = 1

    def get_name(self) -> str:
        return "AskedStage"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        numbers = [stage.value for stage in Stage]
        names = [*STAGE_NAMES, *map(str, numbers)]
        return {"oneOf": [{"type": "integer", "enum": numbers}, {"type": "string", "enum": names}]}


def stage_of(data: Any) -> Stage | None:
    """A stage by its number or its name, as number or text; None for anything else."""
    if isinstance(data, float) and data.is_integer():
        data = int(data)  # 3.0 is the 3 of JSON
    text = str(data).lower() if isinstance(data, str | int) and not isinstance(data, bool) else ""
    numbered = {str(stage.value): stage for stage in Stage}
    return STAGE_NAMES.get(text) or numbered.get(text)


def version_field(*, required: bool) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=0, max_value=MOST_VERSION, required=required, help_text="The version of the job that you saw."
    )


def words_field(**options: Any) -> serializers.CharField:
    return serializers.CharField(max_length=MOST_WORDS_CHARACTERS, **options)


# Errors ---------------------------------------------------------------------------------------------------------------
class ProblemSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()


class ConflictSerializer(serializers.Serializer[Any]):
    """Nothing happened: the record is not, or no longer, where the verb expects it."""

    detail = serializers.CharField()
    state = serializers.CharField(help_text="The state it is in now.")
    allowed = serializers.ListField(child=serializers.CharField(), help_text="What you may do with it now.")


class ForecastSerializer(serializers.Serializer[Any]):
    """Nine times in ten it should lie between the two; null while there is no history to go by."""

    text = serializers.CharField()
    low_seconds = serializers.FloatField(allow_null=True)
    high_seconds = serializers.FloatField(allow_null=True)


class PauseSerializer(serializers.Serializer[Any]):
    reason = words_field(required=False, allow_blank=True, default="")


class PausedSerializer(serializers.Serializer[Any]):
    paused = serializers.BooleanField()


FIELD_PROBLEMS = {
    "type": "object",
    "additionalProperties": {
        "oneOf": [
            {"type": "array", "items": {"type": "string"}},
            {"type": "string"},
            {"type": "object", "additionalProperties": {}},
        ]
    },
    "examples": [{"reason": ["Reject needs a reason."]}],
}
PROBLEMS: dict[int, Any] = {
    400: OpenApiResponse(FIELD_PROBLEMS, description="What is wrong, by the name of the field."),
    401: OpenApiResponse(ProblemSerializer, description="No credentials, or wrong ones."),
    403: OpenApiResponse(ProblemSerializer, description="The role is missing."),
    404: OpenApiResponse(ProblemSerializer, description="It does not exist, or belongs to another team."),
    409: OpenApiResponse(ConflictSerializer, description="Not possible now; nothing happened."),
    413: OpenApiResponse(ProblemSerializer, description="The body is too large."),
    429: OpenApiResponse(ProblemSerializer, description="Too many requests: wait as long as Retry-After says."),
    503: OpenApiResponse(ProblemSerializer, description="Google does not answer, or not now: try later."),
}


def answers(success: dict[Any, Any], *problems: int) -> dict[Any, Any]:
    """The documented answers of an operation: its own, the problems named, and those that every operation has."""
    return {**success, **{status: PROBLEMS[status] for status in sorted({*problems, 401, 429})}}
