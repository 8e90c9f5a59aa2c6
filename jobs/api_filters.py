"""The filters that lists of the API share. A value that makes no sense is a 400 that names the filter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field

from jobs.api import MOST_ID

MOST_SEARCH_CHARACTERS = 200
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": MOST_ID})
class IdFilter(django_filters.Filter):  # type: ignore[misc]
    """Equal to the number of a record. One that the person cannot see matches nothing."""

    field_class = forms.IntegerField

    def __init__(self, field_name: str, **options: Any) -> None:
        super().__init__(field_name, min_value=0, max_value=MOST_ID, **options)


class MomentField(IsoDateTimeField):  # type: ignore[misc]
    """A date and time that every database can compare, in every time zone: what lies far off is cut to far enough."""

    def to_python(self, value: Any) -> datetime | None:
        try:
            moment: datetime | None = super().to_python(value)
        except OverflowError:
            moment = EARLIEST if str(value).strip().startswith("0") else LATEST
        if moment is None:
            return None
        return EARLIEST if moment.year < EARLIEST.year else LATEST if moment.year > LATEST.year else moment


class MomentFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    field_class = MomentField


class TextFilter(django_filters.CharFilter):  # type: ignore[misc]
    """Equal to a text of a bearable length."""

    def __init__(self, field_name: str | None = None, **options: Any) -> None:
        super().__init__(field_name, **{"max_length": MOST_SEARCH_CHARACTERS, **options})


class SearchFilter(TextFilter):
    """Finds the words in any of the ``columns``."""

    def __init__(self, *columns: str) -> None:
        super().__init__(help_text=f"Finds text in {', '.join(columns)}.")
        self.columns = columns

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        found = Q()
        for column in self.columns:
            found |= Q(**{f"{column}__icontains": value})
        return qs.filter(found)


class StableOrdering(django_filters.OrderingFilter):  # type: ignore[misc]
    """Rows that are equal come in the order of their numbers, so that pages neither repeat nor lose any."""

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        if not value:
            return qs
        ordered: QuerySet[Any] = super().filter(qs, value)
        return ordered.order_by(*ordered.query.order_by, "pk")
