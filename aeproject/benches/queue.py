"""The figures of the queue: enqueueing, claims beside a queue of any length, and what a stage costs beside its work.

Everything happens in a database of its own, made and removed as the tests' is; the real one is not touched.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from aeproject.benches.figures import Clock, Figure, copy_rows, database_of_its_own, silent_console
from batches.actions import start
from batches.models import Batch
from jobs import pipeline, sources, tasks, workers
from jobs.claims import claim
from jobs.models import Job, StageRun, Team
from jobs.planning import tell_planner
from jobs.queue import QUEUE_VARIABLE, pass_through, serve
from jobs.retrying import retry_many
from jobs.sandbox import run_stage
from jobs.stages import PREPARE
from jobs.stages.base import Inputs, Limits
from jobs.states import Queue, Stage, State

ENQUEUED = 10_000
CLAIMS = 200
MOST_TIMES_SLOWER = 2
"""Of a claim beside the longest queue, and beside the shortest."""
NOTHING = "jobs.stages.nothing:prepare"
BARE = "bench"
"""The broker queue of bare tasks: nobody else's."""
STAGES = 200
STEPS = {
    "the claim": (tasks, "claim"),
    "the child process": (pipeline, "run_stage"),
    "keeping the outcome": (pipeline, "_finish"),
}
"""What most of a stage's time goes to: functions by their modules."""
TEAMS, BATCHES_OF_A_TEAM = 4, 25


def measure(sizes: list[int]) -> Iterator[Figure]:
    """Figure by figure. ``sizes``: how many runs are queued while claims are measured, ascending."""
    with database_of_its_own(), silent_console():
        person = User.objects.create_superuser("bench")
        yield from _enqueue(person)
        yield from _overhead()
        StageRun.objects.all().delete()
        batches = _batches(person)
        least = None
        for size in sizes:
            _fill(batches, size)
            figure = replace(_claims(size), least=least)
            yield figure
            least = least or figure.value / MOST_TIMES_SLOWER


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
    with Clock() as clock:
        start(person, batch)
    yield Figure(what=f"enqueue {ENQUEUED:,} jobs", value=clock.seconds, cpu=clock.cpu_seconds, unit="s", most=10)
    StageRun.objects.update(state=StageRun.FAILED)
    batch.jobs.update(state=State.FAILED)
    with Clock() as clock:
        retry_many(batch.jobs.values_list("pk", flat=True), actor=person)
    what = f"retry {ENQUEUED:,} jobs that failed"
    yield Figure(what=what, value=clock.seconds, cpu=clock.cpu_seconds, unit="s", most=10)


def _overhead() -> Iterator[Figure]:
    """What our rows, leases, child processes and history add to a task that does nothing, one at a time.

    Both go the whole way of a ticket; ours as in a cluster of a supervised machine. Its steps are measured in stages of
    their own: to look at the clocks takes time too.
    """

    _await_stage_server()
    bare = Clock()
    for _ in range(STAGES):
        with bare:
            pass_through(BARE, "os.getpid")
    yield _each(bare, "bare django-q2, a task that does nothing")
    whole, steps = Clock(), {name: Clock() for name in STEPS}
    environment = {QUEUE_VARIABLE: Queue.LIGHT, workers.NAME_VARIABLE: workers.announce([Queue.LIGHT]).name}
    with ExitStack() as patches:
        patches.enter_context(mock.patch.dict(os.environ, environment))
        patches.enter_context(mock.patch.dict(PREPARE, dict.fromkeys(Stage, NOTHING)))
        patches.enter_context(mock.patch.object(sources, "collect", _no_inputs))
        for _ in range(STAGES):
            with whole:
                serve(Queue.LIGHT)
            _drop_what_follows()
        for name, (module, function) in STEPS.items():
            measured = steps[name].around(getattr(module, function))
            patches.enter_context(mock.patch.object(module, function, measured))
        for _ in range(STAGES):
            serve(Queue.LIGHT)
            _drop_what_follows()
    done = StageRun.objects.filter(state=StageRun.DONE).count()
    if done != 2 * STAGES:
        raise RuntimeError(f"only {done} of {2 * STAGES} stages were done")
    yield _each(whole, "a stage that does nothing")
    added = Clock(seconds=whole.seconds - bare.seconds, cpu_seconds=whole.cpu_seconds - bare.cpu_seconds)
    yield _each(added, "  what we add to bare django-q2", most=15)
    for name in STEPS:
        yield _each(steps[name], f"  of that: {name}")


def _drop_what_follows() -> None:
    """The next stage of a job would go first, and it has no other to queue: less than what a stage may cost."""
    StageRun.objects.filter(state=StageRun.QUEUED, stage=Stage.MATCHING).update(state=StageRun.DROPPED)


def _await_stage_server() -> None:
    """Runs a stage that is not measured: a server that is still loading libraries would stand in the way."""
    job = Job(job_id="first", output_name="first.aep")
    with tempfile.TemporaryDirectory() as folder:
        inputs = _no_inputs(job, Stage.INGESTION, Path(folder))
        limits = Limits(seconds=600, memory_bytes=settings.STAGE_MEMORY_BYTES, file_bytes=settings.STAGE_FILE_BYTES)
        run_stage(NOTHING, inputs, limits=limits, beat=lambda step, percent: None)


def _each(clock: Clock, what: str, *, most: float | None = None) -> Figure:
    a_thousandth = 1_000 / STAGES
    return Figure(
        what=what, value=clock.seconds * a_thousandth, cpu=clock.cpu_seconds * a_thousandth, unit="ms", most=most
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
        row_line=2,
        slot_cells={},
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
        copy_rows(
            cursor,
            Job,
            job,
            f"{numbers} SELECT {{}} FROM jobs_job t, n, batches_batch b"  # noqa: S608
            f" WHERE t.id = {example.job_id} AND b.id = {first} + n.i % {len(batches)}",
        )
        copy_rows(
            cursor,
            StageRun,
            run,
            f"SELECT {{}} FROM jobs_stagerun t, jobs_job j WHERE t.id = {example.pk} AND j.id > {offset}",  # noqa: S608
        )
    tell_planner(Job, StageRun, made=count)


def _claims(size: int) -> Figure:
    """Claims a second; ``cpu`` are the claims that a second of computing is good for."""
    claim("bench", queues=[Queue.LIGHT])
    clock = Clock()
    for _ in range(CLAIMS):
        with clock:
            lease = claim("bench", queues=[Queue.LIGHT])
        if lease is None:
            raise RuntimeError("nothing was left to claim")
    return Figure(
        what=f"claims with {size:,} queued",
        value=CLAIMS / clock.seconds,
        cpu=CLAIMS / clock.cpu_seconds,
        unit="claims/s",
    )
