"""The verdict on every row of a sheet, written into UploadRow; in the request, or as an errand of a worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from django.conf import settings
from django.db import transaction

from batches.intake import sheet as sheets
from batches.intake.checks import Finder
from batches.intake.grid import suffix_of
from batches.intake.sheet import Layout, Sheet
from batches.intake.table import JOB_ID, Fault, Repeats, Row, cell_faults, shown, tidy_name
from batches.models import Batch, Upload, UploadRow
from batches.updates.comparing import Comparer, Comparison
from jobs import errands
from jobs.errands import Held
from jobs.errors import Conflict, Invalid
from jobs.inserting import insert_many
from jobs.models import Asset, Errand, Job, Team
from jobs.store import fetch

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ERRAND = "judge_sheet"
CHUNK = 1000
IDS_PER_QUERY = 500
T = TypeVar("T")


class Gone(Exception):
    """The upload was discarded while it was worked on."""


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Verdict(NamedTuple):
    """The columns of an UploadRow."""

    line: int
    values: Sequence[str]
    errors: list[list[str]]
    good: bool
    psd: str
    project: str


@dataclass
class Judge:
    """Judges rows in the order of the sheet. It knows the rows before, so that it must see all of them."""

    team: Team
    layout: Layout
    names: tuple[str, ...]
    finder: Finder
    batch: Batch | None = None
    """The one that the sheet is a newer one for: its own jobs take no id away."""

    def __post_init__(self) -> None:
        self._repeats = [Repeats(name) for name in ("job_id", "output_name") if name in self.names]

    def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """The verdicts on the next rows."""
        cells = [dict(zip(self.names, row.values, strict=True)) for row in rows]
        ids = [one["job_id"] for one in cells if JOB_ID.fullmatch(one["job_id"])]
        jobs = self._jobs(ids)
        taken = taken_ids(self.team, [job_id for job_id in ids if job_id not in jobs])
        return [self._verdict(row, one, taken, jobs.get(one["job_id"])) for row, one in zip(rows, cells, strict=True)]

    def _jobs(self, job_ids: Sequence[str]) -> dict[str, Job]:
        if self.batch is None:
            return {}
        columns = ("job_id", "psd_path", "project_path", "psd_id", "project_id")
        # Not through the batch's own manager, which would ask for the batch of each.
        jobs = Job.objects.filter(batch=self.batch.pk, job_id__in=job_ids).only(*columns)
        return {job.job_id: job for job in jobs}

    def _verdict(self, row: Row, cells: dict[str, str], taken: set[str], job: Job | None) -> Verdict:
        faults = [Fault(column=self.names[place], message=message) for place, message in row.faults]
        known = {fault.column for fault in faults}
        faults += [fault for fault in cell_faults(cells) if fault.column not in known]
        if row.surplus:
            faults.append(_surplus(row))
        for repeats in self._repeats:
            text = cells[repeats.column]
            if text and (fault := repeats.fault(row.line, text)) is not None:
                faults.append(fault)
        if cells["job_id"] in taken:
            faults.append(taken_fault(cells["job_id"]))
        sent = self._files(cells, faults, job)
        return Verdict(
            line=row.line,
            values=row.values,
            errors=[self.error(row.line, fault) for fault in faults],
            good=not faults,
            psd=sent.get("psd_path", ""),
            project=sent.get("aepx_path", ""),
        )

    def _files(self, cells: dict[str, str], faults: list[Fault], job: Job | None) -> dict[str, str]:
        """Looks for the row's files, adding to the faults. The names of those that were sent along, by column.

        A file that the row's job has stored need not be there any more.
        """
        stored = _stored_files(job)
        bad = {fault.column for fault in faults}
        sent = {}
        for column in ("psd_path", "aepx_path"):
            if column in bad:
                continue
            found = self.finder.find(cells[column])
            sent[column] = found.uploaded
            if found.problem and stored.get(column) != cells[column]:
                faults.append(Fault(column=column, message=found.problem))
        return sent

    def error(self, line: int, fault: Fault) -> list[str]:
        """As UploadRow keeps it: column, message, where."""
        place = self.names.index(fault.column) if fault.column in self.names else None
        return [fault.column, fault.message, self.layout.where(line, place)]


def _stored_files(job: Job | None) -> dict[str, str]:
    """The paths of the files that a job has stored, by column."""
    if job is None:
        return {}
    stored = {"psd_path": (job.psd_id, job.psd_path), "aepx_path": (job.project_id, job.project_path)}
    return {column: path for column, (asset, path) in stored.items() if asset is not None}


def _surplus(row: Row) -> Fault:
    return Fault(
        column="",
        message=f"has more cells than the header ({shown(row.surplus[0], 30)}):"
        " a text that holds the separator needs quotation marks.",
    )


def taken_fault(job_id: str) -> Fault:
    return Fault(column="job_id", message=f"{shown(job_id)} is the id of an open job of the team.")


def taken_ids(team: Team, job_ids: Sequence[str]) -> set[str]:
    """Those of the ids that open jobs of the team have."""
    taken: set[str] = set()
    for part in chunks(job_ids, IDS_PER_QUERY):
        taken |= set(Job.objects.open().filter(team=team, job_id__in=part).values_list("job_id", flat=True))
    return taken


class Content:
    """What a sheet says, as a digest of titles and rows: whatever its format, and whatever stands around them."""

    def __init__(self, layout: Layout) -> None:
        self._sha256 = hashlib.sha256()
        self.add([layout.titles])

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        for cells in rows:
            self._sha256.update(json.dumps(cells).encode() + b"\n")

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def judge_of(upload: Upload) -> Judge:
    layout = Layout.from_json(upload.layout)
    return Judge(
        team=upload.team,
        layout=layout,
        names=judge_names(upload),
        finder=Finder(upload.team, assets_of(upload)),
        batch=upload.updates,
    )


def comparer_of(upload: Upload) -> Comparer:
    return Comparer(judge_names(upload), others_of(upload), assets_of(upload))


def others_of(upload: Upload) -> list[tuple[int, str]]:
    """Place among the values and title of the columns that are kept with the job as they are.

    What we write into a linked sheet ourselves says nothing of the job.
    """
    ours = {tidy_name(title) for title in upload.link.columns.values()} if upload.link else set()
    others = Layout.from_json(upload.layout).others(judge_names(upload))
    return [(place, title) for place, title in others if tidy_name(title) not in ours]


def judge_names(upload: Upload) -> tuple[str, ...]:
    """What the columns of the upload's rows are called."""
    return Layout.from_json(upload.layout).names(titles_of(upload))


