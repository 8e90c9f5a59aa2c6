"""Counts who waits for machines before a review page: preparation ahead of time should make it nobody."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce, Now

from jobs.models import Event, Job, PageWait
from jobs.states import State

WORKING = (State.QUEUED, State.RUNNING)


def note_opening(job: Job) -> None:
    """Called when a person opens a job's page: writes a wait when machines are at work, ends those that are over."""
    if job.state in WORKING:
        PageWait.objects.create(job=job, stage=job.stage)
    else:
        end_waits(job)


def end_waits(job: Job) -> None:
    """The job is ready: whoever waited for it did so until it was, and not until somebody looked again."""
    waits = PageWait.objects.filter(job=job, ready_at__isnull=True)
    if waits.exists():  # most pages were ready at once: to look takes no write lock
        moves = Event.objects.filter(job=job, at__gte=OuterRef("opened_at")).exclude(to_state__in=("", *WORKING))
        waits.update(ready_at=Coalesce(Subquery(moves.order_by("pk").values("at")[:1]), Now()))
