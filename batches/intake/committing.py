"""Judged rows become the jobs of a batch: at once, or chunk by chunk as an errand of a worker.

An errand that is begun again goes on behind the last job that is there: a chunk is one transaction, which only the
holder of the lease can make. The batch is shown to nobody until the last chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from batches.intake.judging import CHUNK, Judge, assets_of, cells_of, judge_of, others_of, taken_fault, taken_ids
from batches.intake.table import priority_of
from batches.models import Batch, Upload, UploadRow
from jobs import clock
from jobs.errands import Held
from jobs.errors import Conflict
from jobs.inserting import insert_many
from jobs.models import Asset, Event, Job, Team
from jobs.planning import tell_planner

ERRAND = "open_batch"
ROWS_PER_UPDATE = 500
VARYING = (
    "row_line", "job_id", "psd_path", "project_path", "output_name", "client_name", "project_name", "notes", "row_data",
    "priority", "psd_id", "project_id", "bytes_in",
)  # fmt: skip
"""The columns of a job that its row says."""
TRIES = 3
OPENED_MEANWHILE = "A job of this sheet was opened by somebody else in this moment. Check the rows again."


class Maker:
    """Makes jobs of an upload's good rows."""

    def __init__(self, upload: Upload, batch: Batch) -> None:
        judge: Judge = judge_of(upload)
        self._batch = batch
        self._names = judge.names
        self._assets: dict[str, Asset] = assets_of(upload)
        self._others = others_of(upload)

    def make(self, rows: Sequence[UploadRow]) -> None:
        """Inserts the jobs. Raises IntegrityError when one of them is open by now."""
        example = Job(team_id=self._batch.team_id, batch_id=self._batch.pk)
        insert_many(example, VARYING, map(self._columns, rows))

    def job_ids(self, rows: Sequence[UploadRow]) -> list[str]:
        place = self._names.index("job_id")
        return [row.values[place] for row in rows]

    def _columns(self, row: UploadRow) -> tuple[Any, ...]:
        """In the order of VARYING."""
        cells = cells_of(row, self._names)
        psd, project = self._assets.get(row.psd), self._assets.get(row.project)
        return (
            row.line,
            cells["job_id"],
            cells["psd_path"],
            cells["aepx_path"],
            cells["output_name"],
            cells.get("client_name", ""),
            cells.get("project_name", ""),
            cells.get("notes", ""),
            {title: row.values[place] for place, title in self._others},
            priority_of(cells.get("priority", "")),
            psd.pk if psd else None,
            project.pk if project else None,
            psd.size_bytes if psd else 0,
        )


# At once --------------------------------------------------------------------------------------------------------------
def commit_now(upload: Upload, batch: Batch) -> None:
    """All jobs in the caller's transaction. Raises Conflict when one of them was opened since the preview."""
    maker, rows = Maker(upload, batch), list(upload.rows.filter(good=True).order_by("id"))
    _refuse_taken(upload.team, maker.job_ids(rows))
    try:
        with transaction.atomic():
            maker.make(rows)
    except IntegrityError:
        raise Conflict(OPENED_MEANWHILE) from None
    _end(upload, batch)


def _refuse_taken(team: Team, job_ids: Sequence[str]) -> None:
    taken = sorted(taken_ids(team, job_ids))
    if taken:
        more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        raise Conflict(
            f"{', '.join(taken[:3])}{more}: opened since the preview, as a job of the team. Check the rows again."
        )


def _end(upload: Upload, batch: Batch) -> None:
    """The batch is open. In the transaction of its last jobs."""
    Upload.objects.filter(pk=upload.pk).update(state=Upload.COMMITTED, committed_at=clock.now(), problem="")
    Batch.objects.filter(pk=batch.pk).update(opening=False)
    batch.opening = False


