"""A newer sheet is applied to its batch: at once, or chunk by chunk as an errand of a worker.

Each change is compared again under the lock of its job: what happened since the sheet was compared is seen, and nothing
is done twice. An errand that is begun again goes on with the changes that have no outcome yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from batches.intake import judging
from batches.intake.committing import Maker
from batches.intake.table import file_name_key
from batches.models import Batch, Upload, UploadedFile, UploadRow
from batches.naming import locked
from batches.updates.comparing import (
    Difference,
    hindrance,
    name_is_taken,
    prioritised_by_hand,
    row_chunks,
)
from batches.updates.models import SheetChange
from batches.updates.names import Claimant, clashes, held_names
from jobs import clock, errands
from jobs.cancelling import cancel_many
from jobs.errands import Held
from jobs.errors import Conflict, Invalid
from jobs.lifecycle import move
from jobs.models import Errand, Event, Job
from jobs.teams import require_verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import User

ERRAND = "update_batch"
CHUNK = 200
"""Changes to a transaction: each may move a job, and the lease must outlive all of them."""
NOT_CHOSEN = "It was not chosen."
THERE_ALREADY = "A job of this id is in the batch by now."
OPEN_ELSEWHERE = "An open job of the team has this id."
OVER_ALREADY = "It was over by then."


# Asking ---------------------------------------------------------------------------------------------------------------
def counts_of(upload: Upload) -> dict[str, int]:
    """How many rows and jobs of each kind; ``hindered`` are those of the changes that cannot be done now."""
    rows = upload.changes.order_by().values("kind").annotate(number=Count("pk"))
    by_kind = dict.fromkeys(SheetChange.KINDS, 0) | {row["kind"]: row["number"] for row in rows}
    return {
        **by_kind,
        "unchanged": max(0, upload.good - by_kind[SheetChange.NEW] - by_kind[SheetChange.CHANGED]),
        "errors": upload.bad,
        "hindered": upload.changes.exclude(hindrance="").count(),
    }


def apply(user: User, upload: Upload, *, new: bool = True, changed: bool = True, cancel: int = 0) -> Upload:
    """Does what a newer sheet says: opens ``new`` rows as jobs, changes those whose rows ``changed``.

    ``cancel`` is the number of jobs to cancel because their rows are gone: all of them, or 0. With many changes the
    upload comes back in the state ``opening``: a worker goes on. Raises NotAllowed; Invalid (field ``cancel``,
    ``rows`` or ``sheet``); Conflict when the upload, or the batch, is not where that is possible.
    """
    require_verb(user, upload.team, "start")
    batch = _batch_of(upload)
    _refuse_unready(upload, batch)
    removed = upload.changes.filter(kind=SheetChange.REMOVED).count()
    if cancel not in {0, removed}:
        raise Invalid(
            f"The rows of {removed:,} jobs are gone, not of {cancel:,}. Give that number to cancel them, or 0 to keep"
            " them.",
            field="cancel",
        )
    kinds = {SheetChange.NEW: new, SheetChange.CHANGED: changed, SheetChange.REMOVED: bool(cancel)}
    chosen = [kind for kind, wanted in kinds.items() if wanted]
    with transaction.atomic():
        _begin(user, upload, batch, chosen)
        waiting = upload.changes.filter(outcome="").count()
        if waiting + upload.total > settings.SHEET_ROWS_AT_ONCE:
            errands.send(ERRAND, upload.pk, upload.team, total=waiting)
        else:
            _apply_now(upload, batch)
    upload.refresh_from_db()
    return upload


def _apply_now(upload: Upload, batch: Batch) -> None:
    try:
        _Application(upload, batch).run(lambda step, done: nullcontext())
    except IntegrityError:
        raise Conflict("Somebody opened a job of this sheet in this moment. Check the rows again.") from None


def _batch_of(upload: Upload) -> Batch:
    if upload.updates is None:
        raise Invalid("This sheet is for a new batch: commit it.", field="sheet")
    return upload.updates


def _refuse_unready(upload: Upload, batch: Batch) -> None:
    if upload.state in {Upload.MAPPING, Upload.REFUSED}:
        raise Invalid(upload.problem, field="mapping" if upload.state == Upload.MAPPING else "sheet")
    if upload.state != Upload.PREVIEW:
        raise _busy(upload)
    _refuse_archived(batch)
    if upload.changes.exclude(outcome="").exists():
        raise Conflict("This sheet was applied in part. Check it again to see what is left.", state=upload.state)


def _refuse_archived(batch: Batch) -> None:
    if batch.archived_at is not None:
        raise Conflict(f"{batch.name} is archived. Take it back from the archive first.", state="archived")


def _busy(upload: Upload) -> Conflict:
    if upload.state == Upload.COMMITTED:
        return Conflict("This sheet was applied already.", state="committed")
    return Conflict("A worker is at this sheet now. Wait until it is done.", state=upload.state)


def _begin(user: User, upload: Upload, batch: Batch, chosen: Sequence[str]) -> None:
    upload.changes.exclude(hindrance="").update(outcome=SheetChange.LEFT)
    upload.changes.filter(outcome="").exclude(kind__in=chosen).update(outcome=SheetChange.LEFT, note=NOT_CHOSEN)
    if not upload.changes.filter(outcome="").exists():
        raise Invalid("There is nothing to do: no change that can be done now was chosen.", field="rows")
    _hold_for(user, upload, batch)
    upload.committed_by = user
    _hand_over_files(upload, batch)


def _hold_for(user: User, upload: Upload, batch: Batch) -> None:
    """The upload is the one sheet that is applied to the batch now. Raises Conflict."""
    try:
        with transaction.atomic():
            ready = Upload.objects.filter(pk=upload.pk, state=Upload.PREVIEW)
            if not ready.update(state=Upload.OPENING, committed_by=user, problem=""):
                raise _busy(Upload.objects.get(pk=upload.pk))
    except IntegrityError:
        raise Conflict(f"Another sheet is being applied to {batch.name}. Wait until it is done.") from None


def _hand_over_files(upload: Upload, batch: Batch) -> None:
    """What was sent along is the batch's from now on, in place of files of the same names."""
    if batch.upload is None:
        Batch.objects.filter(pk=batch.pk).update(upload=upload)
        return
    for file in upload.files.all():
        UploadedFile.objects.update_or_create(upload=batch.upload, name=file.name, defaults={"asset_id": file.asset_id})


