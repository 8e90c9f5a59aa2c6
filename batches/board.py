"""What the page of a batch shows: its jobs with their preparation, files and warnings, and what changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from batches.actions import OPERATOR_VERBS
from batches.models import Batch
from jobs.models import Asset, Job, StageRun, Warning
from jobs.pictures import PICTURES
from jobs.states import PUBLIC_STATES, VERBS, Role, State

JOBS_PER_PAGE = 50
ORDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "line": ("Line in the sheet", ("row_line", "id")),
    "changed": ("Last changed", ("-moved_at", "id")),
    "priority": ("Priority", ("priority", "row_line", "id")),
    "stage": ("Stage", ("-stage", "state", "row_line", "id")),
    "job": ("Job id", ("job_id", "id")),
    "client": ("Client", ("client_name", "row_line", "id")),
}
HEAVY = ("result", "metrics")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One job as a row of the board. ``key`` and ``progress_key`` change when what the row shows changes."""

    job: Job
    run: StageRun | None
    picture: Asset | None
    deployed: Asset | None
    warnings: int
    verbs: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        job = self.job
        files = (self.picture and self.picture.pk, self.deployed and self.deployed.pk)
        return digest(job.pk, job.version, job.priority, files, self.warnings, self.verbs, self.failure)

    @property
    def progress_key(self) -> str:
        run = self.run if self.working else None
        return digest(run and (run.pk, run.state, run.step, round(run.percent), run.attempts))

    @property
    def working(self) -> bool:
        return self.job.state in {State.QUEUED, State.RUNNING}

    @property
    def failure(self) -> str:
        return self.run.error if self.run and self.job.state == State.FAILED else ""


def digest(*parts: Any) -> str:
    """A short text that changes when one of the parts does."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def chosen_jobs(batch: Batch, asked: Mapping[str, str]) -> QuerySet[Job]:
    """The jobs that the filters ``state`` and ``q`` leave, in the order ``sort``. Unknown values count as none."""
    jobs = batch.jobs.all()
    state, words = _filters(asked)
    if state:
        jobs = jobs.in_public_state(state)
    if words:
        jobs = jobs.filter(
            Q(job_id__icontains=words)
            | Q(client_name__icontains=words)
            | Q(project_name__icontains=words)
            | Q(output_name__icontains=words)
        )
    _, order = ORDERS.get(asked.get("sort", ""), ORDERS["line"])
    return jobs.order_by(*order)


def _filters(asked: Mapping[str, str]) -> tuple[str, str]:
    """The public state and the words that are asked for."""
    state = asked.get("state", "")
    return state if state in PUBLIC_STATES else "", asked.get("q", "").strip()


def page_of(
    roles: frozenset[Role],
    batch: Batch,
    asked: Mapping[str, str],
    *,
    per_page: int = JOBS_PER_PAGE,
    total: int | None = None,
) -> tuple[Page[Any], list[Shown]]:
    """One page of the board, as somebody with these roles in the team sees it, in four queries, however long it is.

    ``total``: how many jobs the batch has, where that is known: then they are not counted again.
    """
    jobs = chosen_jobs(batch, asked).annotate(open_warnings=_open_warnings())
    newest = StageRun.objects.order_by("queued_at", "id").defer(*HEAVY)
    files = Asset.objects.filter(kind__in=[*PICTURES, "released_project"], removed_at=None).order_by("id")
    jobs = jobs.prefetch_related(Prefetch("runs", queryset=newest, to_attr="runs_here"))
    jobs = jobs.prefetch_related(Prefetch("assets", queryset=files, to_attr="files_here"))
    paginator = Paginator(jobs, per_page)
    if total is not None and not any(_filters(asked)):
        paginator.count = total
    page = paginator.get_page(asked.get("page"))
    return page, [_shown(job, roles) for job in page.object_list]


def _open_warnings() -> Coalesce:
    open_ones = Warning.objects.filter(job=OuterRef("pk"), resolution="", kind=Warning.FINDING)
    counted = open_ones.order_by().values("job").annotate(jobs=Count("pk")).values("jobs")
    return Coalesce(Subquery(counted), 0)


def _shown(job: Job, roles: frozenset[Role]) -> Shown:
    files: dict[str, Asset] = {asset.kind: asset for asset in job.files_here}  # type: ignore[attr-defined]
    runs: list[StageRun] = [run for run in job.runs_here if run.stage == job.stage]  # type: ignore[attr-defined]
    allowed = job.allowed(roles)
    return Shown(
        job=job,
        run=runs[-1] if runs else None,
        picture=next((files[kind] for kind in PICTURES if kind in files), None),
        deployed=files.get("released_project") if job.state == State.DONE else None,
        warnings=job.open_warnings,  # type: ignore[attr-defined]
        verbs=tuple((verb, VERBS[verb].label) for verb in OPERATOR_VERBS if verb in allowed),
    )
