"""manage.py chaos: breaks what works, and counts what was lost or done twice."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aeproject.chaos.run import BACKENDS, Plan, Report, RunFailed, run
from aeproject.chaos.servers import NoServer
from aeproject.chaos.troubles import TROUBLES

COUNTED = (
    ("complete", "complete"),
    ("unfinished", "not finished in time"),
    ("retried", "retried by a person"),
    ("effects", "effects (4 a job)"),
    ("double_effects", "double effects"),
    ("lost", "lost"),
    ("broken_histories", "histories that do not replay to the present"),
    ("orphan_processes", "orphan processes"),
    ("stray_files", "stray files"),
    ("seconds", "seconds"),
    ("longest_recovery_seconds", "longest time to recover, seconds"),
)


class Command(BaseCommand):
    help = "Runs jobs through all stages while processes, servers, disk and network break; prints what came of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        keys = [backend.key for backend in BACKENDS]
        names = [trouble.name for trouble in TROUBLES]
        parser.add_argument("--jobs", type=int, default=200)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--every", type=float, default=3.0, metavar="SECONDS", help="mean time between troubles")
        parser.add_argument("--most", type=int, metavar="NUMBER", help="of troubles; usually without end")
        parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="for each backend")
        parser.add_argument("--backend", action="append", choices=keys, help="one of them, or several; usually all")
        parser.add_argument("--only", action="append", choices=names, default=[], help="these troubles; usually all")
        parser.add_argument("--json", action="store_true", help="print JSON, by backend")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _leave)
        plan = Plan(
            jobs=options["jobs"],
            seed=options["seed"],
            every_seconds=options["every"],
            timeout_seconds=options["timeout"],
            most=options["most"],
            only=frozenset(options["only"]),
        )
        reports: dict[str, Report] = {}
        missing: dict[str, str] = {}
        for backend in BACKENDS:
            if options["backend"] and backend.key not in options["backend"]:
                continue
            self.stderr.write(f"{backend.title}: {plan.jobs} jobs, seed {plan.seed}")
            try:
                reports[backend.title] = run(backend, plan, Path(settings.DATA_DIR) / "chaos" / backend.key)
            except NoServer as error:
                missing[backend.title] = str(error)
            except RunFailed as error:
                raise CommandError(f"{backend.title}: {error}") from None
        if options["json"]:
            self.stdout.write(json.dumps({title: asdict(report) for title, report in reports.items()}))
        else:
            self._print(plan, reports, missing)
        faults = [f"{title}: {', '.join(report.faults())}" for title, report in reports.items() if report.faults()]
        if faults:
            raise CommandError("; ".join(faults))

    def _print(self, plan: Plan, reports: dict[str, Report], missing: dict[str, str]) -> None:
        """A table in Markdown, as it stands in docs/reliability.md."""
        moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        machine = f"{os.cpu_count()} cores, Linux {platform.release()}"
        self.stdout.write(f"{moment}, {machine}, seed {plan.seed}, a trouble about every {plan.every_seconds:g} s:\n\n")
        if reports:
            rows = [["", *reports], ["jobs", *(str(report.jobs) for report in reports.values())]]
            names = [trouble.name for trouble in TROUBLES if not plan.only or trouble.name in plan.only]
            rows += [[name, *(_times(report, name) for report in reports.values())] for name in names]
            for key, words in COUNTED:
                rows.append([words, *(_number(getattr(report, key)) for report in reports.values())])
            for line in _table(rows):
                self.stdout.write(line)
        for title, report in reports.items():
            for name, why in report.skipped.items():
                self.stdout.write(f"skipped: {title}, {name}: {why}")
        for title, why in missing.items():
            self.stdout.write(f"skipped: {title}: {why}")


def _times(report: Report, name: str) -> str:
    return "skipped" if name in report.skipped else str(report.troubles[name])


def _number(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("| " + " | ".join([first.ljust(widths[0]), *numbers]) + " |")
    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return [lines[0], rule, *lines[1:]]


def _leave(number: int, frame: FrameType | None) -> None:
    """Mounts, servers and namespaces are taken down on the way out."""
    sys.exit(128 + number)
