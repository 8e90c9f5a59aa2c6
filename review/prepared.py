"""What the stages left behind for a job, read once for a page: results, figures, files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.models import Asset, Job, StageRun
from jobs.states import Stage, State


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """``runs`` holds the newest finished run of each stage; ``assets`` everything that is stored for the job."""

    job: Job
    runs: dict[Stage, StageRun]
    assets: tuple[Asset, ...]

    def result(self, stage: Stage) -> dict[str, Any]:
        run = self.runs.get(stage)
        return run.result if run else {}

    def metrics(self, stage: Stage) -> dict[str, Any]:
        run = self.runs.get(stage)
        return run.metrics if run else {}

    def named(self, stage: Stage) -> dict[str, Asset]:
        """The stage's files by the names that its result gives them."""
        return {asset.name: asset for asset in self.assets if asset.stage == stage}

    def of_kind(self, kind: str) -> Asset | None:
        """The newest file of a kind."""
        return next((asset for asset in reversed(self.assets) if asset.kind == kind), None)

    def shows(self, stage: Stage) -> bool:
        """Whether the stage's content can be looked at: it was prepared, and is not being prepared anew."""
        job = self.job
        if stage not in self.runs or job.stage < stage:
            return False
        return job.stage > stage or job.state not in (State.QUEUED, State.RUNNING)


def read_prepared(job: Job) -> Prepared:
    """Two queries, whatever the job holds."""
    finished = job.runs.filter(state=StageRun.DONE).order_by("ended_at", "id")
    return Prepared(job=job, runs={Stage(run.stage): run for run in finished}, assets=tuple(job.assets.order_by("id")))