# As an errand ---------------------------------------------------------------------------------------------------------
def commit_as_errand(held: Held) -> None:
    """Opens the batch of a large sheet. Rows whose job was opened by somebody else meanwhile are left out."""
    uploads = Upload.objects.select_related("team", "sheet", "batch__team", "batch__created_by")
    upload = uploads.filter(pk=held.subject, state=Upload.OPENING).first()
    if upload is None:
        return
    batch = upload.batch
    maker = Maker(upload, batch)
    held.hold(total=upload.good, step="Opening jobs")
    while True:
        last = batch.jobs.aggregate(last=Max("row_line"))["last"] or 0
        rows = list(upload.rows.filter(good=True, line__gt=last).order_by("line")[:CHUNK])
        if not rows:
            break
        _commit_chunk(held, upload, batch, maker, rows)
    with transaction.atomic():
        held.hold()
        jobs = batch.jobs.count()
        if not jobs:
            _withdraw(upload, batch, "All its jobs were opened by somebody else meanwhile.")
            return
        _end(upload, batch)
        if jobs != upload.good:
            _note(batch, "leave_out_rows", {"jobs": jobs, "left_out": upload.good - jobs})
    tell_planner(Job, made=jobs)


def _commit_chunk(held: Held, upload: Upload, batch: Batch, maker: Maker, rows: list[UploadRow]) -> None:
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                held.hold()
                free = _leave_taken_out(upload, maker, rows)
                maker.make(free)
                held.hold(done=batch.jobs.count())
            return
        except IntegrityError:
            # Somebody opened one of these between our look and our insert: the next look sees it.
            if not left:
                raise


def _leave_taken_out(upload: Upload, maker: Maker, rows: list[UploadRow]) -> list[UploadRow]:
    """Marks the rows whose job is open by now as bad; returns the others."""
    ids = maker.job_ids(rows)
    taken = taken_ids(upload.team, ids)
    if not taken:
        return rows
    judge = judge_of(upload)
    late = [(row, job_id) for row, job_id in zip(rows, ids, strict=True) if job_id in taken]
    for row, job_id in late:
        row.good, row.errors = False, [judge.error(row.line, taken_fault(job_id))]
    UploadRow.objects.bulk_update([row for row, _ in late], ["good", "errors"], batch_size=ROWS_PER_UPDATE)
    _count(upload)
    return [row for row in rows if row.good]


def _count(upload: Upload) -> None:
    good = upload.rows.filter(good=True).count()
    Upload.objects.filter(pk=upload.pk).update(good=good, bad=upload.rows.count() - good)


def _note(batch: Batch, verb: str, data: dict[str, Any]) -> None:
    Event.objects.create(team_id=batch.team_id, batch=batch, verb=verb, data=data)


def _withdraw(upload: Upload, batch: Batch, problem: str) -> None:
    """Nothing is left of the batch but its number, which the history has told; the upload can be committed again."""
    batch.jobs.all().delete()
    Batch.objects.filter(pk=batch.pk).update(deleted_at=clock.now(), opening=False, upload=None)
    Upload.objects.filter(pk=upload.pk, state=Upload.OPENING).update(state=Upload.PREVIEW, problem=problem)
    _note(batch, "withdraw_batch", {"reason": problem, "upload": upload.pk})


def give_up(upload_id: int, error: str) -> None:
    """Withdraws a batch that could not be opened, unless somebody works on one of its jobs already."""
    upload = Upload.objects.select_related("sheet", "batch__created_by").get(pk=upload_id)
    batch = upload.batch
    if not batch.jobs.filter(version__gt=0).exists():
        _withdraw(upload, batch, f"The batch could not be opened: {error}. Nothing of it is left; try again.")
        return
    _end(upload, batch)
    jobs = batch.jobs.count()
    _note(batch, "leave_out_rows", {"jobs": jobs, "left_out": upload.good - jobs, "reason": error})
    told = f"Only {jobs} of {upload.good} jobs could be opened: {error}."
    Upload.objects.filter(pk=upload.pk).update(problem=told)
