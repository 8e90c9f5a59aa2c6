"""manage.py status: queue, work and machines at a glance."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table

from jobs.models import Worker
from jobs.status import Status, read_status


class Command(BaseCommand):
    help = "Shows what waits, what runs and who works. Exit code 1 when work is due that no machine serves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        status = read_status()
        if options["json"]:
            self.stdout.write(json.dumps(status.as_json(), indent=2))
        else:
            _tell(Console(soft_wrap=True), status)
        if status.neglected:
            sys.exit(1)


def _tell(console: Console, status: Status) -> None:
    rows = [(d.queue, d.priority, d.due, d.later, d.paused, d.limited, _age(d.oldest_seconds)) for d in status.depths]
    _table(console, "Queue", ("queue", "priority", "due", "later", "paused", "limited", "oldest"), rows)
    if status.errands:
        waiting = [(e.queue, e.kind, e.due, e.later, e.paused, _age(e.oldest_seconds)) for e in status.errands]
        _table(console, "Errands", ("queue", "kind", "due", "later", "paused", "oldest"), waiting)
    running = [
        (r.job, r.stage, r.queue, r.worker, f"{r.percent:.0f} %", r.step, _age(r.seconds)) for r in status.running
    ]
    running += [
        (f"{e.kind} {e.subject}", e.team, e.queue, e.worker, f"{e.done} of {e.total or '?'}", e.step, _age(e.seconds))
        for e in status.running_errands
    ]
    _table(console, "Running", ("job", "stage", "queue", "worker", "", "step", "for"), running)
    machines = [
        (
            machine.name,
            machine.state,
            machine.version,
            ", ".join(f"{queue} {count}" for queue, count in machine.capacity.items()),
            f"{_age(machine.heartbeat_seconds)} ago",
            machine.restarts,
            ", ".join(machine.blocked_stages),
        )
        for machine in status.machines
    ]
    _table(
        console, "Machines", ("name", "state", "version", "workers", "heartbeat", "restarts", "blocked from"), machines
    )
    dead = f"{status.dead_runs} dead stage runs, {status.dead_errands} dead errands"
    console.print(f"{status.failed_jobs} failed jobs, {dead}")
    if status.neglected:
        console.print(f"Nobody works on: {', '.join(status.neglected)}. {_cure(status)}", style="bold red")


def _cure(status: Status) -> str:
    """What helps when due work has no worker."""
    kept_away = [
        machine.name
        for machine in status.machines
        if machine.state in (Worker.DRAINING, Worker.BLOCKED) and set(machine.capacity) & set(status.neglected)
    ]
    if kept_away:
        return f"Readmit {' or '.join(kept_away)} on the page Workers, or start another manage.py work."
    return "Start manage.py work."


def _table(console: Console, title: str, headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        console.print(f"{title}: nothing")
        return
    table = Table(title=title, title_justify="left")
    for heading in headings:
        # Names of machines differ at their ends, which a narrow terminal would cut off.
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
