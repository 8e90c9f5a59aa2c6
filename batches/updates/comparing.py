"""Where a newer sheet differs from the jobs of its batch, and what would have to be done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from batches.intake.table import file_name_key, priority_of, shown
from batches.models import Upload, UploadRow
from batches.updates.models import SheetChange
from batches.updates.names import Claimant, clashes, held_names, trading
from jobs.inserting import insert_many
from jobs.models import PRIORITY_NAMES, Asset, Event, Job
from jobs.slot_columns import filled
from jobs.states import FINAL, Stage, State

CHUNK = 1000
MOST_TRADES = 1000
"""Jobs that may trade output names in one go: all of them move in one transaction."""
TEXTS = ("output_name", "client_name", "project_name", "notes")
HINDRANCES = {
    State.DONE: "It was deployed as it was. Process it again on its page first, if it should become another.",
    State.CANCELLED: "It was cancelled. Retry it first.",
    State.ON_HOLD: "It is on hold. Release it first.",
}
TOO_MANY_TRADE = (
    f"More than {MOST_TRADES:,} jobs trade their output names. Give some of them names that are free first."
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``fields`` is for people: {column: [before, after]}; ``columns`` are what changes of the job. ``redo`` is the
    first stage that depends on any of it, None when none of those that were begun does."""

    fields: dict[str, list[str]]
    columns: dict[str, Any]
    redo: Stage | None


class Comparer:
    """Compares rows of an upload with their jobs. What the sheet has no column for is left as it is."""

    def __init__(self, names: Sequence[str], others: Sequence[tuple[int, str]], assets: Mapping[str, Asset]) -> None:
        """``others`` are place and title of the columns that are none of ours."""
        self._names = names
        self._others = others
        self._assets = assets

    def job_id(self, row: UploadRow) -> str:
        return str(row.values[self._names.index("job_id")])

    def output_name(self, row: UploadRow) -> str:
        return str(row.values[self._names.index("output_name")])

    def difference(self, job: Job, row: UploadRow, *, by_hand: bool) -> Difference:
        """``by_hand``: a person gave the job its priority, which stays."""
        cells = dict(zip(self._names, row.values, strict=True))
        fields: dict[str, list[str]] = {}
        columns: dict[str, Any] = {}
        stages = []
        for name in TEXTS:
            before = getattr(job, name)
            if name in cells and cells[name] != before:
                fields[name], columns[name] = [before, cells[name]], cells[name]
        if "priority" in cells and not by_hand and (priority := priority_of(cells["priority"])) != job.priority:
            fields["priority"] = [job.priority_name, PRIORITY_NAMES[priority]]
            columns["priority"] = priority
        if self._compare_others(job, row, fields, columns):
            stages.append(Stage.INGESTION)
        if self._is_other_file(job, "psd", "psd_path", cells["psd_path"], row.psd, fields, columns):
            stages.append(Stage.INGESTION)
        if self._is_other_file(job, "project", "project_path", cells["aepx_path"], row.project, fields, columns):
            stages.append(Stage.INGESTION)
            columns["render_comp_id"] = None  # it was one of the other project
        if "output_name" in columns:
            stages.append(Stage.DELIVERY)
        redo = min(stages, default=None)
        if redo is not None and (redo > job.stage or job.state == State.PENDING):
            redo = None
        if redo is not None:
            columns["forced_reason"] = ""  # it was about what is made anew
        return Difference(fields=fields, columns=columns, redo=redo)

    def _compare_others(self, job: Job, row: UploadRow, fields: dict[str, list[str]], columns: dict[str, Any]) -> bool:
        """Notes what differs in columns that are none of ours; True when slots are filled otherwise."""
        for place, title in self._others:
            before, after = str(job.row_data.get(title, "")), row.values[place]
            if before != after:
                fields[title] = [before, after]
        after_all = {**job.row_data, **{title: row.values[place] for place, title in self._others}}
        if any(title in fields for _, title in self._others):
            columns["row_data"] = after_all
        return filled(after_all) != filled(job.row_data)

    def _is_other_file(
        self,
        job: Job,
        asset_field: str,
        path_field: str,
        path: str,
        sent: str,
        fields: dict[str, list[str]],
        columns: dict[str, Any],
    ) -> bool:
        """Notes another path or content; True when it is another content, or nobody knows.

        A file of the asset roots that was changed under its own name is not noticed: ingestion does that.
        """
        asset, had = self._assets.get(sent), getattr(job, asset_field)
        before = getattr(job, path_field)
        same = asset is not None and had is not None and asset.sha256 == had.sha256
        if path == before and (asset is None or same):
            return False
        name = "aepx_path" if path_field == "project_path" else path_field
        fields[name] = [before, path if path != before else f"{path} (another file)"]
        columns[path_field] = path
        columns[f"{asset_field}_id"] = asset.pk if asset else None
        if asset_field == "psd":
            columns["bytes_in"] = asset.size_bytes if asset else 0
        return not same


