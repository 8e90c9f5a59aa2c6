"""Aging: what waits long becomes more urgent. The table is all there is to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from jobs.models import PRIORITIES, StageRun

CHUNK = 2_000


@dataclass(frozen=True, kw_only=True)
class Rise:
    """Work of ``priority`` that waited ``after`` is treated as ``to``, one rank above what it was before."""

    priority: str
    to: str
    after: timedelta


# Nothing rises to urgent: urgent work never waits behind aged work.
AGING = (
    Rise(priority="normal", to="high", after=timedelta(minutes=15)),
    Rise(priority="low", to="normal", after=timedelta(minutes=30)),
    Rise(priority="low", to="high", after=timedelta(hours=2)),
)


def raise_waiting(*, most: int = CHUNK) -> int:
    """Raises the rank of queued runs by the table, the oldest first, at most ``most`` for each line of it.

    Age is counted from ``queued_at`` by the database's clock. Returns how many rose.
    """
    risen = 0
    for rise in AGING:
        to = PRIORITIES[rise.to]
        due = waiting_to_rise(rise)[:most]
        risen += StageRun.objects.filter(pk__in=due.values("pk"), state=StageRun.QUEUED, rank=to + 1).update(
            rank=F("rank") - 1
        )
    return risen


def waiting_to_rise(rise: Rise) -> QuerySet[StageRun]:
    """The queued runs to which a line of the table applies now, the oldest first."""
    return StageRun.objects.filter(
        state=StageRun.QUEUED,
        priority=PRIORITIES[rise.priority],
        rank=PRIORITIES[rise.to] + 1,
        queued_at__lte=Now() - rise.after,
    ).order_by("queued_at")
