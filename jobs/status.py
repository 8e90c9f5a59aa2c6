"""How the queue and the machines are now: one answer for the page, for the command and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, Q
from django.db.models.functions import Now

from jobs import workers
from jobs.models import PRIORITY_NAMES, Job, StageRun, Worker
from jobs.states import State
from jobs.teams import TeamQuerySet

HEAVY = ("result", "metrics", "error")
MOST_RUNNING = 200


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Queued work of one queue and priority. ``later`` waits for its next attempt; ages are of what is due, seconds."""

    queue: str
    priority: str
    due: int
    later: int
    oldest_seconds: float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that has not left. ``state`` is ``silent`` when its heartbeat is missing."""

    name: str
    state: str
    version: str
    capacity: dict[str, int]
    heartbeat_seconds: float
    restarts: int
    blocked_stages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Running:
    job: str
    stage: str
    queue: str
    worker: str
    step: str
    percent: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """``neglected`` are the queues with due work that no machine serves."""

    depths: tuple[Depth, ...]
    running: tuple[Running, ...]
    machines: tuple[Machine, ...]
    failed_jobs: int
    dead_runs: int
    neglected: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": not self.neglected}


def read_status() -> Status:
    depths, machines = read_depths(), read_machines()
    served = {queue for machine in machines if machine.state == Worker.ACTIVE for queue in machine.capacity}
    return Status(
        depths=depths,
        running=tuple(_running(run) for run in running_now()[:MOST_RUNNING]),
        machines=machines,
        failed_jobs=Job.objects.filter(state=State.FAILED).count(),
        dead_runs=StageRun.objects.filter(state=StageRun.FAILED).count(),
        neglected=tuple(sorted({depth.queue for depth in depths if depth.due} - served)),
    )


def read_depths() -> tuple[Depth, ...]:
    """By queue and priority, the most urgent first; only where something waits."""
    is_due = Q(available_at__lte=Now())
    rows = (
        StageRun.objects.filter(state=StageRun.QUEUED)
        .order_by("queue", "priority")
        .values("queue", "priority")
        .annotate(total=Count("pk"), due=Count("pk", filter=is_due), oldest=Max(_since("queued_at"), filter=is_due))
    )
    return tuple(
        Depth(
            queue=row["queue"],
            priority=PRIORITY_NAMES[row["priority"]],
            due=row["due"],
            later=row["total"] - row["due"],
            oldest_seconds=row["oldest"].total_seconds() if row["oldest"] else 0.0,
        )
        for row in rows
    )


def read_machines() -> tuple[Machine, ...]:
    blocked: dict[str, list[str]] = {}
    for block in workers.blocks():
        blocked.setdefault(block.machine, []).append(block.get_stage_display())
    return tuple(
        Machine(
            name=worker.name,
            state="silent" if worker.is_silent else worker.state,
            version=worker.version,
            capacity=worker.capacity,
            heartbeat_seconds=worker.quiet.total_seconds(),
            restarts=worker.restarts,
            blocked_stages=tuple(blocked.get(worker.machine, ())),
        )
        for worker in workers.present()
    )


def running_now() -> TeamQuerySet[Any]:
    """What runs, with the time since its start by the database's clock as ``took``."""
    running = StageRun.objects.filter(state=StageRun.RUNNING).select_related("job").defer(*HEAVY)
    return running.annotate(took=_since("started_at")).order_by("started_at", "id")


def _running(run: Any) -> Running:
    return Running(
        job=run.job.job_id,
        stage=run.get_stage_display(),
        queue=run.queue,
        worker=run.lease_owner,
        step=run.step,
        percent=run.percent,
        seconds=run.took.total_seconds() if run.took else 0.0,
    )


def _since(column: str) -> Any:
    return ExpressionWrapper(Now() - F(column), output_field=DurationField())