# Doing ----------------------------------------------------------------------------------------------------------------
Writing = Callable[[str, int], AbstractContextManager[None]]
"""``writing(step, done)``: the transaction in which what follows ``done`` changes is written."""


def apply_as_errand(held: Held) -> None:
    """Goes on with an upload's changes. A batch that was deleted meanwhile is left alone."""
    uploads = Upload.objects.select_related("team", "sheet", "updates__upload", "updates__team", "committed_by")
    upload = uploads.filter(pk=held.subject, state=Upload.OPENING).first()
    if upload is None or upload.updates is None:
        return

    @contextmanager
    def writing(step: str, done: int) -> Iterator[None]:
        with transaction.atomic():
            held.hold(step=step, done=done)
            yield

    try:
        _Application(upload, upload.updates).run(writing)
    except Conflict as error:
        with transaction.atomic():
            held.hold()
            give_up(upload.pk, str(error))


def give_up(upload_id: int, error: str) -> None:
    """What was done stays done; the rest is compared anew when somebody checks the sheet again."""
    upload = Upload.objects.get(pk=upload_id)
    left = upload.changes.filter(outcome="").count()
    Upload.objects.filter(pk=upload_id, state=Upload.OPENING).update(
        state=Upload.PREVIEW, problem=f"The sheet could not be applied to its end ({error}): {left} changes are left."
    )


