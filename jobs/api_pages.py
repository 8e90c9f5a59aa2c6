"""Pages of the API's lists: walked by cursor, so that rows that come and go meanwhile neither repeat nor hide others.

A cursor holds the values of the last row in every column of the order, the row's number last among them: the next page
is what lies beyond them. That is one condition an index can answer, however deep the page is, and however many rows are
equal. Cursors are signed, since they come back from outside, and belong to one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

PAGE_SIZE = 50
MOST_ROWS = 200
MOST_CURSOR_CHARACTERS = 8_000
SALT = "jobs.api_pages"
TYPES: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "Decimal": Decimal,
}


@dataclass(frozen=True)
class Column:
    """A column of an order. ``may_be_null``: rows without a value come last, in both directions of the order."""

    name: str
    descending: bool
    may_be_null: bool

    def ordering(self, *, backwards: bool) -> Any:
        descending = self.descending != backwards
        if not self.may_be_null:
            return f"-{self.name}" if descending else self.name
        nulls: dict[str, Any] = {"nulls_first": True} if backwards else {"nulls_last": True}
        return OrderBy(F(self.name), descending=descending, **nulls)

    def equal(self, value: Any) -> Q:
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})

    def beyond(self, value: Any, *, backwards: bool) -> Q | None:
        """Rows that come after the value, or before it when going ``backwards``; None when there can be none."""
        null = Q(**{f"{self.name}__isnull": True})
        if value is None:
            return ~null if backwards else None
        sign = "lt" if self.descending != backwards else "gt"
        strictly = Q(**{f"{self.name}__{sign}": value})
        return strictly | null if self.may_be_null and not backwards else strictly


@dataclass(frozen=True)
class Cursor:
    """The place between two rows: behind the row with these values, or before it when ``backwards``."""

    order: tuple[str, ...]
    values: tuple[Any, ...]
    backwards: bool

    def text(self) -> str:
        packed = [list(self.order), [_pack(value) for value in self.values], int(self.backwards)]
        return signing.Signer(salt=SALT).sign_object(packed, compress=True)


class CursorPages(BasePagination):
    """``results`` with the addresses of the ``next`` and the ``previous`` page; ``count`` when it is asked for."""

    rows: list[Any]

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        asked = request.query_params
        if "page" in asked:
            raise ValidationError({"page": ["Lists have no page numbers: follow “next”."]})
        self.request, self.size, self.total = request, _size(asked.get("page_size")), None
        if _is_true("count", asked.get("count")):
            self.total = len(queryset) if isinstance(queryset, Sequence) else queryset.order_by().count()
        rows = _Sequence(queryset) if isinstance(queryset, Sequence) else _Query(queryset)
        self.columns = rows.columns
        self.cursor = _read(asked.get("cursor"), self._order())
        found = rows.beyond(self.cursor, self.size + 1)
        self.more = len(found) > self.size
        self.rows = found[: self.size]
        if self.cursor is not None and self.cursor.backwards:
            self.rows.reverse()
        return self.rows

    def _order(self) -> tuple[str, ...]:
        return tuple(f"-{column.name}" if column.descending else column.name for column in self.columns)

    def get_paginated_response(self, data: Any) -> Response:
        shown = {"next": self._link(backwards=False), "previous": self._link(backwards=True), "results": data}
        return Response(shown if self.total is None else {"count": self.total, **shown})

    def _link(self, *, backwards: bool) -> str | None:
        came_backwards = self.cursor is not None and self.cursor.backwards
        is_there = self.more if backwards == came_backwards else self.cursor is not None
        if not is_there or not self.rows:
            return None
        edge = self.rows[0 if backwards else -1]
        values = tuple(_value(edge, column.name) for column in self.columns)
        text = Cursor(order=self._order(), values=values, backwards=backwards).text()
        return replace_query_param(remove_query_param(self.request.build_absolute_uri(), "cursor"), "cursor", text)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "description": "All rows that the filters leave, with count=true."},
                "next": link,
                "previous": link,
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        described: list[tuple[str, dict[str, Any], str]] = [
            ("cursor", {"type": "string"}, "Where the page begins: from “next” or “previous”."),
            ("page_size", {"type": "integer", "minimum": 1}, f"Rows on the page: {PAGE_SIZE}, {MOST_ROWS} at most."),
            ("count", {"type": "boolean", "default": False}, "Also count all rows."),
        ]
        return [
            {"name": name, "in": "query", "required": False, "schema": schema, "description": words}
            for name, schema, words in described
        ]


class _Query:
    """Rows of the database, in the order of the queryset and by number where that leaves them equal."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        self.queryset = queryset
        self.columns = _columns(queryset)

    def beyond(self, cursor: Cursor | None, most: int) -> list[Any]:
        backwards = cursor is not None and cursor.backwards
        rows = self.queryset if cursor is None else self.queryset.filter(self._condition(cursor))
        return list(rows.order_by(*(column.ordering(backwards=backwards) for column in self.columns))[:most])

    def _condition(self, cursor: Cursor) -> Q:
        """(a > x) or (a = x and ((b > y) or ...)), from the last column to the first."""
        condition = Q(pk__in=[])
        for column, value in zip(reversed(self.columns), reversed(cursor.values), strict=True):
            beyond = column.beyond(value, backwards=cursor.backwards)
            condition = column.equal(value) & condition
            if beyond is not None:
                condition = beyond | condition
        return condition


