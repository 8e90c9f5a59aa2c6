"""Cancelling many jobs at once: the same as moving each by ``cancel``, with a few statements for hundreds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from jobs import clock
from jobs.lifecycle import LIVE
from jobs.models import Event, Job, StageRun
from jobs.notices import announce
from jobs.states import VERBS, State

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHUNK = 500


def cancel_many(jobs: QuerySet[Job], *, actor: User | None = None, reason: str = "") -> int:
    """Cancels those of the jobs that may be, by chunks of a transaction each. Returns how many."""
    ids = list(jobs.filter(state__in=VERBS["cancel"].states).order_by("pk").values_list("pk", flat=True))
    return sum(_cancel_chunk(ids[at : at + CHUNK], actor, reason) for at in range(0, len(ids), CHUNK))


def _cancel_chunk(ids: list[int], actor: User | None, reason: str) -> int:
    with transaction.atomic():
        there = Job.objects.select_for_update(of=("self",), no_key=True).filter(
            pk__in=ids, state__in=VERBS["cancel"].states
        )
        jobs = list(there.order_by("pk"))
        if jobs:
            _cancel(jobs, actor, reason)
    return len(jobs)


def _cancel(jobs: list[Job], actor: User | None, reason: str) -> None:
    """Jobs that are locked and not over: moved, told, and their work fenced off."""
    now = clock.now()
    chosen = [job.pk for job in jobs]
    Job.objects.filter(pk__in=chosen).update(
        state=State.CANCELLED, version=F("version") + 1, moved_at=now, finished_at=now, held_state=""
    )
    StageRun.objects.filter(job__in=chosen, state__in=LIVE).update(
        state=StageRun.DROPPED, token=None, lease_owner="", lease_expires_at=None, ended_at=Now()
    )
    events = Event.objects.bulk_create(
        Event(
            team_id=job.team_id,
            batch_id=job.batch_id,
            job=job,
            version=job.version + 1,
            verb="cancel",
            actor=actor,
            from_stage=job.stage,
            from_state=job.state,
            to_stage=job.stage,
            to_state=State.CANCELLED,
            reason=reason,
            at=now,
        )
        for job in jobs
    )
    for job in jobs:
        job.state, job.version = State.CANCELLED.value, job.version + 1
    # Outside nobody hears of a job that was cancelled, only of the batch that ended with it: its last one tells.
    for event in {event.batch_id: event for event in events}.values():
        assert event.job is not None
        announce(event, event.job)
