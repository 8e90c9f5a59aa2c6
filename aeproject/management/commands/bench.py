"""manage.py bench: medians of the main job on this machine, through the real queue, one job at a time."""

from __future__ import annotations

import platform
import shutil
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.table import Table

from aeproject import bundle_bench, demo, intake_bench, page_bench, queue_bench
from aeproject.processes import start_command, stop_all
from batches.actions import start
from batches.intake.opening import commit_all, preview_upload
from batches.models import Batch
from jobs.models import Job, StageRun, Team
from jobs.sources import roots_of
from jobs.states import Stage, State
from rendering.samples import Samples
from review.decisions import decide

PLAYER_CARD = Path(settings.BASE_DIR).parent / "shared" / "data"
TARGET_SECONDS = {"ingestion and matching": 3.0, "preview": 20.0, "start to deployed": 30.0}
POLL_SECONDS = 0.05


class Command(BaseCommand):
    help = "Measures stage preparation and the whole job; prints medians beside their targets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--queue", action="store_true", help="the queue's figures, in a database of its own")
        parser.add_argument("--intake", action="store_true", help="rows a second of intake, in a database of its own")
        parser.add_argument("--rows", type=int, default=10_000, help="with --intake: rows beside django-import-export")
        parser.add_argument("--many-rows", type=int, default=100_000, help="with --intake: rows for the memory")
        parser.add_argument("--pages", action="store_true", help="the batch pages, in a database of its own")
        parser.add_argument("--jobs", type=int, default=100_000, help="with --pages: jobs beside which is measured")
        parser.add_argument(
            "--sizes", type=int, nargs="+", default=[1_000, 30_000, 1_000_000], help="with --queue: runs queued"
        )

        parser.add_argument("--bundle", action="store_true", help="the ZIP of a batch, beside the disk")
        parser.add_argument("--gigabytes", type=float, default=2.0, help="with --bundle: how much is packed")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["queue"]:
            self._figures("The queue", queue_bench.measure(sorted(options["sizes"])))
        elif options["intake"]:
            self._figures("Intake", intake_bench.measure(options["rows"], options["many_rows"]))
        elif options["bundle"]:
            size = options["gigabytes"]
            self._figures(f"The ZIP of a batch of {size:g} GB", bundle_bench.measure(size))
        elif options["pages"]:
            self._pages(options["jobs"])
        else:
            self._job(options)

    def _pages(self, jobs: int) -> None:
        table = Table(title=f"Pages beside {jobs:,} jobs on {connection.vendor}, {platform.machine()}")
        for heading in ("what", "median ms", "computing", "queries", "good"):
            table.add_column(heading, justify="right" if heading not in {"what", "good"} else "left")
        for figure in page_bench.measure(jobs):
            good = "yes" if figure.is_good else "no"
            table.add_row(figure.what, f"{figure.milliseconds:.0f}", f"{figure.cpu:.0f}", str(figure.queries), good)
        Console().print(table)

    def _figures(self, title: str, figures: Iterable[queue_bench.Figure]) -> None:
        table = Table(title=f"{title} on {connection.vendor}, {platform.machine()}")
        for heading in ("what", "value", "computing", "unit", "target"):
            table.add_column(heading, justify="right" if heading in {"value", "computing"} else "left")
        for figure in figures:
            table.add_row(figure.what, f"{figure.value:,.2f}", f"{figure.cpu:,.2f}", figure.unit, figure.target)
        Console().print(table)

    def _job(self, options: dict[str, Any]) -> None:
        demo.prepare_database()
        team, people = demo.prepare_team()
        name, psd, project = _subject(demo.prepare_samples(team), team)
        workers = start_command("work")
        try:
            rounds = [self._round(team, people, psd, project, number) for number in range(options["rounds"])]
        finally:
            stop_all([workers])
        table = Table(title=f"{name}, {options['rounds']} rounds, {platform.machine()}, {settings.WORKERS} workers")
        for heading in ("what", "median s", "slowest s", "target s"):
            table.add_column(heading, justify="left" if heading == "what" else "right")
        for what in rounds[0]:
            values = [measured[what] for measured in rounds]
            target = TARGET_SECONDS.get(what)
            table.add_row(
                what, f"{statistics.median(values):.2f}", f"{max(values):.2f}", f"{target:.0f}" if target else ""
            )
        Console().print(table)

    def _round(self, team: Team, people: dict[str, Any], psd: str, project: str, number: int) -> dict[str, float]:
        """One job from start to deployed. Decisions are taken at once; the time they take is not counted."""
        batch = _batch(team, people, psd, project, number)
        began = time.monotonic()
        start(people["olivia"], batch)
        job = batch.jobs.get()
        spent = 0.0
        for stage, name, verb in (
            (Stage.MATCHING, "rita", "approve_matches"),
            (Stage.PREVIEW, "adam", "approve_preview"),
        ):
            spent += _wait(job, stage, began)
            decide(people[name], job, verb, version=job.version)
            began = time.monotonic()
        spent += _wait(job, Stage.DELIVERY, began)
        if job.state != State.DONE:
            raise CommandError(f"{job} was not deployed: {list(job.warnings.values_list('message', flat=True))}")
        runs = {run.stage: run.seconds or 0.0 for run in StageRun.objects.filter(job=job, state=StageRun.DONE)}
        return {
            "ingestion": runs[Stage.INGESTION],
            "matching": runs[Stage.MATCHING],
            "ingestion and matching": runs[Stage.INGESTION] + runs[Stage.MATCHING],
            "preview": runs[Stage.PREVIEW],
            "delivery": runs[Stage.DELIVERY],
            "start to deployed": spent,
        }


def _subject(samples: Samples, team: Team) -> tuple[str, str, str]:
    """The real player card where its files are beside the clone, else our own; as paths in the asset root."""
    root = roots_of(team)[0]
    if not PLAYER_CARD.is_dir():
        first = samples.sheet.read_text(encoding="utf-8").splitlines()[1].split(",")
        return "our own player card", first[1], first[2]
    folder = root / "bench"
    folder.mkdir(exist_ok=True)
    shutil.copy(PLAYER_CARD / "psd" / "player-card.psd", folder / "player-card.psd")
    shutil.copy(PLAYER_CARD / "aepx" / "player-card.aepx", folder / "player-card.aepx")
    return "the real player card", "bench/player-card.psd", "bench/player-card.aepx"


def _batch(team: Team, people: dict[str, Any], psd: str, project: str, number: int) -> Batch:
    sheet = Path(settings.DATA_DIR) / "bench.csv"
    stamp = time.time_ns()
    sheet.write_text(f"job_id,psd_path,aepx_path,output_name\nB{stamp},{psd},{project},bench-{number}.aep\n")
    with sheet.open("rb") as file:
        upload = preview_upload(people["olivia"], team, sheet_name=sheet.name, sheet_file=file)
    return commit_all(people["olivia"], upload, name=f"Bench {stamp}")


def _wait(job: Job, stage: Stage, began: float) -> float:
    """Seconds until the machines are done with the job at that stage."""
    while True:
        job.refresh_from_db()
        if job.state == State.FAILED:
            raise CommandError(f"{job} failed: {job.runs.latest('id').error}")
        if job.stage == stage and job.state in {State.IN_REVIEW, State.DONE}:
            return time.monotonic() - began
        time.sleep(POLL_SECONDS)