class _Sequence:
    """Rows that were put together in memory. They say in ``ORDER`` by which of their numbers they are sorted."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows
        order = rows[0].ORDER if rows else ()
        self.columns = [Column(name.removeprefix("-"), name.startswith("-"), False) for name in order]

    def beyond(self, cursor: Cursor | None, most: int) -> list[Any]:
        if cursor is None:
            return list(self.rows[:most])
        edge = self._key(cursor.values)
        if cursor.backwards:
            return [row for row in reversed(self.rows) if self._key(self._values(row)) < edge][:most]
        return [row for row in self.rows if self._key(self._values(row)) > edge][:most]

    def _values(self, row: Any) -> tuple[Any, ...]:
        return tuple(_value(row, column.name) for column in self.columns)

    def _key(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(-value if column.descending else value for column, value in zip(self.columns, values, strict=True))


def _columns(queryset: QuerySet[Any]) -> list[Column]:
    """The order of a queryset, with the number of the row at its end."""
    ordering = queryset.query.order_by or queryset.model._meta.ordering or ()
    columns: list[Column] = []
    for item in (*ordering, "pk"):
        if not isinstance(item, str):
            raise TypeError(f"A list of the API is ordered by names, not by {item!r}.")
        name = item.removeprefix("-")
        name = "pk" if name == queryset.model._meta.pk.name else name
        if all(name != column.name for column in columns):
            columns.append(Column(name, item.startswith("-"), _may_be_null(queryset, name)))
        if name == "pk":
            break
    return columns


def _may_be_null(queryset: QuerySet[Any], name: str) -> bool:
    if name == "pk":
        return False
    if name in queryset.query.annotations:
        return True
    model: type[Model] = queryset.model
    for part in name.split("__"):
        try:
            field: Any = model._meta.get_field(part)
        except FieldDoesNotExist:
            return True
        if field.concrete and field.null:
            return True  # of a reverse relation, lists that are ordered by it show the rows that have one
        model = field.related_model
    return False


def _value(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = getattr(row, part, None)
    return row


def _pack(value: Any) -> Any:
    kind = type(value).__name__
    return [kind, str(value) if kind == "Decimal" else value.isoformat()] if kind in TYPES else value


def _unpack(value: Any) -> Any:
    return TYPES[value[0]](value[1]) if isinstance(value, list) else value


def _read(text: str | None, order: tuple[str, ...]) -> Cursor | None:
    if text is None:
        return None
    try:
        if len(text) > MOST_CURSOR_CHARACTERS:
            raise signing.BadSignature
        named, values, backwards = signing.Signer(salt=SALT).unsign_object(text)
    except signing.BadSignature:
        raise ValidationError({"cursor": ["This is no cursor: take “next” or “previous” as they are."]}) from None
    if order and tuple(named) != order:
        raise ValidationError({"cursor": ["This cursor belongs to another ordering: begin at the first page."]})
    return Cursor(order=tuple(named), values=tuple(map(_unpack, values)), backwards=bool(backwards))


def _size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    if not (text.isascii() and text.isdecimal() and text.strip("0")):
        raise ValidationError({"page_size": ["A page has a whole number of rows, at least 1."]})
    return min(int(text[-9:]) if len(text) < 10 else MOST_ROWS, MOST_ROWS)


def _is_true(name: str, text: str | None) -> bool:
    if text is None or text.lower() in {"false", "0"}:
        return False
    if text.lower() in {"true", "1"}:
        return True
    raise ValidationError({name: ["This is neither true nor false."]})
