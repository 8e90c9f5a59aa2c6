"""Filters of the charts."""

from __future__ import annotations

from django import template

from review.charts import shown as words

register = template.Library()


@register.filter
def shown(value: float | None, unit: str) -> str:
    """A value of a figure in words (``review.charts.shown``)."""
    return words(value, unit)
