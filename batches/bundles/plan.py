"""What goes into a ZIP: the files of a batch or of one job by kinds, their places, and the manifest that tells of them.

The same batch gives the same plan: nothing of now is in it, and what people do with the ZIP is not part of the batch's
history.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from batches.bundles.layout import Entry, Layout
from batches.bundles.names import Folder, safe
from batches.models import Batch, Upload
from jobs import history_chain
from jobs.errors import Conflict, Invalid
from jobs.models import Asset, Event, Job, Seal
from jobs.outcomes import RELEASED
from jobs.releases import newest_release
from jobs.storage import storage_named

FORMAT = "aeproject bundle 1"
MANIFEST = "manifest.json"
MOST_FILES = 100_000
EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
JOBS_AT_ONCE = 200
TRIES = 5
SHARE, REVOKE_SHARE = SHARING = ("share", "revoke_share")
"""Events that change no ZIP: who may download is not part of what is downloaded."""
DECISIONS = ("approve_matches", "approve_preview", "force_approve", "reject")

PROJECT, REPORTS, PREVIEWS, SCRIPTS, INPUTS, WORKING = KINDS = (
    "project", "reports", "previews", "scripts", "inputs", "working",
)  # fmt: skip
LABELS = {
    PROJECT: "Project: what was deployed, with its footage",
    REPORTS: "Reports of validation and delivery",
    PREVIEWS: "Previews: the films and their poster",
    SCRIPTS: "Scripts that fill the template",
    INPUTS: "Inputs: sheet, designs, templates, footage",
    WORKING: "Working files: layers, pictures of slots, drafts",
}
DELIVERED = (PROJECT, REPORTS)
KIND_OF = {
    "released_report": REPORTS,
    "final_report": REPORTS,
    "preview_video": PREVIEWS,
    "psd_video": PREVIEWS,
    "ae_video": PREVIEWS,
    "poster": PREVIEWS,
    "populate_script": SCRIPTS,
}


def kind_of(asset: Asset) -> str:
    """The kind of files to which a job's own file belongs. Every file belongs to one."""
    return KIND_OF.get(asset.kind) or (PROJECT if asset.kind.startswith(RELEASED) else WORKING)


def kinds_of(asked: Iterable[str]) -> tuple[str, ...]:
    """The kinds that were asked for, in our order; all when nothing was asked. Commas separate too. Raises Invalid."""
    asked = list(asked)
    names = {name.strip() for text in asked for name in text.split(",")} - {""}
    if asked and not names:
        raise Invalid("Choose at least one kind of files.", field="kinds")
    if unknown := sorted(names - set(KINDS)):
        raise Invalid(f"There is no kind of files {unknown[0][:40]!r}. There are: {', '.join(KINDS)}.", field="kinds")
    return tuple(kind for kind in KINDS if not names or kind in names)


@dataclass(slots=True, frozen=True)
class StoredFile:
    """An asset's content: the source of a member."""

    asset_id: int
    storage: str
    storage_name: str

    def open(self) -> IO[bytes]:
        return storage_named(self.storage).open(self.storage_name, "rb")

    def size(self) -> int:
        return storage_named(self.storage).size(self.storage_name)

    def remember(self, crc32: int) -> None:
        Asset.objects.filter(pk=self.asset_id).update(crc32=crc32)


@dataclass(slots=True, frozen=True)
class Text:
    """Content that is made here."""

    data: bytes

    def open(self) -> IO[bytes]:
        return io.BytesIO(self.data)

    def remember(self, crc32: int) -> None:
        """It is made anew each time."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A ZIP that is ready to be sent. ``etag`` (hex) differs when a byte of it does."""

    file_name: str
    etag: str
    layout: Layout
    entries: Sequence[Entry]
    manifest: dict[str, Any]


@dataclass(kw_only=True)
class Found:
    """A file with its place below the ZIP's folder. ``job`` is empty for the files of the whole batch.

    ``sheet`` is what the manifest tells of a sheet beside its path; None for every other file.
    """

    asset: Asset
    kind: str
    path: str
    job: Job | None
    sheet: dict[str, Any] | None = None


@dataclass
class Total:
    files: int = 0
    size_bytes: int = 0


def totals(batch: Batch, job: Job | None = None) -> dict[str, Total]:
    """How many files of each kind there are, and their bytes."""
    found = {kind: Total() for kind in KINDS}
    for file in _files(batch, job, KINDS):
        found[file.kind].files += 1
        found[file.kind].size_bytes += file.asset.size_bytes
    return found


def plan(batch: Batch, job: Job | None = None, *, kinds: Sequence[str] = KINDS) -> Bundle:
    """The ZIP of a batch, or of one of its jobs. Raises Conflict when there is nothing to pack, or too much."""
    for _ in range(TRIES):
        before = _head(batch, job)
        bundle = _planned(batch, job, kinds, before)
        if _head(batch, job) == before:
            return bundle
    raise Conflict(f"{_title(batch, job)} is changing: try again in a moment.")


