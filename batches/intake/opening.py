"""From a sheet to a batch in two steps: preview, then commit. Then the start of its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from batches.intake import csv_source, sent
from batches.intake.repeats import refuse_repeat
from batches.intake.table import PRIORITY_WORDS, shown
from batches.intake.upload import Received, Sent, pick_sheet, received
from batches.intake.verdicts import Verdict, judge, row_data, taken_ids, verdicts_of
from batches.models import Batch, Upload, UploadedFile
from batches.naming import open_batch
from jobs.errors import Conflict, Invalid
from jobs.models import PRIORITIES, Asset, Job, SentFile, Team
from jobs.store import open_asset, put_asset
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from batches.intake.upload import Readable

JOBS_PER_INSERT = 500


def preview_upload(
    user: User,
    team: Team,
    *,
    sheet_name: str,
    sheet_file: Readable,
    files: Iterable[Sent] = (),
    arrived: Sequence[SentFile] = (),
) -> Upload:
    """Stores a sheet and the files sent along, and says of every row whether it can become a job.

    ``sheet_name`` may be that of a ZIP with the sheet in it; ``arrived`` are files that were sent before. Raises
    NotAllowed, or Invalid with the field ``sheet`` or ``files`` when there is nothing to show a verdict on.
    """
    require_verb(user, team, "start")
    with received(chain([(sheet_name, sheet_file)], files, sent.streams(arrived))) as everything:
        if sheet_name.lower().endswith(".zip"):
            sheet, others = pick_sheet(everything)
        else:
            sheet, *others = everything
        return _store(user, team, sheet, others, arrived)


def preview_files(user: User, team: Team, *, files: Iterable[Sent], arrived: Sequence[SentFile] = ()) -> Upload:
    """As ``preview_upload``, with the sheet found among the files: the one that ends in .csv, also inside a ZIP."""
    require_verb(user, team, "start")
    with received(chain(files, sent.streams(arrived))) as everything:
        sheet, others = pick_sheet(everything)
        return _store(user, team, sheet, others, arrived)


def _store(user: User, team: Team, sheet: Received, files: list[Received], arrived: Sequence[SentFile] = ()) -> Upload:
    size_bytes = sheet.path.stat().st_size
    if size_bytes > settings.MAX_SHEET_BYTES:
        most = settings.MAX_SHEET_BYTES / 2**20
        raise Invalid(f"The sheet has {size_bytes / 2**20:,.1f} MB; at most {most:,.1f} MB are allowed.", field="sheet")
    table = csv_source.read(sheet.path.read_bytes(), most_rows=settings.MAX_SHEET_ROWS)
    with transaction.atomic():
        upload = Upload.objects.create(
            team=team,
            user=user,
            sheet=put_asset(sheet.path, team=team, kind="sheet", name=PurePosixPath(sheet.name).name),
        )
        assets = {
            file.name: put_asset(file.path, team=team, kind="upload", name=PurePosixPath(file.name).name)
            for file in files
        }
        for name, asset in sent.assets_of(arrived).items():
            if assets.setdefault(name, asset).sha256 != asset.sha256:
                raise Invalid(f"Two different files are called {shown(name)}.", field="files")
        UploadedFile.objects.bulk_create(
            [UploadedFile(upload=upload, name=name, asset=asset) for name, asset in assets.items()]
        )
        upload.verdicts = judge(table, team=team, uploaded=assets)
        upload.save(update_fields=["verdicts"])
    return upload


def check_again(user: User, upload: Upload) -> Upload:
    """Judges the rows anew: files may have been put into the asset roots, jobs may have been opened meanwhile.

    Raises NotAllowed, or Conflict for an upload that was committed.
    """
    require_verb(user, upload.team, "start")
    with open_asset(upload.sheet) as file:
        table = csv_source.read(file.read(), most_rows=settings.MAX_SHEET_ROWS)
    verdicts = judge(table, team=upload.team, uploaded=_assets(upload))
    if not Upload.objects.filter(pk=upload.pk, committed_at=None).update(verdicts=verdicts):
        raise Conflict("This upload was committed already, or discarded.", state="committed")
    upload.verdicts = verdicts
    return upload


def _assets(upload: Upload) -> dict[str, Asset]:
    return {file.name: file.asset for file in upload.files.select_related("asset")}


def commit_all(user: User, upload: Upload, *, name: str = "", again: bool = False) -> Batch:
    """Opens a batch of every row. Raises Invalid when a row is bad, Conflict when it is not (or no longer) possible,
    Repeated when the person made a batch of the same sheet lately and did not say ``again``."""
    require_verb(user, upload.team, "start")
    if not again:
        refuse_repeat(user, upload)  # before its rows are found fault with: their ids are taken, by that very batch
    if bad := upload.verdicts["bad"]:
        rows = "1 row has" if bad == 1 else f"{bad} rows have"
        raise Invalid(f"{rows} errors. Correct the sheet, or commit the good rows only.", field="rows")
    return _commit(user, upload, name, again)


def commit_good_rows(user: User, upload: Upload, *, name: str = "", again: bool = False) -> Batch:
    """Opens a batch of the rows without errors, and leaves the others out. Raises as ``commit_all``."""
    require_verb(user, upload.team, "start")
    if not again:
        refuse_repeat(user, upload)
    return _commit(user, upload, name, again)


def _commit(user: User, upload: Upload, name: str, again: bool) -> Batch:
    good = [verdict for verdict in verdicts_of(upload.verdicts) if verdict.good]
    if not good:
        raise Invalid("No row is without errors: there is nothing to commit.", field="rows")
    try:
        with transaction.atomic():
            # One commit of a team at a time, so that of two at once the second sees the first.
            Team.objects.select_for_update(no_key=True).get(pk=upload.team_id)
            if not again:
                refuse_repeat(user, upload)
            batch = _open_batch(user, upload, name, good)
            jobs = _jobs(batch, upload, good)
            _refuse_taken(upload.team, jobs)
            Job.objects.bulk_create(jobs, batch_size=JOBS_PER_INSERT)
    except IntegrityError:
        raise Conflict(
            "A job of this sheet was opened by somebody else in this moment. Check the rows again."
        ) from None
    return batch


def _open_batch(user: User, upload: Upload, name: str, good: list[Verdict]) -> Batch:
    now = timezone.now()
    if not Upload.objects.filter(pk=upload.pk, committed_at=None).update(committed_at=now):
        raise Conflict("This upload was committed already, or discarded.", state="committed")
    upload.committed_at = now
    cells = [_cells(upload, verdict) for verdict in good]
    return open_batch(
        user,
        upload.team,
        name=name,
        designs=[row["psd_path"] for row in cells],
        clients=[row.get("client_name", "") for row in cells],
        upload=upload,
        data={"jobs": len(good), "left_out": upload.verdicts["bad"], "sheet": upload.sheet.name},
    )


def _cells(upload: Upload, verdict: Verdict) -> dict[str, Any]:
    return dict(zip(upload.verdicts["names"], verdict.values, strict=True))


def _refuse_taken(team: Team, jobs: list[Job]) -> None:
    taken = sorted(taken_ids(team, [job.job_id for job in jobs]))
    if taken:
        more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        raise Conflict(
            f"{', '.join(taken[:3])}{more}: opened since the preview, as a job of the team. Check the rows again."
        )


def _jobs(batch: Batch, upload: Upload, verdicts: list[Verdict]) -> list[Job]:
    assets = _assets(upload)
    jobs = []
    for verdict in verdicts:
        cells = _cells(upload, verdict)
        jobs.append(
            Job(
                team=batch.team,
                batch=batch,
                row_line=verdict.line,
                job_id=cells["job_id"],
                psd_path=cells["psd_path"],
                project_path=cells["aepx_path"],
                output_name=cells["output_name"],
                client_name=cells.get("client_name", ""),
                project_name=cells.get("project_name", ""),
                notes=cells.get("notes", ""),
                row_data=row_data(upload.verdicts, verdict.values),
                priority=PRIORITY_WORDS[cells["priority"].lower()] if cells.get("priority") else PRIORITIES["normal"],
                psd=assets.get(verdict.psd),
                project=assets.get(verdict.project),
            )
        )
    return jobs


def discard(user: User, upload: Upload) -> None:
    """Removes an upload that was not committed. Raises Conflict for one that was."""
    require_verb(user, upload.team, "start")
    with transaction.atomic():
        assets = [upload.sheet_id, *upload.files.values_list("asset_id", flat=True)]
        removed, _ = Upload.objects.filter(pk=upload.pk, committed_at=None).delete()
        if not removed:
            raise Conflict("This upload was committed already, or discarded.", state="committed")
        Asset.objects.filter(pk__in=assets).delete()


def bad_rows_csv(upload: Upload) -> bytes:
    """The rows with errors as a CSV with the sheet's own columns and one more, ``error``: correct it, send it again."""
    verdicts = upload.verdicts
    titles = [title or name for title, name in zip(verdicts["header"], verdicts["names"], strict=True)]
    records = [[*titles, csv_source.ERROR_COLUMN]]
    for verdict in verdicts_of(verdicts):
        if not verdict.good:
            words = " ".join(f"{fault.column} {fault.message}".strip() for fault in verdict.errors)
            records.append([*verdict.values, f"Line {verdict.line}: {words}"])
    return csv_source.write(records)
