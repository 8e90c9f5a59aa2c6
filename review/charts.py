"""Draws the figures of the dashboard as SVG with pygal, for our stylesheet to colour; and the answer with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pygal
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET
from pygal.style import Style

from review.figures import PERIODS, Figure, figures

WIDTH = 440
"""Of the drawing, in its own units; the page scales it."""
LABEL_LENGTH = 24
ROOM_FOR_VALUES = 1.25
"""The axis goes on behind the longest bar: its value stands there."""
MOST_MARKS = 5
STEPS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
"""Between the marks of an axis of counts: there is no half job."""
TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 18_000, 43_200, 86_400)
"""Seconds between the marks of an axis of time: a clock's own steps. From a day on, whole days."""


@require_GET
def charts(request: HttpRequest) -> HttpResponse:
    """The charts with their tables, as a part of the dashboard. ``days``: one of PERIODS, the first otherwise."""
    assert isinstance(request.user, User)
    wanted = request.GET.get("days", "")
    days = int(wanted) if wanted in {str(period) for period in PERIODS} else PERIODS[0]
    found = figures(request.user, days)
    context = {
        "found": found,
        "periods": PERIODS,
        "drawn": [{"figure": figure, "svg": None if figure.is_empty else draw(figure)} for figure in found.figures],
    }
    return render(request, "review/charts.html", context)


def draw(figure: Figure) -> SafeString:
    """The figure as an ``<svg>`` without script and style: our stylesheet draws it, in both themes."""
    chart = _chart(figure)
    # pygal counts horizontal bars from the bottom.
    order = slice(None, None, None if figure.kind == "days" else -1)
    chart.x_labels = [_short(label) for label in figure.labels[order]]
    if figure.kind == "days":
        # Days at a readable distance; the table has them all.
        chart.x_labels_major = chart.x_labels[:: max(1, len(figure.labels) // 6)]
    for series in figure.series:
        chart.add(series.name, list(series.values[order]))
    chart.add_xml_filter(lambda svg: _bare(svg, figure))
    # pygal escapes the labels and writes nothing else that people gave.
    svg: str = chart.render(is_unicode=True)
    return mark_safe(svg)  # noqa: S308


def shown(value: float | None, unit: str) -> str:
    """A value in words: ``12``, ``4.2 s``, ``3 min``, ``2.5 h``, ``4 d``; a dash for None."""
    if value is None:
        return "–"
    if unit != "seconds":
        return f"{value:,.0f}"
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} s"


def _chart(figure: Figure) -> Any:
    options: dict[str, Any] = {
        "js": [],
        # For the room that it leaves; the letters themselves are our stylesheet's.
        "style": Style(label_font_size=12, major_label_font_size=12, value_font_size=12),
        "width": WIDTH,
        "height": 200 if figure.kind == "days" else 50 + 20 * len(figure.series) * max(2, len(figure.labels)),
        "disable_xml_declaration": True,
        "show_legend": False,
        "truncate_label": -1,
        "show_x_guides": figure.kind != "days",
        "show_y_guides": figure.kind == "days",
        "show_minor_x_labels": figure.kind != "days",
        "margin": 8,
        "spacing": 8,
        "value_formatter": lambda value: shown(value, figure.unit),
        "print_values": figure.kind != "days",
        "print_values_position": "top",
        "include_x_axis": True,
        # As many marks on the axis; from 1 on, since there is no half job.
        "min_scale": 1,
        "max_scale": MOST_MARKS,
    }
    if figure.kind == "days":
        return pygal.StackedBar(**options) if figure.stacked else pygal.Bar(**options)
    longest = max((value for series in figure.series for value in series.values if value is not None), default=0)
    end = longest * ROOM_FOR_VALUES or 1
    options["y_labels"] = _marks(end, TIME_STEPS if figure.unit == "seconds" else STEPS)
    return pygal.HorizontalBar(**options, range=(0, end))


def _marks(end: float, steps: Sequence[float]) -> list[float]:
    """Where an axis that goes to ``end`` is marked: at most MOST_MARKS even steps behind 0."""
    largest = math.ceil(end / MOST_MARKS / steps[-1]) * steps[-1]
    step = next((step for step in steps if end / step <= MOST_MARKS), largest)
    return [number * step for number in range(int(end / step) + 1)]


def _bare(svg: Any, figure: Figure) -> Any:
    """pygal's XML filter: takes scripts, styles and tooltips away, and names the series by their colours."""
    for parent in list(svg.iter()):
        for child in list(parent):
            if child.tag in ("script", "style") or "tooltip" in (child.get("class") or "").split():
                parent.remove(child)
        parent.attrib.pop("style", None)
        names = (parent.get("class") or "").split()
        for number, series in enumerate(figure.series):
            if f"color-{number}" in names:
                parent.set("class", f"{parent.get('class')} chart-key-{series.colour}")
    return svg


def _short(label: str) -> str:
    return label if len(label) <= LABEL_LENGTH else label[: LABEL_LENGTH - 1] + "…"