def titles_of(upload: Upload) -> dict[str, str]:
    """The mapping without how we came to it: {our column: tidied title}."""
    return {name: choice["title"] for name, choice in upload.mapping.items()}


def assets_of(upload: Upload) -> dict[str, Asset]:
    """The files that its rows may call, by name: those sent along, and those of the batch that it is newer for."""
    uploads = [upload.updates.upload, upload] if upload.updates else [upload]
    return {
        file.name: file.asset
        for one in uploads
        if one is not None
        for file in one.files.select_related("asset").order_by("pk")
    }


def limited(rows: Iterator[Row], layout: Layout) -> Iterator[Row]:
    """The rows, up to the limit. Raises Invalid beyond it."""
    for count, row in enumerate(rows):
        if count >= settings.MAX_SHEET_ROWS:
            raise Invalid(
                f"{layout.where(row.line)}: the sheet has more than {settings.MAX_SHEET_ROWS} rows. Split it.",
                field="sheet",
            )
        yield row


def judge_now(upload: Upload, rows: Sequence[Row]) -> None:
    """Judges a small sheet, whose rows are all at hand, within the caller's transaction."""
    upload.rows.all().delete()
    judge = judge_of(upload)
    verdicts, content = judge.verdicts(rows), Content(judge.layout)
    content.add(row.values for row in rows)
    _keep(upload, verdicts)
    if upload.updates:
        Comparison(upload, comparer_of(upload)).write(lambda done: nullcontext())
    _end(upload, content, good=sum(row.good for row in verdicts), total=len(verdicts))