def _title(batch: Batch, job: Job | None) -> str:
    return batch.name if job is None else job.job_id


def _planned(batch: Batch, job: Job | None, kinds: Sequence[str], head: dict[str, Any] | None) -> Bundle:
    root = _root(batch, job)
    told = _Manifest(root)
    entries: list[Entry] = []
    for file in _files(batch, job, kinds):
        if len(entries) == MOST_FILES:
            raise Conflict(
                f"{_title(batch, job)} has more than {MOST_FILES:,} files of these kinds:"
                " choose fewer kinds, or download its jobs one by one."
            )
        entry = _entry(file.asset, f"{root}/{file.path}")
        entries.append(entry)
        told.add(file, entry)
    if not entries:
        words = "" if set(kinds) == set(KINDS) else f" of these kinds ({', '.join(kinds)})"
        raise Conflict(f"{_title(batch, job)} has no files{words} yet.", state="empty")
    manifest = told.finished(batch, job, kinds, head)
    data = manifest_bytes(manifest)
    first = manifest_entry(root, data, entries)
    everything = [first, *entries]
    return Bundle(
        file_name=f"{root}.zip",
        etag=first.sha256.hex(),
        layout=Layout(everything),
        entries=everything,
        manifest=manifest,
    )


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"


def manifest_entry(root: str, data: bytes, entries: Iterable[Entry]) -> Entry:
    """The first member of a ZIP with these entries."""
    return Entry(
        path=f"{root}/{MANIFEST}",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).digest(),
        crc32=zlib.crc32(data),
        modified=max((entry.modified for entry in entries), default=EPOCH),
        source=Text(data),
    )


def _root(batch: Batch, job: Job | None) -> str:
    name = safe(batch.directory_name, instead=f"batch-{batch.pk}")
    return name if job is None else safe(f"{name}_{job.job_id}")


def _entry(asset: Asset, path: str) -> Entry:
    return Entry(
        path=path,
        size_bytes=asset.size_bytes,
        sha256=bytes.fromhex(asset.sha256),
        crc32=asset.crc32,
        modified=asset.created_at,
        source=StoredFile(asset.pk, asset.storage, asset.storage_name),
    )


# Files ----------------------------------------------------------------------------------------------------------------
def _files(batch: Batch, job: Job | None, kinds: Sequence[str]) -> Iterator[Found]:
    """The files of these kinds: those of the batch, then job by job in the order of the sheet."""
    root = Folder()
    root.name(MANIFEST)
    # Reserved also when it is not chosen: a choice moves no file.
    root.folder(INPUTS)
    jobs = batch.jobs.select_related("psd", "project").order_by("row_line", "id")
    if job is not None:
        jobs = jobs.filter(pk=job.pk)
    elif INPUTS in kinds:
        yield from _batch_files(batch, root)
    keys = list(jobs.values_list("pk", flat=True))
    for start in range(0, len(keys), JOBS_AT_ONCE):
        some = keys[start : start + JOBS_AT_ONCE]
        assets = defaultdict(list)
        for asset in Asset.objects.filter(job_id__in=some).order_by("id"):
            assets[asset.job_id].append(asset)
        for one in jobs.filter(pk__in=some):
            name, folder = root.folder(one.job_id)
            for file in _job_files(one, assets[one.pk], folder):
                if file.kind in kinds and file.asset.removed_at is None:
                    file.path = f"{name}/{file.path}"
                    yield file


def _batch_files(batch: Batch, root: Folder) -> Iterator[Found]:
    """The sheet, what came with it that is no job's own design or template, and the newer sheets that were applied."""
    if batch.upload is None:
        return
    name, folder = root.folder(INPUTS)
    sheet = batch.upload.sheet
    if sheet.removed_at is None:
        path = f"{name}/{folder.place(sheet.name)}"
        yield Found(asset=sheet, kind=INPUTS, path=path, job=None, sheet=_told(batch.upload, batch, 1))
    used = set(batch.jobs.values_list("psd_id", flat=True)) | set(batch.jobs.values_list("project_id", flat=True))
    for file in batch.upload.files.select_related("asset").order_by("id"):
        if file.asset_id not in used and file.asset.removed_at is None:
            yield Found(asset=file.asset, kind=INPUTS, path=f"{name}/{folder.place(file.name)}", job=None)
    # Behind all that was there before, so that a newer sheet moves no file. One that was removed keeps its number.
    applied = batch.newer_sheets.filter(state=Upload.COMMITTED).exclude(pk=batch.upload.pk)
    newer = applied.select_related("sheet", "committed_by").order_by("committed_at", "pk")
    for number, upload in enumerate(newer, 2):
        told = _told(upload, batch, number)
        if upload.sheet.removed_at is None:
            wanted = f"sheets/{number}_{(told['applied_at'] or '')[:10]}_{upload.sheet.name}"
            path = f"{name}/{folder.place(wanted)}"
            yield Found(asset=upload.sheet, kind=INPUTS, path=path, job=None, sheet=told)


