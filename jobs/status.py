"""How the queue and the machines are now: one answer for the page, for the command and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, Q
from django.db.models.functions import Now

from jobs import workers
from jobs.errands import left, not_paused
from jobs.models import PRIORITY_NAMES, Errand, Job, Pause, StageRun, Worker
from jobs.states import State
from jobs.teams import TeamQuerySet
from jobs.turns import what_is_closed

HEAVY = ("result", "metrics", "error")
MOST_RUNNING = 200


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Queued work of one queue and priority. ``later`` waits for its next attempt, ``paused`` until its queue, team or
    batch is resumed, ``limited`` until its team or batch runs fewer jobs; ages are of what is due, seconds."""

    queue: str
    priority: str
    due: int
    later: int
    paused: int
    limited: int
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
class ErrandDepth:
    """Waiting errands of one queue and kind. ``later`` waits for its next attempt, ``paused`` until it is resumed."""

    queue: str
    kind: str
    due: int
    later: int
    paused: int
    oldest_seconds: float


@dataclass(frozen=True, kw_only=True)
class RunningErrand:
    """``done`` of ``total`` in the kind's own unit; ``total`` 0 is unknown."""

    kind: str
    subject: int
    team: str
    queue: str
    worker: str
    step: str
    done: int
    total: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """``neglected`` are the queues with due work that no machine serves."""

    depths: tuple[Depth, ...]
    errands: tuple[ErrandDepth, ...]
    running: tuple[Running, ...]
    running_errands: tuple[RunningErrand, ...]
    machines: tuple[Machine, ...]
    failed_jobs: int
    dead_runs: int
    dead_errands: int
    neglected: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": not self.neglected}


def read_status() -> Status:
    depths, waiting, machines = read_depths(), read_errand_depths(), read_machines()
    served = {queue for machine in machines if machine.state == Worker.ACTIVE for queue in machine.capacity}
    wanted = {one.queue for one in depths if one.due} | {one.queue for one in waiting if one.due}
    return Status(
        depths=depths,
        errands=waiting,
        running=tuple(_running(run) for run in running_now()[:MOST_RUNNING]),
        running_errands=tuple(_running_errand(errand) for errand in errands_now()[:MOST_RUNNING]),
        machines=machines,
        failed_jobs=Job.objects.filter(state=State.FAILED).count(),
        dead_runs=StageRun.objects.filter(state=StageRun.FAILED, job__state=State.FAILED).count(),
        dead_errands=left(Errand.objects.all()).count(),
        neglected=tuple(sorted(wanted - served)),
    )


def read_depths() -> tuple[Depth, ...]:
    """By queue and priority, the most urgent first; only where something waits."""
    is_open = ~_paused_runs()
    is_on_time = is_open & Q(available_at__lte=Now())
    closed = what_is_closed()
    is_due = is_on_time & ~Q(team__in=closed.teams) & ~Q(batch__in=closed.batches)
    rows = (
        StageRun.objects.filter(state=StageRun.QUEUED)
        .order_by("queue", "priority")
        .values("queue", "priority")
        .annotate(
            total=Count("pk"),
            open=Count("pk", filter=is_open),
            on_time=Count("pk", filter=is_on_time),
            due=Count("pk", filter=is_due),
            oldest=Max(_since("queued_at"), filter=is_due),
        )
    )
    return tuple(
        Depth(
            queue=row["queue"],
            priority=PRIORITY_NAMES[row["priority"]],
            due=row["due"],
            later=row["open"] - row["on_time"],
            paused=row["total"] - row["open"],
            limited=row["on_time"] - row["due"],
            oldest_seconds=row["oldest"].total_seconds() if row["oldest"] else 0.0,
        )
        for row in rows
    )


def _paused_runs() -> Q:
    """The runs whose queue, team or batch is paused, as a condition."""
    paused: dict[str, list[str]] = {"queue": [], "team": [], "batch": []}
    for key in Pause.objects.values_list("key", flat=True):
        kind, _, name = key.partition(":")
        paused[kind].append(name)
    return Q(queue__in=paused["queue"]) | Q(team__in=paused["team"]) | Q(batch__in=paused["batch"])


def read_errand_depths() -> tuple[ErrandDepth, ...]:
    """By queue and kind; only where something waits."""
    waiting = Errand.objects.filter(state=Errand.QUEUED)
    is_open = Q(pk__in=not_paused(waiting).values("pk"))
    is_due = is_open & Q(available_at__lte=Now())
    rows = (
        waiting.order_by("queue", "kind")
        .values("queue", "kind")
        .annotate(
            total=Count("pk"),
            open=Count("pk", filter=is_open),
            due=Count("pk", filter=is_due),
            oldest=Max(_since("queued_at"), filter=is_due),
        )
    )
    return tuple(
        ErrandDepth(
            queue=row["queue"],
            kind=row["kind"],
            due=row["due"],
            later=row["open"] - row["due"],
            paused=row["total"] - row["open"],
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
            capacity=worker.served,
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


def errands_now() -> TeamQuerySet[Any]:
    """The errands that somebody does, with the time since their start by the database's clock as ``took``."""
    running = Errand.objects.filter(state=Errand.RUNNING).select_related("team")
    return running.annotate(took=_since("started_at")).order_by("started_at", "id")


def _running_errand(errand: Any) -> RunningErrand:
    return RunningErrand(
        kind=errand.kind,
        subject=errand.subject,
        team=errand.team.slug,
        queue=errand.queue,
        worker=errand.lease_owner,
        step=errand.step,
        done=errand.done,
        total=errand.total,
        seconds=errand.took.total_seconds() if errand.took else 0.0,
    )


def _since(column: str) -> Any:
    return ExpressionWrapper(Now() - F(column), output_field=DurationField())
