"""Releases reach the output storage whole or not at all: the plan is a row before the first file, so that what a killed
worker left can be found and taken back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import PurePosixPath

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from jobs.errors import LeaseLost
from jobs.models import Deployment, Job, StageRun
from jobs.stages.base import Produced
from jobs.storage import storage_named
from jobs.store import Ticking

logger = logging.getLogger(__name__)

MOST_REVISIONS = 10_000
MOST_AT_ONCE = 20
LOOK_AGAIN_AFTER = timedelta(hours=1)
"""A worker that was frozen for less may still write one file after its release was taken back."""


def plan(run: StageRun, release: list[Produced]) -> Deployment:
    """Writes down what will be deployed, in a folder that nobody used before. Call it outside of a transaction."""
    names = [produced.name for produced in release]
    outputs = storage_named("outputs")
    base = _base(run.job)
    used = set(Deployment.objects.filter(folder__startswith=base).values_list("folder", flat=True))
    for revision in range(1, MOST_REVISIONS):
        folder = base if revision == 1 else f"{base}-{revision}"
        if folder in used or any(outputs.exists(f"{folder}/{name}") for name in names):
            continue
        try:
            with transaction.atomic():
                return Deployment.objects.create(run=run, folder=folder, names=names, token=run.token)
        except IntegrityError:
            continue  # another release took it in this moment
    raise OSError(f"the output storage has too many releases of {base}")


def _base(job: Job) -> str:
    batch = re.sub(r"[^A-Za-z0-9_.-]+", "-", job.batch.name).strip("-.") or "batch"
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", PurePosixPath(job.output_name).stem).strip("-.") or job.job_id
    return f"{job.team.slug}/{batch}-{job.batch_id}/{stem}"


def deploy(deployment: Deployment, produced: Produced, *, tick: Callable[[], None]) -> str:
    """Stores one file of the release. Returns its name in the output storage."""
    name = f"{deployment.folder}/{produced.name}"
    with produced.path.open("rb") as file:
        storage_named("outputs").put_if_absent(name, Ticking(file, tick))
    return name


def keep(deployment: Deployment) -> None:
    """The release counts. Call it in the transaction that ends the run. Raises LeaseLost when it was taken back."""
    if not _change(deployment, Deployment.PLANNED, Deployment.KEPT):
        raise LeaseLost


def take_back(deployment: Deployment) -> bool:
    """Removes a release that was not kept; False when it was kept or somebody else removes it. Raises OSError."""
    if not _change(deployment, Deployment.PLANNED, Deployment.DROPPED):
        return False
    _clear(deployment, Deployment.DROPPED, Deployment.CLEARED)
    return True


def sweep_deployments() -> int:
    """Takes back what killed workers deployed and did not record. Returns how many releases."""
    live = set(StageRun.objects.filter(state=StageRun.RUNNING).values_list("token", flat=True))
    unsettled = Deployment.objects.exclude(state__in=(Deployment.KEPT, Deployment.GONE)).order_by("changed_at")
    dead = [one for one in unsettled.filter(state=Deployment.PLANNED) if one.token is None or one.token not in live]
    gone = sum(take_back(deployment) for deployment in dead[:MOST_AT_ONCE])
    for deployment in unsettled.filter(state=Deployment.DROPPED)[:MOST_AT_ONCE]:
        _clear(deployment, Deployment.DROPPED, Deployment.CLEARED)
        gone += 1
    once_more = unsettled.filter(state=Deployment.CLEARED, changed_at__lt=Now() - LOOK_AGAIN_AFTER)
    for deployment in once_more[:MOST_AT_ONCE]:
        _clear(deployment, Deployment.CLEARED, Deployment.GONE)
    return gone


def _clear(deployment: Deployment, before: str, after: str) -> None:
    logger.info("taking back %s", deployment.folder)
    for name in deployment.names:
        storage_named("outputs").delete(f"{deployment.folder}/{name}")
    _change(deployment, before, after)


def _change(deployment: Deployment, before: str, after: str) -> bool:
    rows = Deployment.objects.filter(pk=deployment.pk, state=before)
    return bool(rows.update(state=after, changed_at=Now()))