def _told(upload: Upload, batch: Batch, number: int) -> dict[str, Any]:
    """Which sheet of the batch it is, and who made the batch of it or applied it to the batch."""
    by = upload.committed_by or batch.created_by
    at = upload.committed_at
    return {"number": number, "applied_by": by.get_username(), "applied_at": None if at is None else _moment(at)}


def _job_files(job: Job, assets: Sequence[Asset], folder: Folder) -> Iterator[Found]:
    """All that counts of a job's files: of what was deployed the newest release alone."""
    sources = [asset for asset in (job.psd, job.project) if asset is not None]
    release = newest_release(assets)
    counted = set() if release is None else {asset.pk for asset in release.files}
    seen = {asset.pk for asset in sources}
    chosen = [(asset, INPUTS) for asset in sources]
    for asset in assets:
        older = asset.kind.startswith(RELEASED) and asset.pk not in counted
        if asset.pk not in seen and not older:
            chosen.append((asset, kind_of(asset)))
    for kind in KINDS:
        # The folder is there for every kind, chosen or not: a choice moves no file.
        name, inside = folder.folder(kind)
        for asset, its_kind in chosen:
            if its_kind == kind:
                yield Found(asset=asset, kind=kind, path=f"{name}/{inside.place(asset.name)}", job=job)


# The manifest ---------------------------------------------------------------------------------------------------------
@dataclass
class _Manifest:
    """The manifest while the files are found."""

    root: str
    members: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[int, dict[str, Any]] = field(default_factory=dict)
    sheets: list[dict[str, Any]] = field(default_factory=list)

    def add(self, file: Found, entry: Entry) -> None:
        job = None if file.job is None else self._job(file.job, file.path.partition("/")[0])
        if job is not None:
            job["files"] += 1
            job["size_bytes"] += entry.size_bytes
        if file.sheet is not None:
            self.sheets.append({"path": entry.path, **file.sheet})
        self.members.append(
            {
                "path": entry.path,
                "job": None if job is None else job["job_id"],
                "kind": file.kind,
                "what": file.asset.kind,
                "size_bytes": entry.size_bytes,
                "sha256": file.asset.sha256,
                "stored_at": _moment(file.asset.created_at),
            }
        )

    def _job(self, job: Job, folder: str) -> dict[str, Any]:
        return self.jobs.setdefault(
            job.pk,
            {
                "job_id": job.job_id,
                "id": job.pk,
                "folder": f"{self.root}/{folder}",
                "output_name": job.output_name,
                "client": job.client_name,
                "project": job.project_name,
                "state": job.public_state,
                "version": job.version,
                "files": 0,
                "size_bytes": 0,
                "decisions": [],
            },
        )

    def finished(
        self, batch: Batch, job: Job | None, kinds: Sequence[str], head: dict[str, Any] | None
    ) -> dict[str, Any]:
        events = Event.objects.filter(batch=batch, job__isnull=False, verb__in=DECISIONS)
        if job is not None:
            events = events.filter(job=job)
        for event in events.select_related("actor").order_by("id"):
            if event.job_id in self.jobs:
                self.jobs[event.job_id]["decisions"].append(_decision(event))
        return {
            "format": FORMAT,
            "team": batch.team.slug,
            "batch": {
                "id": batch.pk,
                "name": batch.name,
                "directory_name": batch.directory_name,
                "created_at": _moment(batch.created_at),
                "created_by": batch.created_by.get_username(),
            },
            "job": None if job is None else job.job_id,
            "kinds": list(kinds),
            "history": head,
            "files": len(self.members),
            "size_bytes": sum(member["size_bytes"] for member in self.members),
            "sheets": self.sheets,
            "jobs": list(self.jobs.values()),
            "members": self.members,
        }


def _decision(event: Event) -> dict[str, Any]:
    return {
        "verb": event.verb,
        "by": event.actor.get_username() if event.actor else None,
        "at": _moment(event.at),
        "version": event.version,
        "reason": event.reason,
    }


def _head(batch: Batch, job: Job | None) -> dict[str, Any] | None:
    """The last seal of the batch's history, or of the job's: where it stood in the team's chain when it was packed."""
    history_chain.head(batch.team)
    seals = Seal.objects.filter(event__batch=batch) if job is None else Seal.objects.filter(event__job=job)
    last = seals.exclude(event__verb__in=SHARING).order_by("-position").select_related("event").first()
    if last is None:
        return None
    event = last.event
    return {"position": last.position, "digest": last.digest, "verb": event.verb, "at": _moment(event.at)}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