def hindrance(job: Job, difference: Difference) -> str:
    """Why the job cannot be changed now; empty when it can."""
    state = State(job.state)
    if state in FINAL or (state == State.ON_HOLD and difference.redo is not None):
        return HINDRANCES[state]
    return ""


def prioritised_by_hand(jobs: Sequence[int]) -> set[int]:
    """Those of the jobs to which a person gave a priority."""
    events = Event.objects.filter(job__in=jobs, verb="prioritise").order_by()
    return {pk for pk in events.values_list("job_id", flat=True) if pk is not None}


class Change(NamedTuple):
    """The columns of a SheetChange."""

    kind: str
    row_id: int | None
    job_id: int | None
    name: str
    line: int
    fields: dict[str, list[str]]
    redo: int | None
    hindrance: str


Writing = Callable[[int], AbstractContextManager[None]]
"""``writing(done)``: the transaction in which what follows ``done`` rows is written."""


class Comparison:
    """One look at all rows of a newer sheet."""

    def __init__(self, upload: Upload, comparer: Comparer) -> None:
        assert upload.updates is not None
        self._upload = upload
        self._batch = upload.updates
        self._comparer = comparer
        self._seen: set[str] = set()
        self._wanted: dict[Claimant, str] = {}

    def write(self, writing: Writing) -> None:
        """Writes the upload's changes in place of those that were there."""
        with writing(0):
            self._upload.changes.all().delete()
        done = 0
        for rows in row_chunks(self._upload):
            changes = self._changes(rows)
            done += len(rows)
            with writing(done):
                self._keep(changes)
        for removed in self._removed():
            with writing(done):
                self._keep(removed)
        with writing(done):
            self._settle_names()

    def _keep(self, changes: Sequence[Change]) -> None:
        if changes:
            insert_many(SheetChange(upload=self._upload), Change._fields, changes)

    def _changes(self, rows: Sequence[UploadRow]) -> list[Change]:
        """Rows with errors change nothing, and nothing is removed for them."""
        ids = [self._comparer.job_id(row) for row in rows]
        self._seen.update(ids)
        found = self._batch.jobs.filter(job_id__in=ids).select_related("psd", "project")
        jobs = {job.job_id: job for job in found}
        by_hand = prioritised_by_hand([job.pk for job in jobs.values()])
        changes = []
        for row, job_id in zip(rows, ids, strict=True):
            if not row.good:
                continue
            job = jobs.get(job_id)
            if job is None:
                changes.append(self._new(row, job_id))
                continue
            difference = self._comparer.difference(job, row, by_hand=job.pk in by_hand)
            if difference.fields:
                changes.append(self._changed(row, job, difference))
        return changes

    def _new(self, row: UploadRow, job_id: str) -> Change:
        self._wanted[job_id] = file_name_key(self._comparer.output_name(row))
        return Change(SheetChange.NEW, row.pk, None, job_id, row.line, {}, None, "")

    def _changed(self, row: UploadRow, job: Job, difference: Difference) -> Change:
        why = hindrance(job, difference)
        if not why and "output_name" in difference.columns:
            self._wanted[job.pk] = file_name_key(difference.columns["output_name"])
        redo = int(difference.redo) if difference.redo else None
        return Change(SheetChange.CHANGED, row.pk, job.pk, job.job_id, row.line, difference.fields, redo, why)

    def _removed(self) -> Iterator[list[Change]]:
        """Jobs that are not over and stand in no row."""
        last, open_jobs = 0, Job.objects.open().filter(batch=self._batch.pk).order_by("pk").only("job_id", "row_line")
        while jobs := list(open_jobs.filter(pk__gt=last)[:CHUNK]):
            last = jobs[-1].pk
            yield [
                Change(SheetChange.REMOVED, None, job.pk, job.job_id, job.row_line, {}, None, "")
                for job in jobs
                if job.job_id not in self._seen
            ]

    def _settle_names(self) -> None:
        """Hinders the changes whose output name stays that of another job, and marks those that trade theirs."""
        holders = held_names(self._batch)
        blocked = clashes(holders, self._wanted)
        ids = dict(self._batch.jobs.filter(pk__in=set(blocked.values())).values_list("pk", "job_id")) if blocked else {}
        changes = self._upload.changes
        for claimant, holder in blocked.items():
            mine = changes.filter(job=claimant) if isinstance(claimant, int) else changes.filter(name=claimant)
            mine.update(hindrance=name_is_taken(ids.get(holder, "?")))
        trades = trading(holders, {who: key for who, key in self._wanted.items() if who not in blocked})
        marks = {"trades": True} if len(trades) <= MOST_TRADES else {"hindrance": TOO_MANY_TRADE}
        for at in range(0, len(trades), CHUNK):
            changes.filter(kind=SheetChange.CHANGED, job__in=trades[at : at + CHUNK]).update(**marks)


def name_is_taken(job_id: str) -> str:
    return f"Its output name is that of {shown(job_id)}, which keeps it."


def row_chunks(upload: Upload) -> Iterator[list[UploadRow]]:
    """All rows of an upload in the order of the sheet."""
    last = 0
    while rows := list(upload.rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = rows[-1].pk
        yield rows
