"""Keeps what a stage made: files go to storage first, rows follow in the transaction that ends the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import Error as DatabaseTrouble
from django.db.models import Exists, OuterRef, QuerySet

from jobs import clock, deployments
from jobs.compiled import Rows, given
from jobs.leftovers import delete_records
from jobs.models import Asset, Deployment, Job, Match, StageRun, Warning
from jobs.sources import Beat, no_beat
from jobs.stages.base import Outcome, Produced
from jobs.states import Stage
from jobs.store import Checksums, checksums_of, put

logger = logging.getLogger(__name__)

RELEASED = "released_"
"""Files whose kind begins so are deployed to the output storage, under their own names."""


@dataclass(kw_only=True)
class Stored:
    """An outcome whose files lie in storage; ``keep`` writes the rows."""

    run: StageRun
    outcome: Outcome
    assets: list[Asset] = field(default_factory=list)
    deployment: Deployment | None = None

    def keep(self) -> None:
        """Replaces what the stage, and runs of it with other inputs, left before.

        Runs inside the transaction that ends the run.
        """
        job, stage = self.run.job, Stage(self.run.stage)
        if self.deployment is not None:
            deployments.keep(self.deployment)
            deployed = sum(asset.size_bytes for asset in self.assets if asset.storage == "outputs")
            Job.objects.filter(pk=job.pk).update(bytes_out=deployed)
        [(runs, assets, warnings, matches)] = _LEFT_BEFORE.all(id=self.run.pk)
        if runs:
            _replaced(job, stage, self.run.pk).update(state=StageRun.DROPPED)
        if assets:
            delete_records(_replaceable(job, stage))
        if self.assets:
            for asset in self.assets:
                # A transaction that was rolled back before had given them keys, which others may have by now.
                asset.pk = None
            Asset.objects.bulk_create(self.assets)
        _keep_warnings(job, stage, self.outcome, replace=warnings)
        if stage == Stage.INGESTION:
            keep_matches(job, self.outcome.result["matches"], replace=matches)


def _replaceable(job: Any, stage: Any) -> QuerySet[Asset]:
    """What was deployed stays on record, also after a second delivery."""
    return Asset.objects.filter(job=job, stage=stage).exclude(storage="outputs")


def _replaced(job: Any, stage: Any, run: Any) -> QuerySet[StageRun]:
    """What was prepared from other inputs."""
    return StageRun.objects.filter(job=job, stage=stage, state=StageRun.DONE).exclude(pk=run)


# Most stages are done once, and find nothing of theirs in all these tables.
_LEFT_BEFORE = Rows(
    lambda: (
        StageRun.objects.filter(pk=given(StageRun, "id"))
        .order_by()
        .values_list(
            Exists(_replaced(OuterRef("job"), OuterRef("stage"), OuterRef("pk"))),
            Exists(_replaceable(OuterRef("job"), OuterRef("stage"))),
            Exists(Warning.objects.filter(job=OuterRef("job"), stage=OuterRef("stage"))),
            Exists(Match.objects.filter(job=OuterRef("job"))),
        )
    )
)


@contextmanager
def stored(run: StageRun, outcome: Outcome, *, beat: Beat = no_beat) -> Iterator[Stored]:
    """Stores an outcome's files. When the body fails, what went to the output storage is taken back.

    ``beat`` is called while files are stored; what it raises ends the storing.
    """

    def tick() -> None:
        beat("storing", 99)

    result = Stored(run=run, outcome=outcome)
    release = [produced for produced in outcome.files if produced.kind.startswith(RELEASED)]
    result.assets += [_store(run, produced, tick) for produced in outcome.files if produced not in release]
    if not release:
        yield result
        return
    result.deployment = deployments.plan(run, release)
    try:
        result.assets += [_deploy(run, produced, result.deployment, tick) for produced in release]
        yield result
    except BaseException:
        _take_back(result.deployment)
        raise


def _take_back(deployment: Deployment) -> None:
    try:
        deployments.take_back(deployment)
    except (DatabaseTrouble, OSError):
        logger.exception("%s could not be taken back now; the sweep does it", deployment.folder)


def _store(run: StageRun, produced: Produced, tick: Callable[[], None]) -> Asset:
    name, checksums, size = put(produced.path, tick=tick)
    return _asset(run, produced, storage="default", storage_name=name, checksums=checksums, size=size)


def _deploy(run: StageRun, produced: Produced, deployment: Deployment, tick: Callable[[], None]) -> Asset:
    return _asset(
        run,
        produced,
        storage="outputs",
        storage_name=deployments.deploy(deployment, produced, tick=tick),
        checksums=checksums_of(produced.path, tick=tick),
        size=produced.path.stat().st_size,
    )


def _asset(
    run: StageRun, produced: Produced, *, storage: str, storage_name: str, checksums: Checksums, size: int
) -> Asset:
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
        sha256=checksums.sha256,
        crc32=checksums.crc32,
    )


def _keep_warnings(job: Job, stage: Stage, outcome: Outcome, *, replace: bool) -> None:
    """Writes the stage's warnings; one that was resolved before and is found again keeps its resolution.

    ``replace``: there are some.
    """
    before = {}
    if replace:
        resolved = job.warnings.filter(stage=stage).exclude(resolution="")
        before = {(warning.code, warning.object, warning.message): warning for warning in resolved}
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
    if fresh:
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


def keep_matches(job: Job, proposed: list[dict[str, Any]], *, replace: bool = True) -> None:
    """Writes the proposal. A person's choice stays when its slot and layer are still there under the same names.

    ``replace``: there may be some.
    """
    by_person = {}
    if replace:
        chosen = job.matches.filter(origin=Match.HUMAN)
        by_person = {match.slot_id: match for match in chosen if _still_there(job, match, proposed)}
        job.matches.exclude(pk__in=[match.pk for match in by_person.values()]).delete()
    taken = {match.layer_id for match in by_person.values()}
    fresh = []
    for order, item in enumerate(proposed):
        if item["slot_id"] in by_person:
            continue
        match = Match(job=job, order=order, changed_at=clock.now(), **item)
        if match.layer_id in taken:
            match.layer_id, match.layer_name, match.score, match.parts = None, "", None, {}
        fresh.append(match)
    if fresh:
        Match.objects.bulk_create(fresh)


def _still_there(job: Job, match: Match, proposed: list[dict[str, Any]]) -> bool:
    run = job.runs.filter(stage=Stage.INGESTION, state=StageRun.DONE).order_by("-ended_at").first()
    layers = {layer["layer_id"]: layer["name"] for layer in (run.result["layers"] if run else [])}
    same_slot = any(item["slot_id"] == match.slot_id and item["slot_name"] == match.slot_name for item in proposed)
    return same_slot and (match.layer_id is None or layers.get(match.layer_id) == match.layer_name)
