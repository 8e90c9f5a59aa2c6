"""manage.py bench: what things cost on this machine beside what they may cost; everything, or a part by its switch."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.table import Table

from aeproject.benches import api, bundle, intake, job, pages, queue
from aeproject.benches.figures import Figure, database_of_its_own

Part = tuple[str, Iterable[Figure]]
SHORT_SIZES = [1_000, 100_000]
SHORT_GIGABYTES, SHORT_SECONDS = 1.0, 20.0
"""Of everything together, which shall take eight minutes. Rows are as many as ever: fewer would flatter the others."""


class Command(BaseCommand):
    help = "Measures everything that has a target, on a smaller scale, or one part; marks the targets that are missed."

    def add_arguments(self, parser: CommandParser) -> None:
        part = parser.add_mutually_exclusive_group()
        part.add_argument("--job", action="store_true", help="the main job, with real workers")
        part.add_argument("--queue", action="store_true", help="the queue, beside bare django-q2")
        part.add_argument("--intake", action="store_true", help="rows a second, beside django-import-export")
        part.add_argument("--pages", action="store_true", help="the batch pages beside many jobs")
        part.add_argument("--bundle", action="store_true", help="the ZIP of a batch, beside the disk")
        part.add_argument("--api", action="store_true", help="a hundred programs that watch batches")
        parser.add_argument("--rounds", type=int, default=3, help="with --job: jobs, one after the other")
        parser.add_argument(
            "--sizes", type=int, nargs="+", default=[1_000, 30_000, 1_000_000], help="with --queue: runs queued"
        )
        parser.add_argument("--rows", type=int, default=10_000, help="with --intake: rows beside django-import-export")
        parser.add_argument("--many-rows", type=int, default=100_000, help="with --intake: rows for the memory")
        parser.add_argument("--jobs", type=int, default=100_000, help="with --pages and --api: jobs in the database")
        parser.add_argument("--gigabytes", type=float, default=2.0, help="with --bundle: how much is packed")
        parser.add_argument("--seconds", type=float, default=30.0, help="with --api: how long they ask")

    def handle(self, *args: Any, **options: Any) -> None:
        table = Table(title=f"On {connection.vendor}, {platform.machine()}")
        for heading in ("what", "value", "computing", "unit", "target", ""):
            table.add_column(heading, justify="right" if heading in {"value", "computing"} else "left")
        chosen = _part(options)
        missed = 0
        for title, figures in [chosen] if chosen else _everything(options):
            table.add_section()
            table.add_row(title, style="bold")
            missed += _fill(table, figures)
        table.caption = "Every target is met." if not missed else f"{missed} missed."
        Console().print(table)


def _fill(table: Table, figures: Iterable[Figure]) -> int:
    """Adds the figures of a part as they are measured. Returns how many miss their target, or could not be measured."""
    missed = 0
    try:
        for figure in figures:
            missed += figure.is_missed
            computing = f"{figure.cpu:,.2f}" if figure.cpu else ""
            mark = "MISSED" if figure.is_missed else ""
            table.add_row(figure.what, f"{figure.value:,.2f}", computing, figure.unit, figure.target, mark)
    except CommandError as error:
        table.add_row(f"not measured: {error}", "", "", "", "", "MISSED")
        missed += 1
    return missed


def _part(options: dict[str, Any]) -> Part | None:
    """The part that was asked for; None for everything."""
    if options["job"]:
        return "The main job", job.measure(options["rounds"])
    if options["queue"]:
        return "The queue", queue.measure(sorted(options["sizes"]))
    if options["intake"]:
        return "Intake", intake.measure(options["rows"], options["many_rows"])
    if options["pages"]:
        return f"Pages beside {options['jobs']:,} jobs", pages.measure(options["jobs"])
    if options["bundle"]:
        return f"The ZIP of {options['gigabytes']:g} GB", bundle.measure(options["gigabytes"])
    if options["api"]:
        return _watching(options["jobs"]), api.measure(options["seconds"], jobs=options["jobs"])
    return None


def _everything(options: dict[str, Any]) -> Iterator[Part]:
    yield "The main job", job.measure(options["rounds"])
    yield "The queue", queue.measure(SHORT_SIZES)
    yield "Intake", intake.measure(options["rows"], options["many_rows"], intake.SHORT_WAYS)
    yield f"The ZIP of {SHORT_GIGABYTES:g} GB", bundle.measure(SHORT_GIGABYTES)
    with database_of_its_own():
        batches = pages.fill(options["jobs"])
        yield f"Pages beside {options['jobs']:,} jobs", pages.measure_beside(batches)
        yield _watching(options["jobs"]), api.measure_beside(batches, SHORT_SECONDS)


def _watching(jobs: int) -> str:
    return f"A hundred programs that watch batches, beside {jobs:,} jobs"
