"""manage.py chaos: kills and freezes what works, and counts what was lost or done twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from aeproject import chaos

QUICK = {"LEASE_SECONDS": "3", "STUCK_SECONDS": "3", "MATCH_THRESHOLD": "0", "SYSTEM_FONTS": "no", "LOG_LEVEL": "ERROR"}


class Command(BaseCommand):
    help = "Runs jobs while processes are killed and frozen, on every backend that runs here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jobs", type=int, default=200)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="mean time between attacks")
        parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
        parser.add_argument("--backend", action="append", metavar="NAME=DATABASE_URL[,REDIS_URL]", default=[])
        parser.add_argument("--here", action="store_true", help="run in this environment and print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["here"]:
            report = chaos.run(
                jobs=options["jobs"],
                seed=options["seed"],
                every_seconds=options["every"],
                timeout_seconds=options["timeout"],
            )
            self.stdout.write(json.dumps(report.as_json()))
            return
        backends = dict(backend.split("=", 1) for backend in options["backend"]) or {"SQLite, ORM": ""}
        reports = {name: self._measure(name, urls, options) for name, urls in backends.items()}
        _print(reports)
        if any(report.faults() for report in reports.values()):
            raise CommandError("something was lost or done twice")

    def _measure(self, name: str, urls: str, options: dict[str, Any]) -> chaos.Report:
        """One run as a process of its own, with a machine of its own."""
        data = Path(settings.DATA_DIR) / "chaos" / "".join(filter(str.isalnum, name)).lower()
        shutil.rmtree(data, ignore_errors=True)
        database, _, redis = urls.partition(",")
        environment = {**os.environ, **QUICK, "DATA_DIR": str(data)}
        environment["DATABASE_URL"] = database or f"sqlite:///{data}/db.sqlite3"
        if redis:
            environment["REDIS_URL"] = redis
        arguments = ["--jobs", str(options["jobs"]), "--seed", str(options["seed"]), "--every", str(options["every"])]
        result = subprocess.run(  # noqa: S603 - our own interpreter and command
            [sys.executable, "manage.py", "chaos", "--here", *arguments, "--timeout", str(options["timeout"])],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if result.returncode:
            raise CommandError(f"{name}: the run itself failed")
        return chaos.Report(**json.loads(result.stdout.splitlines()[-1]))


def _print(reports: dict[str, chaos.Report]) -> None:
    table = Table(title="Chaos")
    table.add_column("")
    for name in reports:
        table.add_column(name, justify="right")
    for key in next(iter(reports.values())).as_json():
        values = [getattr(report, key) for report in reports.values()]
        table.add_row(
            key.replace("_", " "), *(f"{value:.1f}" if isinstance(value, float) else str(value) for value in values)
        )
    Console().print(table)