def apply_again(user: User, errand: Errand) -> None:
    """What an errand left when it was given up is gone on with. Raises Conflict when the sheet was checked since."""
    uploads = Upload.objects.select_related("updates").exclude(problem="")
    upload = uploads.filter(pk=errand.subject, state=Upload.PREVIEW).first()
    if upload is None or upload.updates is None:
        raise Conflict("The sheet was checked again since, or is gone: apply what is left on its page.", state="gone")
    _refuse_archived(upload.updates)
    left = upload.changes.filter(outcome="").count()
    _hold_for(user, upload, upload.updates)
    errands.send(ERRAND, upload.pk, errand.team, total=left)


class _Application:
    """The changes of one upload, applied. Knows the output names of the batch: nobody else changes them meanwhile."""

    def __init__(self, upload: Upload, batch: Batch) -> None:
        self._upload = upload
        self._batch = batch
        self._actor = upload.committed_by
        self._comparer = judging.comparer_of(upload)
        self._maker = Maker(upload, batch)
        self._names = held_names(batch)
        self._done = 0

    def run(self, writing: Writing) -> None:
        """Raises Conflict when the batch was deleted meanwhile."""
        changes = self._upload.changes
        self._done = changes.exclude(outcome="").count()
        self._each(writing, Q(kind=SheetChange.CHANGED, trades=True), None, self._change)
        self._each(writing, Q(kind=SheetChange.CHANGED), CHUNK, self._change)
        self._each(writing, Q(kind=SheetChange.NEW), CHUNK, self._open)
        self._each(writing, Q(kind=SheetChange.REMOVED), CHUNK, self._cancel)
        for rows in row_chunks(self._upload):
            with writing("Numbering the rows", self._done):
                self._number(rows)
        with writing("Ending", self._done):
            self._end()

    def _each(self, writing: Writing, which: Q, size: int | None, do: Callable[[Sequence[SheetChange]], None]) -> None:
        waiting = self._upload.changes.filter(which, outcome="").select_related("row").order_by("pk")
        while changes := list(waiting[:size]):
            with writing("Applying changes", self._done):
                do(changes)
                SheetChange.objects.bulk_update(changes, ["outcome", "note", "job"], batch_size=CHUNK)
                locked(self._batch)  # jobs are locked before their batch, as by whoever moves one
            self._done += len(changes)

    # Changed rows -----------------------------------------------------------------------------------------------------
    def _change(self, changes: Sequence[SheetChange]) -> None:
        found = Job.objects.select_for_update(of=("self",), no_key=True).select_related("psd", "project", "team")
        jobs = {job.pk: job for job in found.filter(pk__in=[change.job_id for change in changes]).order_by("pk")}
        by_hand = prioritised_by_hand(list(jobs))
        ready: list[tuple[SheetChange, Job, Difference]] = []
        for change in changes:
            job, row = jobs[change.job_id or 0], _row_of(change)
            difference = self._comparer.difference(job, row, by_hand=job.pk in by_hand)
            if why := hindrance(job, difference):
                _leave(change, why)
            elif not difference.fields:
                _did(change)  # by somebody else, or by a worker that was killed after it
            else:
                ready.append((change, job, difference))
        for change, job, difference in self._rename(ready):
            self._move(change, job, difference)

    def _rename(self, ready: list[tuple[SheetChange, Job, Difference]]) -> list[tuple[SheetChange, Job, Difference]]:
        """Takes the names of those that get another out of the way of each other. Returns who may go on."""
        wanted: dict[Claimant, str] = {
            job.pk: file_name_key(difference.columns["output_name"])
            for _, job, difference in ready
            if "output_name" in difference.columns
        }
        blocked = clashes(self._names, wanted)
        for change, job, _ in ready:
            if job.pk in blocked:
                _leave(change, name_is_taken(_job_id_of(blocked[job.pk])))
        free = [one for one in ready if one[1].pk not in blocked]
        renamed = [job for _, job, _ in free if job.pk in wanted]
        for job in renamed:
            self._names.pop(file_name_key(job.output_name), None)
        for job in renamed:
            self._names[wanted[job.pk]] = job.pk
            # Seen by nobody: the job gets its name in the same transaction.
            Job.objects.filter(pk=job.pk).update(output_name=f"\x7f{job.pk}")
        return free

    def _move(self, change: SheetChange, job: Job, difference: Difference) -> None:
        move(
            job,
            "revise" if difference.redo is not None else "correct",
            actor=self._actor,
            target=difference.redo,
            reason=f"Sheet {self._upload.sheet.name}, line {change.line}",
            data={"upload": self._upload.pk, "changes": difference.fields},
            fields={**difference.columns, "row_line": change.line},
        )
        if "priority" in difference.columns and difference.redo is None:
            job.runs.filter(state="queued").update(priority=job.priority, rank=job.priority)
        _did(change)

    # New rows ---------------------------------------------------------------------------------------------------------
    def _open(self, changes: Sequence[SheetChange]) -> None:
        ids = [change.name for change in changes]
        here = set(self._batch.jobs.filter(job_id__in=ids).values_list("job_id", flat=True))
        taken = judging.taken_ids(self._upload.team, ids)
        rows = []
        for change in changes:
            key = file_name_key(self._comparer.output_name(_row_of(change)))
            if change.name in here:
                _leave(change, THERE_ALREADY)
            elif change.name in taken:
                _leave(change, OPEN_ELSEWHERE)
            elif key in self._names:
                _leave(change, name_is_taken(_job_id_of(self._names[key])))
            else:
                self._names[key] = 0
                rows.append(_row_of(change))
                _did(change)
        if not rows:
            return
        self._maker.make(rows)
        made = dict(self._batch.jobs.filter(job_id__in=ids).values_list("job_id", "pk"))
        for change in changes:
            if change.outcome == SheetChange.DONE:
                change.job_id = made[change.name]

    # Rows that are gone -----------------------------------------------------------------------------------------------
    def _cancel(self, changes: Sequence[SheetChange]) -> None:
        mine = Job.objects.filter(pk__in=[change.job_id for change in changes])
        open_yet = set(mine.open().values_list("pk", flat=True))
        cancel_many(mine, actor=self._actor, reason=f"It is not in the sheet {self._upload.sheet.name} any more.")
        for change in changes:
            if change.job_id in open_yet:
                _did(change)
            else:
                _leave(change, OVER_ALREADY)

    # The end ----------------------------------------------------------------------------------------------------------
    def _number(self, rows: Sequence[UploadRow]) -> None:
        """Jobs stand in the order of the sheet, also those whose rows were only moved."""
        lines = {self._comparer.job_id(row): row.line for row in rows if row.good}
        jobs = Job.objects.filter(batch=self._batch.pk, job_id__in=lines).order_by("pk")
        moved = [job for job in jobs.only("job_id", "row_line") if job.row_line != lines[job.job_id]]
        for job in moved:
            job.row_line = lines[job.job_id]
        Job.objects.bulk_update(moved, ["row_line"], batch_size=CHUNK)

    def _end(self) -> None:
        batch = locked(self._batch)
        done = self._upload.changes.filter(outcome=SheetChange.DONE).order_by().values("kind")
        counts = {row["kind"]: row["number"] for row in done.annotate(number=Count("pk"))}
        left = self._upload.changes.filter(outcome=SheetChange.LEFT).count()
        data = {"sheet": self._upload.sheet.name, "upload": self._upload.pk, **counts, "left_out": left}
        Event.objects.create(team_id=batch.team_id, batch=batch, verb="update_batch", actor=self._actor, data=data)
        Upload.objects.filter(pk=self._upload.pk).update(state=Upload.COMMITTED, committed_at=clock.now())


def _row_of(change: SheetChange) -> UploadRow:
    assert change.row is not None
    return change.row


def _job_id_of(pk: int) -> str:
    return Job.objects.filter(pk=pk).values_list("job_id", flat=True).first() or "another row"


def _did(change: SheetChange) -> None:
    change.outcome = SheetChange.DONE


def _leave(change: SheetChange, why: str) -> None:
    change.outcome, change.note = SheetChange.LEFT, why
