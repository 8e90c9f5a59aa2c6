"""The register of machines: they announce themselves and beat, leads drain and block them, claims ask it.

All times are the database's: a machine whose clock is wrong is still judged rightly.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import BooleanField, DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from jobs.compiled import Rows, given
from jobs.errors import Conflict, NotAllowed
from jobs.models import Event, StageBlock, Worker
from jobs.states import QUEUES, Queue, Stage
from jobs.teams import is_lead
from rendering.fonts import FontLibrary

logger = logging.getLogger(__name__)
NAME_VARIABLE = "WORKER_RECORD"
"""The variable by which the processes of a cluster know the Worker record that they belong to."""
HEARTBEAT_SECONDS = 3.0
SILENT = timedelta(seconds=20)
VERBS = {Worker.ACTIVE: "readmit_worker", Worker.DRAINING: "drain_worker", Worker.BLOCKED: "block_worker"}
"""What the history says of who brought a machine into each state."""
FORGOTTEN = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a machine may claim now."""

    queues: frozenset[Queue]
    stages: frozenset[Stage]


EVERYTHING = Allowance(queues=frozenset(QUEUES), stages=frozenset(Stage))
NOTHING = Allowance(queues=frozenset(), stages=frozenset())


# A machine about itself -----------------------------------------------------------------------------------------------
def announce(queues: Collection[Queue]) -> Worker:
    """Enters this process into the register, as its machine's supervisor. A blocked machine comes back blocked."""
    machine = settings.WORKER_NAME[:80]
    Worker.objects.filter(heartbeat_at__lt=Now() - FORGOTTEN).delete()
    last = Worker.objects.filter(machine=machine).order_by("-pk").first()
    _warn_of_a_double(machine)
    blocked = last if last is not None and last.state == Worker.BLOCKED else None
    worker, _ = Worker.objects.update_or_create(
        name=f"{machine}:{os.getpid()}",
        defaults={
            "machine": machine,
            "pid": os.getpid(),
            "version": settings.VERSION,
            "capacity": {queue.value: settings.QUEUE_WORKERS[queue] for queue in queues},
            "state": Worker.BLOCKED if blocked else Worker.ACTIVE,
            "reason": blocked.reason if blocked else "",
            "changed_by": blocked.changed_by if blocked else None,
            "started_at": Now(),
            "heartbeat_at": Now(),
            "ended_at": None,
            "restarts": 0,
        },
    )
    worker.refresh_from_db()
    return worker


def _warn_of_a_double(machine: str) -> None:
    for other in present().filter(machine=machine, is_silent=False).exclude(pid=os.getpid()):
        # One that was killed looks the same for a moment.
        logger.warning(
            "%s is there already as process %s, which beat %.0f s ago. If that still runs, end it, or give each its own"
            " WORKER_NAME: two do twice as much at once as the machine was set to",
            machine,
            other.pid,
            other.quiet.total_seconds(),
        )


def capabilities() -> dict[str, Any]:
    """What this machine can do, as the register keeps it. Reads every font: seconds where there are many."""
    library = FontLibrary.from_directories(
        [Path(folder) for folder in settings.FONT_DIRS], system=settings.SYSTEM_FONTS
    )
    names = sorted(font.postscript_name for font in library.fonts)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return {"fonts": {"count": len(names), "sha256": digest}, "aerender": settings.AERENDER}


def beat(worker: Worker, *, restarts: int) -> Worker | None:
    """Says that the machine is there. Its present record; None when the register lost it."""
    kept = Worker.objects.filter(pk=worker.pk).update(heartbeat_at=Now(), restarts=restarts, ended_at=None)
    return Worker.objects.get(pk=worker.pk) if kept else None


def end_replaced() -> int:
    """Ends the records of supervisors that were killed, once another of their machine beats. Returns how many.

    One that was only frozen is back with its next beat.
    """
    alive = Worker.objects.filter(ended_at=None, heartbeat_at__gte=Now() - SILENT)
    killed = Worker.objects.filter(ended_at=None, heartbeat_at__lt=Now() - SILENT)
    return killed.filter(machine__in=alive.values("machine")).update(ended_at=Now())


def leave(worker: Worker) -> None:
    """Says that the machine stopped in order."""
    Worker.objects.filter(pk=worker.pk).update(ended_at=Now())


# What it may claim ----------------------------------------------------------------------------------------------------
def may_claim(name: str) -> Allowance:
    """What the processes of a Worker record may claim now.

    An empty name is a cluster that somebody runs without a supervisor: it may claim everything.
    """
    if not name:
        return EVERYTHING
    worker = _WORKER.first(name=name)
    if worker is None:
        return NOTHING
    state, capacity, *blocked = worker
    if state != Worker.ACTIVE:
        return NOTHING
    return Allowance(
        queues=frozenset(Queue(queue) for queue in capacity),
        stages=frozenset(stage for stage, is_blocked in zip(Stage, blocked, strict=True) if not is_blocked),
    )


def blocks() -> QuerySet[StageBlock]:
    """The blocks that count now."""
    return StageBlock.objects.filter(until__gt=Now())


def _blocked_from(stage: Stage) -> Exists:
    return Exists(blocks().filter(machine=OuterRef("machine"), stage=stage))


_WORKER = Rows(
    lambda: (
        Worker.objects.filter(name=given(Worker, "name"))
        .order_by()
        .values_list("state", "capacity", *(_blocked_from(stage) for stage in Stage))
    )
)


# Who is there ---------------------------------------------------------------------------------------------------------
def present() -> QuerySet[Any]:
    """The machines that have not left, each with ``is_silent`` and ``quiet``, the time since its last heartbeat."""
    silent = ExpressionWrapper(Q(heartbeat_at__lt=Now() - SILENT), output_field=BooleanField())
    quiet: Any = ExpressionWrapper(Now() - F("heartbeat_at"), output_field=DurationField())
    return Worker.objects.filter(ended_at=None).annotate(is_silent=silent, quiet=quiet)


# What leads do --------------------------------------------------------------------------------------------------------
def set_state(user: User, worker: Worker, state: str, *, reason: str = "") -> None:
    """Drains, blocks or readmits a machine. Draining ends with its next start, a block with ``active`` alone.

    Written into the history of every team. Raises NotAllowed for others than leads, Conflict when it is so already.
    """
    require_lead(user)
    changed = Worker.objects.filter(pk=worker.pk).exclude(state=state)
    with transaction.atomic():
        if not changed.update(state=state, reason=reason.strip(), changed_by=user):
            raise Conflict(f"{worker.name} is {state} already.", state=state)
        Event.tell_every_team(VERBS[state], actor=user, what=f"worker {worker.name}", reason=reason)


def require_lead(user: User) -> None:
    """Raises NotAllowed for others than leads."""
    if not is_lead(user):
        raise NotAllowed("Machines are looked after by leads.")
