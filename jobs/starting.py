"""Starting many jobs at once: the same as moving each by ``start``, with a few statements for hundreds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.functions import Now

from jobs import clock
from jobs.errors import Conflict
from jobs.lifecycle import move
from jobs.models import Event, Job, StageRun
from jobs.notices import announce
from jobs.planning import tell_planner
from jobs.queue import send_tickets
from jobs.stages.base import input_hash
from jobs.states import Stage, State, queue_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHUNK = 500
MOST_TICKETS = 100
"""However many start. The sweep sends more when workers have used them up; one for each job would only cost time."""


def start_many(keys: Iterable[int], *, actor: User | None = None) -> int:
    """Starts the pending ones of the jobs with these keys, in this order, by chunks of a transaction each.

    Returns how many.
    """
    ids, started, tickets = list(keys), 0, 0
    for at in range(0, len(ids), CHUNK):
        with transaction.atomic():
            queued, again = _start_chunk(ids[at : at + CHUNK], actor)
            fresh_tickets = min(queued, MOST_TICKETS - tickets)
            send_tickets(queue_of(Stage.INGESTION), fresh_tickets)
        tickets += fresh_tickets
        started += queued + sum(_start_again(job, actor) for job in again)
    tell_planner(StageRun, Job, Event, made=started)
    return started


def _start_chunk(ids: list[int], actor: User | None) -> tuple[int, list[Job]]:
    """Queues those that are pending and never ran. Returns how many, and the pending ones that ran before."""
    pending = Job.objects.select_for_update(of=("self",)).filter(pk__in=ids, stage=Stage.INGESTION, state=State.PENDING)
    timed = pending.annotate(read_at=ExpressionWrapper(Now(), output_field=DateTimeField()))
    found: dict[int, Any] = timed.select_related("psd", "project").in_bulk()
    known = set(StageRun.objects.filter(job_id__in=found).values_list("job_id", flat=True))
    fresh = [found[pk] for pk in ids if pk in found and pk not in known]
    if fresh:
        _queue(fresh, actor, read_at=fresh[0].read_at)
    return len(fresh), [found[pk] for pk in ids if pk in known]


def _start_again(job: Job, actor: User | None) -> bool:
    try:
        move(job, "start", actor=actor)
    except Conflict:
        return False
    return True


def _queue(jobs: list[Job], actor: User | None, *, read_at: datetime) -> None:
    """Jobs that are locked, pending and have no run: moved, told and queued.

    ``read_at`` is the database's time: as a plain value it lets PostgreSQL take all rows in one statement by columns.
    """
    now = clock.now()
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
        state=State.QUEUED, version=F("version") + 1, moved_at=now, finished_at=None, held_state=""
    )
    for job in jobs:
        job.state, job.version = State.QUEUED.value, job.version + 1
    events = [
        Event(
            team_id=job.team_id,
            batch_id=job.batch_id,
            job=job,
            version=job.version,
            verb="start",
            actor=actor,
            from_stage=Stage.INGESTION,
            from_state=State.PENDING,
            to_stage=Stage.INGESTION,
            to_state=State.QUEUED,
            at=now,
        )
        for job in jobs
    ]
    for event in Event.objects.bulk_create(events):
        assert event.job is not None
        announce(event, event.job)
    StageRun.objects.bulk_create(
        StageRun(
            job=job,
            team_id=job.team_id,
            batch_id=job.batch_id,
            stage=Stage.INGESTION,
            input_hash=input_hash(job, Stage.INGESTION),
            priority=job.priority,
            rank=job.priority,
            queue=queue_of(Stage.INGESTION),
            queued_at=read_at,
            available_at=read_at,
        )
        for job in jobs
    )