def judge_as_errand(held: Held) -> None:
    """Judges a large sheet chunk by chunk, each a transaction that only the holder of the lease can make.

    Begins at the top whenever it is begun: what a worker before had written is removed first.
    """
    uploads = Upload.objects.select_related("team", "sheet", "updates__upload")
    upload = uploads.filter(pk=held.subject, state=Upload.JUDGING).first()
    if upload is None:
        return
    try:
        with TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="judge-") as directory:
            held.hold(step="Reading the sheet")
            _judge_file(held, upload, fetched(upload, Path(directory), tick=held.hold))
    except Invalid as error:
        with transaction.atomic():
            held.hold()
            refuse(upload.pk, str(error))
    except Gone:
        return


def fetched(
    upload: Upload,
    directory: Path,
    *,
    headers: Mapping[str, int] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Sheet:
    """The upload's sheet, opened from the store again, as its layout says."""
    name = upload.sheet.name
    path = fetch(upload.sheet, directory, name=f"sheet{suffix_of(name)}", tick=tick)
    layout = upload.layout
    return sheets.opened(
        path, name, sheet_name=layout.get("sheet_name", ""), header_row=layout.get("header_line", 0), headers=headers
    )


def _judge_file(held: Held, upload: Upload, sheet: Sheet) -> None:
    judge = judge_of(upload)
    with transaction.atomic():
        held.hold(done=0, total=sheet.grid.rows, step="Judging rows")
        _lock(upload)
        upload.rows.all().delete()
    good, done, content = 0, 0, Content(judge.layout)
    for rows in chunks(limited(sheet.rows(), sheet.layout), CHUNK):
        verdicts = judge.verdicts(rows)
        content.add(row.values for row in rows)
        good += sum(row.good for row in verdicts)
        done += len(verdicts)
        with transaction.atomic():
            held.hold(done=done, total=max(done, sheet.grid.rows))
            _lock(upload)
            _keep(upload, verdicts)
            Upload.objects.filter(pk=upload.pk).update(good=good, bad=done - good)
    if upload.updates:
        _compare(held, upload, total=done)
    with transaction.atomic():
        held.hold(done=done, total=done)
        _lock(upload)
        _end(upload, content, good=good, total=done)


def _compare(held: Held, upload: Upload, *, total: int) -> None:
    @contextmanager
    def writing(done: int) -> Iterator[None]:
        with transaction.atomic():
            held.hold(done=done, total=total, step="Comparing rows with jobs")
            _lock(upload)
            yield

    Comparison(upload, comparer_of(upload)).write(writing)


def _keep(upload: Upload, verdicts: Iterable[Verdict]) -> None:
    insert_many(UploadRow(upload=upload), Verdict._fields, verdicts)


def _lock(upload: Upload) -> None:
    """Keeps the upload from being discarded until the transaction ends. Raises Gone when it was."""
    if not Upload.objects.select_for_update().filter(pk=upload.pk, state=Upload.JUDGING).exists():
        raise Gone


def _end(upload: Upload, content: Content, *, good: int, total: int) -> None:
    upload.good, upload.bad, upload.state, upload.problem = good, total - good, Upload.PREVIEW, ""
    upload.content_sha256 = content.sha256
    upload.save(update_fields=["good", "bad", "state", "problem", "content_sha256"])


def refuse(upload_id: int, problem: str) -> None:
    """Nothing of the rows is left, only the reason."""
    UploadRow.objects.filter(upload=upload_id).delete()
    Upload.objects.filter(pk=upload_id, state=Upload.JUDGING).update(
        state=Upload.REFUSED, problem=problem, good=0, bad=0
    )


def give_up(upload_id: int, error: str) -> None:
    refuse(upload_id, f"The sheet could not be judged: {error}. Check it again, or send it again.")


def judge_again(user: User, errand: Errand) -> None:
    """Judging that failed for good begins anew. Raises Conflict when the sheet was checked again or sent anew since."""
    refused = Upload.objects.filter(pk=errand.subject, state=Upload.REFUSED)
    if not refused.update(state=Upload.JUDGING, problem=""):
        raise Conflict("The sheet was checked again since, or discarded.", state="gone")
    errands.send(ERRAND, errand.subject, errand.team, total=errand.total)


def cells_of(row: UploadRow, names: Sequence[str]) -> dict[str, str]:
    return dict(zip(names, row.values, strict=True))
