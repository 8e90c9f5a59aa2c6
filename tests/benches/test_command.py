"""manage.py bench: what is measured is marked where it misses its target, and parts that fail do not end the others."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError
from rich.table import Table

from aeproject.benches import pages
from aeproject.benches.figures import Figure
from aeproject.management.commands import bench


def rows(figures):
    table = Table(*[""] * 6)
    missed = bench._fill(table, figures)
    return missed, list(zip(*(column.cells for column in table.columns), strict=True))


def test_a_missed_target_is_marked():
    figures = [
        Figure(what="slow", value=151.5, unit="ms", cpu=20, most=150),
        Figure(what="fast", value=1_300, unit="rows/s", least=5),
        Figure(what="beside", value=3, unit=""),
    ]
    assert rows(figures) == (
        1,
        [
            ("slow", "151.50", "20.00", "ms", "≤ 150", "MISSED"),
            ("fast", "1,300.00", "", "rows/s", "≥ 5", ""),
            ("beside", "3.00", "", "", "", ""),
        ],
    )


def test_what_could_not_be_measured_is_missed_and_says_why():
    def fails():
        yield Figure(what="before", value=1, unit="s", most=2)
        raise CommandError("the disk has 1 GB free")

    missed, shown = rows(fails())
    assert missed == 1
    assert [row[0] for row in shown] == ["before", "not measured: the disk has 1 GB free"]
    assert shown[1][-1] == "MISSED"


def test_pages_are_measured_with_their_queries(db, monkeypatch):
    monkeypatch.setattr(pages, "ROUNDS", 1)
    figures = list(pages.measure_beside(pages.fill(700)))
    assert len(figures) == len(pages.ADDRESSES) + 4
    assert figures[-1].most == 12
    assert 9 <= figures[-1].value <= 12
    assert all(figure.value > 0 and figure.cpu > 0 for figure in figures[:-1])
    assert figures[-2].what.startswith("asking a batch")


@pytest.mark.parametrize(
    ("switch", "title"), [("queue", "The queue"), ("intake", "Intake"), ("bundle", "The ZIP of 2 GB"), (None, None)]
)
def test_a_switch_chooses_a_part(switch, title):
    parser = bench.Command().create_parser("manage.py", "bench")
    options = vars(parser.parse_args([f"--{switch}"] if switch else []))
    part = bench._part(options)
    assert (part and part[0]) == title
