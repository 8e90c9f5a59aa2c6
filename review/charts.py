"""Draws the figures of the dashboard as SVG with pygal, in the colours of the page; and the answer that shows them."""

from __future__ import annotations

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
    """The figure as an ``<svg>`` without script; it takes colours from the page, so that it fits both themes."""
    chart = _chart(figure)
    # pygal counts horizontal bars from the bottom.
    order = slice(None, None, None if figure.kind == "days" else -1)
    chart.x_labels = [_short(label) for label in figure.labels[order]]
    if figure.kind == "days":
        # Days at a readable distance; the table has them all.
        chart.x_labels_major = chart.x_labels[:: max(1, len(figure.labels) // 6)]
    for series in figure.series:
        chart.add(series.name, list(series.values[order]))
    chart.add_xml_filter(_without_scripts)
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
        "style": _style(figure),
        "width": WIDTH,
        "height": 200 if figure.kind == "days" else 50 + 20 * len(figure.series) * max(2, len(figure.labels)),
        "disable_xml_declaration": True,
        "show_legend": False,
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
        "max_scale": 5,
    }
    if figure.kind == "days":
        return pygal.StackedBar(**options) if figure.stacked else pygal.Bar(**options)
    return pygal.HorizontalBar(**options)


def _without_scripts(svg: Any) -> Any:
    """pygal's XML filter: an ElementTree in, the same without the configuration of its own tooltips out."""
    for parent in list(svg.iter()):
        for script in parent.findall("script"):
            parent.remove(script)
    return svg


def _style(figure: Figure) -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--text-2)",
        foreground_strong="var(--text-2)",
        foreground_subtle="var(--line)",
        opacity="1",
        opacity_hover="0.8",
        colors=tuple(f"var(--{series.colour})" for series in figure.series),
        value_colors=("var(--text)",) * len(figure.series),
        font_family="inherit",
        label_font_size=12,
        major_label_font_size=12,
        value_font_size=12,
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
    )


def _short(label: str) -> str:
    return label if len(label) <= LABEL_LENGTH else label[: LABEL_LENGTH - 1] + "…"
