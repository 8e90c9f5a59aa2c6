"""manage.py demo: the main job on sample files, to look at (Ctrl-C ends it) or to the end (--once)."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from aeproject import demo
from aeproject.processes import log_file, start_command, start_python, stop_all
from jobs.models import Asset, Event, Job, StageRun
from jobs.states import State

HOST = "127.0.0.1"
FIRST_PORT = 8000
ROUND_SECONDS = 0.25


class Interrupted(Exception):
    """Ctrl-C, or somebody asked us to end."""


class Command(BaseCommand):
    help = "Runs the main job on sample files: serves the pages until Ctrl-C, or (--once) goes to the end and exits."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="the demo people decide; exit 0 when all is deployed")
        parser.add_argument("--timeout", type=int, default=900, help="give --once up after so many seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        console = Console()
        processes: list[subprocess.Popen[bytes]] = []
        try:
            with console.status("Preparing the database, sample files and accounts"):
                prepared = self._prepare()
            processes.append(start_command("work"))
            if options["once"]:
                self._run_to_the_end(console, prepared, processes, options["timeout"])
            else:
                processes.append(self._serve(console))
                _wait(processes)
        except Interrupted:
            console.print("\nStopping…")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            stop_all(processes)

    def _prepare(self) -> demo.Demo:
        demo.prepare_database()
        team, people = demo.prepare_team()
        samples = demo.prepare_samples(team)
        return demo.Demo(team=team, people=people, batch=demo.open_batch(team, people, samples))

    def _serve(self, console: Console) -> subprocess.Popen[bytes]:
        port = _free_port()
        server = _start_server(port)
        table = Table(title="Accounts", title_justify="left")
        for heading in ("name", "role", "password"):
            table.add_column(heading)
        for name, role in demo.ACCOUNTS.items():
            table.add_row(name, role.value, demo.PASSWORD)
        table.add_row(demo.ADMINISTRATOR, "superuser", demo.PASSWORD)
        console.print(table)
        console.print(f"Open [bold]http://{HOST}:{port}/[/bold] (Ctrl-C stops everything)")
        return server

    def _run_to_the_end(
        self,
        console: Console,
        prepared: demo.Demo,
        processes: list[subprocess.Popen[bytes]],
        timeout_seconds: int,
    ) -> None:
        began = time.monotonic()
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while not demo.is_over(prepared):
                _check(processes)
                demo.decide_what_waits(prepared)
                live.update(_progress(prepared))
                time.sleep(ROUND_SECONDS)
                if time.monotonic() - began > timeout_seconds:
                    break
        console.print(_result(prepared))
        jobs = Job.objects.filter(batch=prepared.batch)
        deployed, total = jobs.filter(state=State.DONE).count(), jobs.count()
        console.print(f"{deployed} of {total} deployed in {time.monotonic() - began:.1f} s")
        if deployed != total:
            raise CommandError(f"{total - deployed} jobs were not deployed")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def _start_server(port: int) -> subprocess.Popen[bytes]:
    arguments = ["-m", "gunicorn", "--bind", f"{HOST}:{port}", "--workers", "1", "aeproject.wsgi:application"]
    server = start_python(arguments, log="web")
    for _ in range(600):
        if server.poll() is not None:
            raise CommandError(f"the web server ended at once: see {log_file('web').parent}")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return server
        time.sleep(0.1)
    raise CommandError("the web server did not come up within 60 s")


def _free_port() -> int:
    """The first free port from FIRST_PORT on."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise CommandError(f"no free port between {FIRST_PORT} and {FIRST_PORT + 99}")


def _wait(processes: list[subprocess.Popen[bytes]]) -> None:
    while True:
        _check(processes)
        time.sleep(0.2)


def _check(processes: list[subprocess.Popen[bytes]]) -> None:
    if any(process.poll() is not None for process in processes):
        raise CommandError(f"a process of the demo ended by itself: see {log_file('web').parent}")


def _progress(prepared: demo.Demo) -> Group:
    """One line a job: where it is and how far."""
    table = Table(box=None)
    for heading in ("job", "stage", "state", "step", ""):
        table.add_column(heading)
    runs = {run.job_id: run for run in StageRun.objects.filter(job__batch=prepared.batch).order_by("id")}
    for job in Job.objects.filter(batch=prepared.batch).order_by("row_line"):
        run = runs.get(job.pk)
        done = 100.0 if job.state == State.DONE else (run.percent if run else 0.0)
        table.add_row(
            job.job_id, job.stage_label, job.public_state, run.step if run else "", ProgressBar(100, done, width=30)
        )
    return Group(table)


def _result(prepared: demo.Demo) -> Table:
    table = Table(title=prepared.batch.name, title_justify="left")
    for heading in ("job", "stage", "state", "seconds", "files"):
        table.add_column(heading, justify="right" if heading in {"seconds", "files"} else "left")
    for job in Job.objects.filter(batch=prepared.batch).order_by("row_line"):
        started = Event.objects.filter(job=job, verb="start").values_list("at", flat=True).first()
        seconds = f"{(job.moved_at - started).total_seconds():.1f}" if started else ""
        files = Asset.objects.filter(job=job, storage="outputs").count()
        table.add_row(job.job_id, job.stage_label, job.public_state, seconds, str(files))
    return table
