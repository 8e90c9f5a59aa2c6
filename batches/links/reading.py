"""A linked sheet is read, by a worker, and goes the way of every sheet: an upload, compared with its batch."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta

from django.db import transaction

from batches.google import addresses, client, taking
from batches.google.snapshot import SUFFIX, Snapshot
from batches.intake import opening
from batches.links.models import LinkedSheet
from batches.models import Upload
from jobs import clock
from jobs.errands import Held
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.leftovers import foreseen
from jobs.store import name_of

MOST_FAILURES = 5
"""In a row, of those that only people can mend; then a sheet is polled no more."""
MOST_BACKOFF = timedelta(days=1)


def read_as_errand(held: Held) -> None:
    """Reads a sheet and compares it, unless it is what was compared before. What people must mend is noted for them;
    what may pass is raised, and tried again as every errand is."""
    linked = LinkedSheet.objects.kept().select_related("asked_by", "team").filter(pk=held.subject).first()
    if linked is None:
        return
    try:
        address = addresses.parse(linked.url, linked.range)
        snapshot = client.read(address, hold=lambda: held.hold(step="Asking Google"))
        content = snapshot.as_bytes()
        name = name_of(hashlib.sha256(content).hexdigest(), SUFFIX)
        with foreseen(linked.team, [(name, len(content))]), transaction.atomic():
            held.hold(step="Comparing")
            _keep(linked.pk, snapshot, content)
    except (Invalid, Conflict) as error:
        _note_failure(held, linked, str(error))
    except NotAllowed:
        words = f"{linked.asked_by} may not start batches of the team any more. Sync again: it is then read for you."
        _note_failure(held, linked, words)


def _keep(linked_id: int, snapshot: Snapshot, content: bytes) -> None:
    """As the link is now, which may have got its batch while the sheet was read."""
    links = LinkedSheet.objects.select_for_update(of=("self",)).select_related("team", "batch__upload", "asked_by")
    linked = links.filter(pk=linked_id).first()
    if linked is None:
        return
    told = linked.told
    if snapshot.digest != linked.digest:
        _drop_unused(linked)
        upload = opening.preview_upload(
            linked.asked_by,
            linked.team,
            sheet_name=taking.file_name(snapshot),
            sheet_file=io.BytesIO(content),
            updates=linked.batch,
            link=linked,
        )
        # Whoever asked for it looks at it; of a look by the clock people are told.
        told = upload.pk if not linked.digest else told
    LinkedSheet.objects.filter(pk=linked.pk).update(
        title=(snapshot.title or linked.title)[:300],
        digest=snapshot.digest,
        told=told,
        read_at=clock.now(),
        error="",
        failures=0,
        poll_after=clock.now() + timedelta(minutes=linked.poll_minutes),
    )


def _drop_unused(linked: LinkedSheet) -> None:
    """What was compared before and not applied is out of date."""
    for upload in linked.uploads.filter(state__in=[*Upload.STILL, Upload.JUDGING], committed_by=None):
        opening.forget(upload)


def _note_failure(held: Held, linked: LinkedSheet, error: str) -> None:
    """Permanent, as far as we can know: polled less and less, then no more."""
    failures = linked.failures + 1
    wait = min(timedelta(minutes=linked.poll_minutes) * 2**failures, MOST_BACKOFF)
    changes = {"error": error, "failures": failures, "poll_after": clock.now() + wait}
    if linked.is_polling and failures >= MOST_FAILURES:
        changes |= {
            "is_polling": False,
            "error": f"{error} It failed {failures} times in a row, so that it is polled no more: mend it, then switch"
            " polling on again.",
        }
    with transaction.atomic():
        held.hold()
        LinkedSheet.objects.filter(pk=linked.pk).update(**changes)


def give_up(linked_id: int, error: str) -> None:
    """What should have passed did not. Polled again later."""
    linked = LinkedSheet.objects.filter(pk=linked_id).first()
    if linked is not None:
        wait = min(timedelta(minutes=linked.poll_minutes) * 2, MOST_BACKOFF)
        told = f"{error} It was tried several times. Sync again in a while."
        LinkedSheet.objects.filter(pk=linked_id).update(error=told, poll_after=clock.now() + wait)
