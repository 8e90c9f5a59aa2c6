"""Dead letters: work that failed for good, by cause; and how people set it going again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db.models import Count, F, Max, QuerySet
from django.db.models.functions import Now

from jobs import errands, retrying
from jobs.errors import Conflict
from jobs.lifecycle import move
from jobs.models import Errand, Membership, StageRun
from jobs.states import Role, Stage, State
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_AT_ONCE = 10_000
"""How many are retried in one request; whoever has more asks again."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Runs that failed for the same reason. ``letter`` is the newest, ``error`` its words."""

    ORDER: ClassVar[tuple[str, ...]] = ("-jobs", "-letter")

    fingerprint: str
    stage: int
    error_class: str
    jobs: int
    newest_at: datetime
    letter: int
    error: str

    @property
    def stage_label(self) -> str:
        return Stage(self.stage).label


@dataclass(frozen=True, kw_only=True)
class Retried:
    """What became of a retry. ``left`` are those that one request could not take too."""

    moved: int
    refused: int
    left: int

    @property
    def text(self) -> str:
        words = f"{self.moved} job{' is' if self.moved == 1 else 's are'} queued again."
        if self.refused:
            words += f" {self.refused} had been moved by somebody else."
        return words + (f" {self.left} more wait: retry again." if self.left else "")


def letters(user: User) -> QuerySet[StageRun]:
    """The dead letters of the person's teams: runs that failed for good and that nobody has dealt with."""
    failed = StageRun.objects.visible_to(user).filter(state=StageRun.FAILED)
    return failed.filter(job__state=State.FAILED, stage=F("job__stage"))


def dead_errands(user: User) -> QuerySet[Errand]:
    """The errands of the person's teams that failed for good and were not sent again, the newest first."""
    return errands.left(Errand.objects.visible_to(user)).select_related("team").order_by("-pk")


def by_cause(found: QuerySet[StageRun]) -> list[Cause]:
    """Those letters, grouped; the cause with the most jobs first."""
    groups = found.order_by().values("fingerprint", "stage", "error_class")
    counted = groups.annotate(jobs=Count("pk"), newest_at=Max("ended_at"), letter=Max("pk"))
    rows = list(counted.order_by(*Cause.ORDER))
    errors = dict(StageRun.objects.filter(pk__in=[row["letter"] for row in rows]).values_list("pk", "error"))
    return [Cause(**row, error=errors.get(row["letter"], "")) for row in rows]


def with_cause_of(found: QuerySet[StageRun], letter: StageRun) -> QuerySet[StageRun]:
    """Those that failed as this one did."""
    return found.filter(fingerprint=letter.fingerprint, stage=letter.stage, error_class=letter.error_class)


def retriable(user: User, found: QuerySet[StageRun]) -> QuerySet[StageRun]:
    """Those that the person may set going again: of teams in which they operate."""
    if user.is_superuser:
        return found
    return found.filter(team__in=Membership.objects.filter(user=user, role=Role.OPERATOR).values("team"))


def retry_one(user: User, letter: StageRun) -> Retried:
    """Raises NotAllowed, and Conflict when the job is no longer failed."""
    require_verb(user, letter.job.team, "retry")
    move(letter.job, "retry", actor=user)
    return Retried(moved=1, refused=0, left=0)


def retry_errand(user: User, errand: Errand) -> Errand:
    """Has it tried again; returns what was sent. Raises NotAllowed, and Conflict as ``errands.send_again``."""
    require_verb(user, errand.team, "retry")
    return errands.send_again(user, errand)


def retry_many(user: User, found: QuerySet[StageRun], *, most: int = MOST_AT_ONCE) -> Retried:
    """Retries what the person may of these letters, the oldest first. Raises Conflict when there is none."""
    mine = retriable(user, found).order_by("pk")
    chosen = list(mine.values_list("job_id", flat=True)[:most])
    if not chosen:
        raise Conflict("There is nothing to retry: no dead letter of a team that you operate is left.", state="empty")
    moved = retrying.retry_many(chosen, actor=user)
    return Retried(moved=moved, refused=len(chosen) - moved, left=mine.count() if len(chosen) == most else 0)


def forget_old() -> int:
    """Takes what is older than the retention off the dead letters; the jobs stay failed. Returns how many."""
    if not settings.DEAD_LETTER_DAYS:
        return 0
    old = StageRun.objects.filter(state=StageRun.FAILED, ended_at__lt=Now() - timedelta(days=settings.DEAD_LETTER_DAYS))
    return old.update(state=StageRun.DROPPED)
