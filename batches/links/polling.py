"""Linked sheets by the clock: those that are due are read, and operators are told of what differs."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F

from batches.links import linking
from batches.links.models import LinkedSheet
from batches.models import Upload
from batches.updates.applying import counts_of
from jobs import clock, errands
from jobs.models import Delivery, Job
from jobs.telling import Told, batch_facts, tell_members

MOST_AT_ONCE = 50
NOTICE = "batch.sheet_changed"
WORDS = {"new": "new", "changed": "changed", "removed": "gone", "errors": "with errors"}


def poll_due() -> int:
    """Sends the errands of the sheets that are due. Of two machines that look at once, one finds each. How many."""
    now = clock.now()
    due = LinkedSheet.objects.kept().filter(is_polling=True, poll_after__lte=now).select_related("team")
    sent = 0
    for linked in due.exclude(batch__archived_at__isnull=False)[:MOST_AT_ONCE]:
        with transaction.atomic():
            later = now + timedelta(minutes=linked.poll_minutes)
            mine = LinkedSheet.objects.filter(pk=linked.pk, is_polling=True, poll_after=linked.poll_after)
            if mine.update(poll_after=later):
                errands.send(linking.READ_ERRAND, linked.pk, linked.team)
                sent += 1
    return sent


def tell_changes() -> int:
    """Tells operators of polled sheets that differ from their batch, once for each reading. Returns how many."""
    mine = Upload.objects.filter(link__is_polling=True, link__batch=F("updates"), pk__gt=F("link__told"))
    ready = mine.filter(state__in=Upload.STILL, committed_by=None)
    told = 0
    for upload in ready.select_related("link", "updates__team").order_by("pk")[:MOST_AT_ONCE]:
        with transaction.atomic():
            untold = LinkedSheet.objects.filter(uploads=upload, told__lt=upload.pk)
            if untold.update(told=upload.pk) and (words := _words(upload)):
                _tell(upload, words)
                told += 1
    return told


def _words(upload: Upload) -> str:
    """What differs, such as ``2 new, 3 changed``; empty when nothing does."""
    if upload.state != Upload.PREVIEW:
        return upload.problem
    counts = counts_of(upload)
    return ", ".join(f"{counts[kind]} {word}" for kind, word in WORDS.items() if counts[kind])


def _tell(upload: Upload, words: str) -> None:
    linked, batch = upload.link, upload.updates
    assert linked is not None
    assert batch is not None
    job = Job.objects.filter(batch=batch).select_related("team", "batch").first()
    event = linking.tell(linked, "read_sheet", None, differs=words)
    if job is None or event is None:
        return
    facts = {
        "team": job.team.slug,
        "batch": batch_facts(job),
        "reason": f"{linked}: {words}",
        "sheet": linked.pk,
    }
    Delivery.objects.bulk_create(tell_members(Told(name=NOTICE, event=event, job=job, facts=facts)))
