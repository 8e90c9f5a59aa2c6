"""The filters that lists of the API share. A value that makes no sense is a 400 that names the filter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import django_filters
from django import forms
from django.core.validators import MaxLengthValidator
from django.db.models import Q, QuerySet
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from jobs.api import MOST_ID

MOST_SEARCH_CHARACTERS = 200
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class IdField(forms.IntegerField):
    """A number in ASCII digits alone: Python reads those of other scripts too, and an underscore between them."""

    def to_python(self, value: Any) -> int | None:
        if value not in self.empty_values and not (str(value).isascii() and str(value).isdecimal()):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": MOST_ID})
class IdFilter(django_filters.Filter):  # type: ignore[misc]
    """Equal to the number of a record. One that the person cannot see matches nothing."""

    field_class = IdField

    def __init__(self, field_name: str, **options: Any) -> None:
        super().__init__(field_name, min_value=0, max_value=MOST_ID, **options)


class MomentField(IsoDateTimeField):  # type: ignore[misc]
    """A date and time that every database can compare, in every time zone: what lies far off is cut to far enough."""

    def to_python(self, value: Any) -> datetime | None:
        if not str(value).isascii():
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        try:
            moment: datetime | None = super().to_python(value)
        except OverflowError:
            moment = EARLIEST if str(value).strip().startswith("0") else LATEST
        if moment is None:
            return None
        cut = EARLIEST if moment.year < EARLIEST.year else LATEST if moment.year > LATEST.year else moment
        # PostgreSQL knows no offset of sixteen hours and more.
        return cut.astimezone(UTC)


class MomentFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    field_class = MomentField


class TruthField(forms.Field):
    """true or false, in the words of JSON or as 1 or 0; anything else is an error, not “neither”."""

    WORDS: ClassVar[dict[str, bool]] = {"true": True, "1": True, "false": False, "0": False}

    def to_python(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        if str(value).lower() not in self.WORDS:
            raise forms.ValidationError("This is neither true nor false.")
        return self.WORDS[str(value).lower()]


class TruthFilter(django_filters.BooleanFilter):  # type: ignore[misc]
    field_class = TruthField


class TextField(forms.CharField):
    """A text of a bearable length, counted as it was sent, as in bodies: Django counts what trimming leaves of it."""

    def to_python(self, value: Any) -> str | None:
        MaxLengthValidator(MOST_SEARCH_CHARACTERS)(str(value or ""))
        return super().to_python(value)


@extend_schema_field({"type": "string", "maxLength": MOST_SEARCH_CHARACTERS})
class TextFilter(django_filters.CharFilter):  # type: ignore[misc]
    """Equal to a text."""

    field_class = TextField


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


class Filters(django_filters.FilterSet):  # type: ignore[misc]
    """The filters of a list. What is not among them, and a filter without its value, is an error that says so.

    A slip of the pen would otherwise answer with everything.
    """

    OF_THE_LIST = frozenset({"page_size", "cursor", "count", "fields", "page"})
    """What other parts of a list read from the query."""

    def is_valid(self) -> bool:
        problems: dict[str, list[str]] = {}
        for name, value in self.data.items():
            known = self.filters.get(name)
            if known is None and name not in self.OF_THE_LIST:
                problems[name[:100]] = [f"There is no such filter. There are: {', '.join(self.filters)}."]
            elif value == "" and known is not None and not isinstance(known, TextFilter):
                problems[name] = ["This is empty: leave it out, or say what you look for."]
        if problems:
            raise ValidationError(problems)
        return bool(super().is_valid())


class StableOrdering(django_filters.OrderingFilter):  # type: ignore[misc]
    """Rows that are equal come in the order of their numbers, so that pages neither repeat nor lose any."""

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        if not value:
            return qs
        ordered: QuerySet[Any] = super().filter(qs, value)
        return ordered.order_by(*ordered.query.order_by, "pk")
