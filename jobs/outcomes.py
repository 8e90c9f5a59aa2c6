"""Keeps what a stage made: files go to storage first, rows follow in the transaction that ends the run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from django.core.files import File
from django.core.files.storage import storages
from django.utils import timezone

from jobs.models import Asset, Job, Match, StageRun, Warning
from jobs.stages.base import Outcome, Produced
from jobs.states import Stage
from jobs.store import hash_file, put

RELEASED = "released_"
"""Files whose kind begins so are deployed to the output storage, under their own names."""


@dataclass(kw_only=True)
class Stored:
    """An outcome whose files lie in storage; ``keep`` writes the rows."""

    run: StageRun
    outcome: Outcome
    assets: list[Asset] = field(default_factory=list)

    def keep(self) -> None:
        """Replaces what the stage left before. Runs inside the transaction that ends the run."""
        job, stage = self.run.job, Stage(self.run.stage)
        # What was deployed stays on record, also after a second delivery.
        job.assets.filter(stage=stage).exclude(storage="outputs").delete()
        Asset.objects.bulk_create(self.assets)
        _keep_warnings(job, stage, self.outcome)
        if stage == Stage.INGESTION:
            keep_matches(job, self.outcome.result["matches"])


@contextmanager
def stored(run: StageRun, outcome: Outcome) -> Iterator[Stored]:
    """Stores an outcome's files. When the body fails, what went to the output storage is taken back."""
    deployed: list[str] = []
    result = Stored(run=run, outcome=outcome)
    try:
        release = [produced for produced in outcome.files if produced.kind.startswith(RELEASED)]
        folder = _release_folder(run.job, release) if release else ""
        for produced in outcome.files:
            if produced in release:
                result.assets.append(_deploy(run, produced, folder, deployed))
            else:
                result.assets.append(_store(run, produced))
        yield result
    except BaseException:
        for name in deployed:
            storages["outputs"].delete(name)
        raise


def _store(run: StageRun, produced: Produced) -> Asset:
    name, digest, size = put(produced.path)
    return _asset(run, produced, storage="default", storage_name=name, digest=digest, size=size)


def _asset(run: StageRun, produced: Produced, *, storage: str, storage_name: str, digest: str, size: int) -> Asset:
    return Asset(
        team_id=run.job.team_id,
        job_id=run.job_id,
        stage=run.stage,
        kind=produced.kind,
        name=produced.name,
        storage=storage,
        storage_name=storage_name,
        size_bytes=size,
        media_type=produced.media_type,
        sha256=digest,
    )


def _release_folder(job: Job, release: list[Produced]) -> str:
    """A folder of the output storage in which none of the names is taken by other content."""
    batch = re.sub(r"[^A-Za-z0-9_.-]+", "-", job.batch.name).strip("-.") or "batch"
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", PurePosixPath(job.output_name).stem).strip("-.") or job.job_id
    base = f"{job.team.slug}/{batch}-{job.batch_id}/{stem}"
    outputs = storages["outputs"]
    for revision in range(1, 10_000):
        folder = base if revision == 1 else f"{base}-{revision}"
        if not any(outputs.exists(f"{folder}/{produced.name}") for produced in release):
            return folder
    raise OSError(f"the output storage has too many releases of {base}")


def _deploy(run: StageRun, produced: Produced, folder: str, deployed: list[str]) -> Asset:
    wanted = f"{folder}/{produced.name}"
    with produced.path.open("rb") as file:
        name = storages["outputs"].save(wanted, File(file))
    deployed.append(name)
    if name != wanted:
        raise OSError(f"{wanted} was taken by another release in this moment")
    return _asset(
        run,
        produced,
        storage="outputs",
        storage_name=name,
        digest=hash_file(produced.path),
        size=produced.path.stat().st_size,
    )


def _keep_warnings(job: Job, stage: Stage, outcome: Outcome) -> None:
    """Replaces the stage's warnings; one that was resolved before and is found again keeps its resolution."""
    before = {(w.code, w.object, w.message): w for w in job.warnings.filter(stage=stage).exclude(resolution="")}
    job.warnings.filter(stage=stage).delete()
    fresh = []
    for kind, items in ((Warning.FINDING, outcome.findings), (Warning.FIDELITY, outcome.notes)):
        for item in items:
            warning = Warning(job=job, stage=stage, kind=kind, **_columns(item))
            old = before.get((warning.code, warning.object, warning.message))
            if old is not None:
                warning.resolution, warning.note = old.resolution, old.note
                warning.resolved_by_id, warning.resolved_at = old.resolved_by_id, old.resolved_at
            fresh.append(warning)
    Warning.objects.bulk_create(fresh)


def _columns(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": item["code"][:60],
        "severity": item.get("severity", "info"),
        "object": str(item.get("object", ""))[:300],
        "message": item["message"],
        "cure": item.get("cure", ""),
        "evidence": str(item.get("evidence", "")),
    }


def keep_matches(job: Job, proposed: list[dict[str, Any]]) -> None:
    """Writes the proposal. A person's choice stays when its slot and layer are still there under the same names."""
    by_person = {
        match.slot_id: match for match in job.matches.filter(origin=Match.HUMAN) if _still_there(job, match, proposed)
    }
    job.matches.exclude(pk__in=[match.pk for match in by_person.values()]).delete()
    taken = {match.layer_id for match in by_person.values()}
    fresh = []
    for order, item in enumerate(proposed):
        if item["slot_id"] in by_person:
            continue
        match = Match(job=job, order=order, changed_at=timezone.now(), **item)
        if match.layer_id in taken:
            match.layer_id, match.layer_name, match.score, match.parts = None, "", None, {}
        fresh.append(match)
    Match.objects.bulk_create(fresh)


def _still_there(job: Job, match: Match, proposed: list[dict[str, Any]]) -> bool:
    run = job.runs.filter(stage=Stage.INGESTION, state=StageRun.DONE).order_by("-ended_at").first()
    layers = {layer["layer_id"]: layer["name"] for layer in (run.result["layers"] if run else [])}
    same_slot = any(item["slot_id"] == match.slot_id and item["slot_name"] == match.slot_name for item in proposed)
    return same_slot and (match.layer_id is None or layers.get(match.layer_id) == match.layer_name)
