"""States of jobs go back into the linked sheet: state, link and error, into the columns that people named for them.

Nothing is kept of what is to be written: whenever the batch has moved, the present states of all its jobs are offered
to the sheet, and only cells that say something else are written. The last value wins; a write that was lost is made up.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Max, Q, Sum

from batches.google import addresses
from batches.google.write_back import Written, write_back
from batches.links import linking
from batches.links.models import LinkedSheet
from jobs import clock, errands
from jobs.errands import Held
from jobs.errors import Invalid
from jobs.models import Job, StageRun
from jobs.states import State
from jobs.telling import address_of

MOST_AT_ONCE = 50
LEAST_WAIT = timedelta(seconds=15)
MOST_WAIT = timedelta(hours=1)
MOST_ERROR_CHARACTERS = 500
CHUNK = 1000


def write_due() -> int:
    """Sends the errands of the sheets whose batches have moved since they were written. Returns how many."""
    now = clock.now()
    named = ~Q(state_column="") | ~Q(link_column="") | ~Q(error_column="")
    due = LinkedSheet.objects.kept().filter(named, batch__isnull=False, batch__archived_at=None)
    sent = 0
    for linked in due.filter(Q(write_after=None) | Q(write_after__lte=now)).select_related("team").order_by("pk"):
        if sent >= MOST_AT_ONCE:
            break
        if signature(linked) != linked.written:
            errands.send(linking.WRITE_ERRAND, linked.pk, linked.team)
            sent += 1
    return sent


def signature(linked: LinkedSheet) -> str:
    """Another one whenever a job of the batch has moved, was added or was run: versions only count up."""
    jobs = Job.objects.filter(batch=linked.batch_id).aggregate(number=Count("pk"), moves=Sum("version"), last=Max("pk"))
    return f"{jobs['number']}:{jobs['moves'] or 0}:{jobs['last'] or 0}"


def write_as_errand(held: Held) -> None:
    """Writes the states of all jobs of a batch. What people must mend is noted; what may pass is raised."""
    linked = LinkedSheet.objects.kept().select_related("batch").filter(pk=held.subject).first()
    if linked is None or linked.batch is None or not linked.columns:
        return
    seen = signature(linked)  # before the states are read, so that what moves meanwhile is written the next time
    key = linking.titles_now(linked).get("job_id", "job_id")
    try:
        done = write_back(
            addresses.parse(linked.url, linked.range),
            key=key,
            cells=_cells(linked),
            header_row=linking.header_row_now(linked),
            hold=lambda: held.hold(step="Writing into the sheet"),
        )
    except Invalid as error:
        _note_failure(held, linked, str(error))
        return
    now = clock.now()
    _note(held, linked, {
        "written": seen,
        "written_at": now,
        "write_after": now + LEAST_WAIT,
        "write_error": "",
        "write_failures": 0,
        "write_note": _left_alone(done),
    })  # fmt: skip


def _cells(linked: LinkedSheet) -> dict[tuple[str, str], str]:
    cells: dict[tuple[str, str], str] = {}
    last = 0
    jobs = Job.objects.filter(batch=linked.batch_id).order_by("pk")
    while chunk := list(jobs.filter(pk__gt=last)[:CHUNK]):
        last = chunk[-1].pk
        errors = _errors_of(chunk) if linked.error_column else {}
        for job in chunk:
            texts = {
                "state": job.public_state.replace("_", " "),
                "link": address_of(job.pk, None),
                "error": errors.get(job.pk, ""),
            }
            for what, title in linked.columns.items():
                cells[job.job_id, title] = texts[what]
    return cells


def _errors_of(jobs: list[Job]) -> dict[int, str]:
    """Why the failed ones of the jobs failed, on one line."""
    failed = [job.pk for job in jobs if job.state == State.FAILED]
    runs = StageRun.objects.filter(job__in=failed, state=StageRun.FAILED).order_by("ended_at", "pk")
    return {job: _line(error) for job, error in runs.values_list("job_id", "error")}


def _line(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.split())[:MOST_ERROR_CHARACTERS]


def _left_alone(done: Written) -> str:
    if not done.skipped:
        return ""
    first = done.skipped[0]
    cells = "1 cell was" if len(done.skipped) == 1 else f"{len(done.skipped):,} cells were"
    return f"{cells} left alone, such as that of {first.key} in “{first.column}”, which {first.reason}."


def _note_failure(held: Held, linked: LinkedSheet, error: str) -> None:
    failures = linked.write_failures + 1
    wait = min(LEAST_WAIT * 2 ** min(failures, 16), MOST_WAIT)
    _note(held, linked, {"write_error": error, "write_failures": failures, "write_after": clock.now() + wait})


def _note(held: Held, linked: LinkedSheet, changes: dict[str, object]) -> None:
    """Unless somebody has chosen other columns since: then all is written again."""
    same = {field: getattr(linked, field) for field in linking.COLUMN_FIELDS}
    with transaction.atomic():
        held.hold()
        LinkedSheet.objects.filter(pk=linked.pk, **same).update(**changes)


def give_up(linked_id: int, error: str) -> None:
    """What should have passed did not: tried again in an hour."""
    words = f"{error} It is tried again in an hour."
    LinkedSheet.objects.filter(pk=linked_id).update(write_error=words, write_after=clock.now() + MOST_WAIT)
