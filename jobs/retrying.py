"""Retrying many jobs at once: the same as moving each by ``retry``, with a few statements for hundreds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F

from jobs import clock
from jobs.errors import Conflict
from jobs.lifecycle import move, queue_again
from jobs.models import Event, Job, StageRun
from jobs.notices import announce
from jobs.planning import tell_planner
from jobs.queue import send_tickets
from jobs.stages.base import input_hash
from jobs.starting import MOST_TICKETS
from jobs.states import Stage, State, queue_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHUNK = 500
TRIED = (StageRun.FAILED, StageRun.DROPPED)


def retry_many(keys: Iterable[int], *, actor: User | None = None, reason: str = "") -> int:
    """Retries the failed ones of the jobs with these keys, by chunks of a transaction each. Returns how many."""
    ids, retried = list(keys), 0
    for at in range(0, len(ids), CHUNK):
        with transaction.atomic():
            queued, others = _retry_chunk(ids[at : at + CHUNK], actor, reason.strip())
        retried += queued + sum(_retry_alone(job, actor, reason) for job in others)
    tell_planner(StageRun, Job, Event, made=retried)
    return retried


def _retry_chunk(ids: list[int], actor: User | None, reason: str) -> tuple[int, list[Job]]:
    """Queues the failed ones whose inputs are as they were. Returns how many, and the failed ones with other inputs,
    for which there may be work that was done before."""
    failed = Job.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=ids, state=State.FAILED)
    jobs = list(failed.select_related("psd", "project").order_by("pk"))
    tried = StageRun.objects.filter(job__in=jobs, state__in=TRIED).values_list("job_id", "stage", "input_hash", "pk")
    runs = {(job, stage, inputs): run for job, stage, inputs, run in tried}
    run_of = {job: runs.get((job.pk, job.stage, input_hash(job, Stage(job.stage)))) for job in jobs}
    same = {job: run for job, run in run_of.items() if run is not None}
    if same:
        _move(list(same), actor, reason)
        _queue(same)
    return len(same), [job for job in jobs if job not in same]


def _move(jobs: list[Job], actor: User | None, reason: str) -> None:
    now = clock.now()
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
        state=State.QUEUED, version=F("version") + 1, moved_at=now, finished_at=None, held_state=""
    )
    events = [
        Event(
            team_id=job.team_id,
            batch_id=job.batch_id,
            job=job,
            version=job.version + 1,
            verb="retry",
            actor=actor,
            from_stage=job.stage,
            from_state=State.FAILED,
            to_stage=job.stage,
            to_state=State.QUEUED,
            reason=reason,
            at=now,
        )
        for job in jobs
    ]
    for job in jobs:
        job.state, job.version = State.QUEUED.value, job.version + 1
    for event in Event.objects.bulk_create(events):
        assert event.job is not None
        announce(event, event.job)


def _queue(run_of: dict[Job, int]) -> None:
    alike = defaultdict(list)
    for job, run in run_of.items():
        alike[Stage(job.stage), job.priority].append(run)
    for (stage, priority), runs in alike.items():
        queue_again(StageRun.objects.filter(pk__in=runs), stage, priority)
    for queue, count in Counter(queue_of(Stage(job.stage)) for job in run_of).items():
        send_tickets(queue, min(count, MOST_TICKETS))


def _retry_alone(job: Job, actor: User | None, reason: str) -> bool:
    try:
        move(job, "retry", actor=actor, reason=reason)
    except Conflict:
        return False  # somebody else was there first
    return True
