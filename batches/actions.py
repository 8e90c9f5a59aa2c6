"""What operators do with the jobs of a batch: start, hold, release, retry, cancel; one by one or many at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batches.models import Batch
from jobs.errors import Conflict, Invalid
from jobs.lifecycle import move
from jobs.models import Job
from jobs.starting import start_many
from jobs.states import VERBS, State
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

OPERATOR_VERBS = ("start", "hold", "release", "retry", "cancel")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What became of a verb on many jobs: those that moved, and why others did not."""

    verb: str
    moved: tuple[Job, ...]
    refused: tuple[str, ...]

    @property
    def text(self) -> str:
        label = VERBS[self.verb].label
        jobs = "1 job" if len(self.moved) == 1 else f"{len(self.moved)} jobs"
        refused = f" Not possible for {len(self.refused)}: {self.refused[0]}" if self.refused else ""
        return f"{label}: {jobs}.{refused}"


def start(user: User, batch: Batch, *, first: int | None = None) -> int:
    """Starts all pending jobs of a batch, or the first ``first`` in the order of the sheet. Returns how many.

    Raises NotAllowed, Invalid for a number below 1, Conflict when no job is pending.
    """
    require_verb(user, batch.team, "start")
    if first is not None and first < 1:
        raise Invalid("Start at least one job.", field="first")
    pending = batch.jobs.filter(state=State.PENDING).order_by("row_line", "id").values_list("pk", flat=True)
    started = start_many(pending if first is None else pending[:first], actor=user)
    if not started:
        raise Conflict("No job of this batch is waiting for its start.")
    return started


def apply(
    user: User, batch: Batch, verb: str, jobs: Iterable[Job], *, version: int | None = None, reason: str = ""
) -> Summary:
    """Applies an operator's verb to jobs of a batch. Those that are elsewhere stay as they are and say why."""
    if verb not in OPERATOR_VERBS:
        raise Invalid(f"There is no verb {verb!r} for jobs of a batch.", field="verb")
    require_verb(user, batch.team, verb)
    chosen = list(jobs)
    if any(job.batch_id != batch.pk for job in chosen):
        raise Invalid("Not all of these jobs belong to the batch.", field="job")
    moved, refused = [], []
    for job in chosen:
        try:
            moved.append(move(job, verb, actor=user, version=version, reason=reason))
        except Conflict as conflict:
            refused.append(str(conflict))
    return Summary(verb=verb, moved=tuple(moved), refused=tuple(refused))
