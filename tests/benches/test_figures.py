"""aeproject.benches.figures: a figure knows its target, a clock starts nothing, no log line stands between figures."""

from __future__ import annotations

import logging
import sys
from functools import cache

import pytest

from aeproject.benches import figures


def test_a_clock_starts_no_stage_server(monkeypatch):
    @cache
    def started():
        raise AssertionError("its libraries would be loaded while something else is measured")

    monkeypatch.setattr(figures, "stage_server", started)
    with figures.Clock() as clock:
        pass
    assert clock.seconds > 0


def test_log_lines_go_to_nowhere_and_then_back(capsys):
    console = logging.StreamHandler(sys.stderr)
    root = logging.getLogger()
    root.addHandler(console)
    try:
        with figures.silent_console():
            root.warning("between the figures")
        root.warning("afterwards")
    finally:
        root.removeHandler(console)
    said = capsys.readouterr().err
    assert "between" not in said
    assert "afterwards" in said


@pytest.mark.parametrize(
    ("value", "limits", "target", "is_missed"),
    [
        (10, {}, "", False),
        (10, {"most": 10}, "≤ 10", False),
        (10.1, {"most": 10}, "≤ 10", True),
        (5, {"least": 5}, "≥ 5", False),
        (4.9, {"least": 5}, "≥ 5", True),
        (1, {"least": 1_234.5}, "≥ 1,234.5", True),
    ],
)
def test_a_figure_knows_whether_it_misses_its_target(value, limits, target, is_missed):
    figure = figures.Figure(what="x", value=value, unit="s", **limits)
    assert (figure.target, figure.is_missed) == (target, is_missed)
