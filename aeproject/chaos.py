"""Breaks the machine while it works, and counts what was lost or done twice. ``docs/reliability.md`` has the results.

Runs in a process whose environment (DATA_DIR, DATABASE_URL, REDIS_URL) names a machine of its own; every process that
carries the same DATA_DIR in its environment is a victim.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.db import DatabaseError, connection
from django.db.models import Count

from aeproject import demo
from aeproject.processes import start_command, stop_all
from batches.actions import start
from batches.intake.opening import commit_all, preview_upload
from batches.models import Batch
from jobs.models import Asset, Event, Job, Team
from jobs.sources import roots_of
from jobs.states import Stage, State
from rendering.samples import tiny_document, tiny_project
from review.decisions import decide

ROUND_SECONDS = 0.2
FREEZE_SHARE = 0.25
DESIGNS = 4


@dataclass(kw_only=True)
class Report:
    """What a run did. Everything below ``effects`` must be 0."""

    jobs: int = 0
    complete: int = 0
    kills: int = 0
    freezes: int = 0
    effects: int = 0
    double_effects: int = 0
    lost: int = 0
    broken_histories: int = 0
    orphan_processes: int = 0
    stray_files: int = 0
    seconds: float = 0.0
    longest_recovery_seconds: float = 0.0

    def faults(self) -> int:
        return self.double_effects + self.lost + self.broken_histories + self.orphan_processes + self.stray_files

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Attacker:
    """Kills and freezes processes of the machine at random moments; the same seed chooses alike."""

    dice: random.Random
    every_seconds: float
    kills: int = 0
    freezes: int = 0
    _frozen: dict[int, float] = field(default_factory=dict)
    _next: float = 0.0

    def strike(self) -> None:
        now = time.monotonic()
        for pid, until in list(self._frozen.items()):
            if now >= until:
                _signal(pid, signal.SIGCONT)
                del self._frozen[pid]
        if now < self._next:
            return
        self._next = now + self.every_seconds * self.dice.uniform(0.5, 1.5)
        victims = [pid for pid in processes() if pid not in self._frozen]
        if not victims:
            return
        victim = self.dice.choice(victims)
        if self.dice.random() < FREEZE_SHARE:
            # Longer than its lease: it wakes up as a worker whose work was given to another.
            if _signal(victim, signal.SIGSTOP):
                self._frozen[victim] = now + settings.LEASE_SECONDS * 1.5
                self.freezes += 1
        elif _signal(victim, signal.SIGKILL):
            self.kills += 1

    def relent(self) -> None:
        for pid in self._frozen:
            _signal(pid, signal.SIGCONT)
        self._frozen.clear()


def processes() -> list[int]:
    """The processes of this machine but ours, zombies left out."""
    mark = f"DATA_DIR={settings.DATA_DIR}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            alive = (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and int(path.name) != os.getpid() and mark in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return sorted(found)


@dataclass
class Host:
    """The machine under attack: its supervisor, started anew when it died, as systemd would."""

    supervisor: subprocess.Popen[bytes]

    def revive(self) -> None:
        if self.supervisor.poll() is not None:
            self.supervisor = start_command("work")


def run(*, jobs: int, seed: int, every_seconds: float, timeout_seconds: float) -> Report:
    """Drives ``jobs`` jobs through all stages while processes die; decisions are taken as soon as they are due."""
    team, people = _prepare()
    batch = _open_batch(team, people, jobs)
    attacker = Attacker(random.Random(seed), every_seconds)  # noqa: S311 - chance, not a secret
    report = Report(jobs=jobs)
    began = time.monotonic()
    host = Host(start_command("work"))
    try:
        start(people["olivia"], batch)
        for _ in _rounds(demo.Demo(team, people, batch), report, began + timeout_seconds):
            host.revive()
            attacker.strike()
        report.seconds = time.monotonic() - began
    finally:
        attacker.relent()
        stop_all([host.supervisor])
    report.kills, report.freezes = attacker.kills, attacker.freezes
    _count(batch, report)
    return report


def _prepare() -> tuple[Team, dict[str, Any]]:
    demo.prepare_database()
    team, people = demo.prepare_team()
    root = roots_of(team)[0]
    root.mkdir(parents=True, exist_ok=True)
    for number in range(DESIGNS):
        tiny_document(root / f"design-{number}.psd", text=f"Player {number}")
    tiny_project(root / "template.aep")
    return team, people


def _open_batch(team: Team, people: dict[str, Any], jobs: int) -> Batch:
    sheet = Path(settings.DATA_DIR) / "chaos.csv"
    rows = [f"C-{number},design-{number % DESIGNS}.psd,template.aep,out-{number}.aep" for number in range(jobs)]
    sheet.write_text("\n".join(["job_id,psd_path,aepx_path,output_name", *rows]))
    with sheet.open("rb") as file:
        upload = preview_upload(people["olivia"], team, sheet_name=sheet.name, sheet_file=file)
    return commit_all(people["olivia"], upload, name="Chaos")


def _rounds(prepared: demo.Demo, report: Report, deadline: float) -> Iterator[None]:
    """One item for every look at the batch until it is over; decides what waits, and times the longest standstill."""
    moved, moved_at = 0, time.monotonic()
    while time.monotonic() < deadline:
        try:
            _retry_failed(prepared)
            if demo.is_over(prepared):
                return
            demo.decide_what_waits(prepared)
            events = Event.objects.filter(batch=prepared.batch).count()
        except DatabaseError:
            connection.close()
            continue
        if events != moved:
            report.longest_recovery_seconds = max(report.longest_recovery_seconds, time.monotonic() - moved_at)
            moved, moved_at = events, time.monotonic()
        yield
        time.sleep(ROUND_SECONDS)


def _retry_failed(prepared: demo.Demo) -> None:
    """What the attacks drove past its attempts a person would retry; so do the demo people."""
    for job in Job.objects.filter(batch=prepared.batch, state=State.FAILED):
        decide(prepared.people["olivia"], job, "retry")


def _count(batch: Batch, report: Report) -> None:
    jobs = Job.objects.filter(batch=batch)
    report.complete = jobs.filter(stage=Stage.DELIVERY, state=State.DONE).count()
    report.lost = report.jobs - report.complete
    released = Counter(Asset.objects.filter(job__batch=batch, kind="released_project").values_list("job_id", flat=True))
    deployed = Event.objects.filter(batch=batch, verb="deploy").values("job").annotate(times=Count("id"))
    report.effects = sum(released.values())
    report.double_effects = sum(count - 1 for count in released.values()) + sum(row["times"] - 1 for row in deployed)
    report.broken_histories = sum(not _replays(job) for job in jobs)
    report.orphan_processes = _orphans()
    report.stray_files = len(
        set(_files(storages["outputs"], ""))
        - set(Asset.objects.filter(storage="outputs").values_list("storage_name", flat=True))
    )


def _replays(job: Job) -> bool:
    """True when the history alone gives the job's present state, without a gap."""
    place: tuple[int, str] = (Stage.INGESTION, State.PENDING)
    moves = Event.objects.filter(job=job, version__isnull=False).order_by("version")
    for number, event in enumerate(moves, start=1):
        if event.version != number or (event.from_stage, event.from_state) != place:
            return False
        place = (event.to_stage or 0, event.to_state)
    return place == (job.stage, job.state)


def _orphans() -> int:
    """Processes that outlive the machine's stop by more than a moment."""
    for _ in range(50):
        if not processes():
            return 0
        time.sleep(0.1)
    return len(processes())


def _files(storage: Any, folder: str) -> Iterator[str]:
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    prefix = f"{folder}/" if folder else ""
    yield from (f"{prefix}{name}" for name in files)
    for name in folders:
        yield from _files(storage, f"{prefix}{name}")


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
