"""The figures of the queue: enqueueing, claims beside a queue of any length, and what a stage costs beside its work.

Everything happens in a database of its own, made and removed as the tests' is; the real one is not touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model

from batches.actions import start
from batches.models import Batch
from jobs import pipeline, sources
from jobs.claims import claim
from jobs.models import Job, StageRun, Team
from jobs.queue import pass_through
from jobs.stages.base import Inputs, Outcome, Report
from jobs.states import Queue, Stage

ENQUEUED = 10_000
CLAIMS = 200
BARE = "bench"
"""The broker queue of bare tasks: nobody else's."""
STAGES = 100
TEAMS, BATCHES_OF_A_TEAM = 4, 25


@dataclass(frozen=True, kw_only=True)
class Figure:
    """``target`` is what the figure must stay within, in the same unit; empty: it stands beside another.

    ``cpu`` is the part in which this process and its children computed: the figure of a machine with nothing else to do
    lies near it. (The time of a PostgreSQL server is not in it.)
    """

    what: str
    value: float
    unit: str
    cpu: float
    target: str = ""


@dataclass(frozen=True)
class Clock:
    """Seconds since it was made."""

    began: float = field(default_factory=time.perf_counter)
    computed: float = field(default_factory=lambda: sum(os.times()[:4]))

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def cpu_seconds(self) -> float:
        return sum(os.times()[:4]) - self.computed


@contextmanager
def database_of_its_own() -> Iterator[None]:
    real = str(connection.settings_dict["NAME"])
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(real, verbosity=0)


def measure(sizes: list[int]) -> Iterator[Figure]:
    """Figure by figure. ``sizes``: how many runs are queued while claims are measured, ascending."""
    with database_of_its_own():
        person = User.objects.create_superuser("bench")
        yield from _enqueue(person)
        yield from _overhead()
        StageRun.objects.all().delete()
        batches = _batches(person)
        for size in sizes:
            _fill(batches, size)
            yield _claims(size)


def _batches(person: User) -> list[Batch]:
    batches = []
    for number in range(TEAMS):
        team = Team.objects.create(name=f"Team {number}", slug=f"team-{number}")
        for name in range(BATCHES_OF_A_TEAM):
            batches.append(Batch.objects.create(team=team, name=f"Batch {name}", created_by=person))
    return batches


def _new_jobs(batch: Batch, count: int) -> None:
    Job.objects.bulk_create(
        [
            Job(
                team_id=batch.team_id,
                batch=batch,
                job_id=f"{batch.pk}-{number}",
                psd_path="a.psd",
                project_path="a.aepx",
                output_name=f"{number}.aep",
            )
            for number in range(count)
        ],
        batch_size=1_000,
    )


def _enqueue(person: User) -> Iterator[Figure]:
    team = Team.objects.create(name="Bench", slug="bench")
    batch = Batch.objects.create(team=team, name="Large", created_by=person)
    _new_jobs(batch, ENQUEUED)
    clock = Clock()
    start(person, batch)
    yield Figure(what=f"enqueue {ENQUEUED:,} jobs", value=clock.seconds, cpu=clock.cpu_seconds, unit="s", target="10")


def _overhead() -> Iterator[Figure]:
    """What our rows, leases, child processes and history add to a task that does nothing, one at a time."""

    def nothing(inputs: Inputs, report: Report) -> Outcome:
        return Outcome(result={"matches": []})

    clock = Clock()
    for _ in range(STAGES):
        pass_through(BARE, "os.getpid")
    yield _each(clock, "bare django-q2, a task that does nothing", "")
    done = 0
    inert = mock.patch.dict(pipeline.PREPARE, dict.fromkeys(Stage, nothing))
    with inert, mock.patch.object(sources, "collect", _no_inputs):
        clock = Clock()
        for _ in range(STAGES):
            done += pipeline.work_once([Queue.LIGHT])
    if done != STAGES:
        raise RuntimeError(f"only {done} of {STAGES} stages were done")
    yield _each(clock, "a stage that does nothing, beside that", "15")


def _each(clock: Clock, what: str, target: str) -> Figure:
    a_thousandth = 1_000 / STAGES
    return Figure(
        what=what, value=clock.seconds * a_thousandth, cpu=clock.cpu_seconds * a_thousandth, unit="ms", target=target
    )


def _no_inputs(job: Job, stage: Stage, workdir: Path, **options: object) -> Inputs:
    return Inputs(
        job_id=job.job_id,
        psd=workdir / "a.psd",
        project=workdir / "a.aepx",
        psd_name="a.psd",
        project_name="a.aepx",
        workdir=workdir,
        search=(),
        font_dirs=(),
        system_fonts=False,
        output_name=job.output_name,
        render_comp_id=None,
        matches=(),
        results={},
        match_threshold=0,
        preview_max_seconds=1.0,
        forced_reason="",
    )


def _fill(batches: list[Batch], size: int) -> None:
    """Queues runs, spread over the batches, until there are ``size``. Written by the database from one example."""
    have = StageRun.objects.filter(state=StageRun.QUEUED).count()
    if not have:
        _new_jobs(batches[0], 1)
        StageRun.objects.create(job=Job.objects.get(batch=batches[0]), stage=1, input_hash="example")
        have = 1
    example = StageRun.objects.filter(state=StageRun.QUEUED).latest("id")
    offset = Job.objects.latest("id").pk
    count = size - have
    name = f"'q' || (n.i + {offset})"
    job = {"job_id": name, "output_name": name, "batch_id": "b.id", "team_id": "b.team_id", "state": "'queued'"}
    run = {"job_id": "j.id", "batch_id": "j.batch_id", "team_id": "j.team_id", "input_hash": "'q' || j.id"}
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"  # noqa: S608 - numbers of our own
    first = min(batch.pk for batch in batches)
    with connection.cursor() as cursor:
        _copy(
            cursor,
            Job,
            job,
            f"{numbers} SELECT {{}} FROM jobs_job t, n, batches_batch b"  # noqa: S608
            f" WHERE t.id = {example.job_id} AND b.id = {first} + n.i % {len(batches)}",
        )
        _copy(
            cursor,
            StageRun,
            run,
            f"SELECT {{}} FROM jobs_stagerun t, jobs_job j WHERE t.id = {example.pk} AND j.id > {offset}",  # noqa: S608
        )
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE jobs_stagerun")  # as its own housekeeping would have done by then


def _copy(cursor: Any, model: type[Model], other: dict[str, str], source: str) -> None:
    """Copies a row many times; ``other`` are the columns that differ."""
    columns = [str(field.column) for field in model._meta.local_concrete_fields if not field.primary_key]
    values = ", ".join(other.get(column, f"t.{column}") for column in columns)
    # Names of our own columns, and numbers.
    cursor.execute(f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) {source.format(values)}")


def _claims(size: int) -> Figure:
    """Claims a second; ``cpu`` are the claims that a second of computing is good for."""
    claim("bench", queues=[Queue.LIGHT])
    clock = Clock()
    for _ in range(CLAIMS):
        if claim("bench", queues=[Queue.LIGHT]) is None:
            raise RuntimeError("nothing was left to claim")
    return Figure(
        what=f"claims with {size:,} queued",
        value=CLAIMS / clock.seconds,
        cpu=CLAIMS / max(clock.cpu_seconds, 0.01),
        unit="claims/s",
    )
