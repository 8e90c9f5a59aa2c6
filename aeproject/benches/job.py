"""The figures of the main job: medians through the real queue, one job at a time, with the real workers."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from aeproject import demo
from aeproject.benches.figures import Figure
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
MOST_SECONDS = {"ingestion and matching": 3.0, "preview": 20.0, "start to deployed": 30.0}
POLL_SECONDS = 0.05


def measure(rounds: int) -> Iterator[Figure]:
    """Figure by figure, of so many jobs one after the other, in the database and folders of ``DATA_DIR``."""
    demo.prepare_database()
    team, people = demo.prepare_team()
    name, psd, project = _subject(demo.prepare_samples(team), team)
    workers = start_command("work")
    try:
        measured = [_round(team, people, psd, project, number) for number in range(rounds)]
    finally:
        stop_all([workers])
    for what in measured[0]:
        values = [one[what] for one in measured]
        label = f"{name}: {what} (slowest {max(values):.2f})"
        yield Figure(what=label, value=statistics.median(values), unit="s", most=MOST_SECONDS.get(what))


def _round(team: Team, people: dict[str, Any], psd: str, project: str, number: int) -> dict[str, float]:
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
