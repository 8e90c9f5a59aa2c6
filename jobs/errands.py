"""Errands: long work on behalf of a page that is no stage of a job, such as judging a sheet of 100,000 rows.

Whoever has such work registers its kind when its app is ready, and sends an errand in the transaction that asks for it.
A worker that dies loses its lease; the errand is begun again, so that its doer must be able to go on or to start over,
and must call ``hold`` in every transaction in which it writes: what a late worker wrote is then never kept.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from jobs.claims import lease_end
from jobs.compiled import Rows, given
from jobs.errors import LeaseLost
from jobs.models import Errand, Team
from jobs.queue import send_ticket, tickets_waiting
from jobs.retries import POLICIES
from jobs.states import QUEUES, Queue

logger = logging.getLogger(__name__)

KEPT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Held:
    """The right to do an errand, for as long as ``hold`` does not raise."""

    errand_id: int
    subject: int
    token: uuid.UUID

    def hold(self, *, done: int | None = None, total: int | None = None, step: str | None = None) -> None:
        """Extends the lease and tells the progress. Raises LeaseLost when it is somebody else's."""
        told = {"done": done, "total": total, "step": step and step[:120]}
        changes = {name: value for name, value in told.items() if value is not None}
        mine = Errand.objects.filter(pk=self.errand_id, token=self.token)
        if not mine.update(lease_expires_at=lease_end(), **changes):
            raise LeaseLost


Do = Callable[[Held], None]
GiveUp = Callable[[int, str], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``do`` does the work; ``give_up(subject, error)`` is told when it failed for good, in the same transaction."""

    name: str
    do: Do
    give_up: GiveUp


_kinds: dict[str, Kind] = {}


def register(name: str, *, do: Do, give_up: GiveUp) -> None:
    """Makes a kind of errand known. Called once for each, when its app is ready."""
    _kinds[name] = Kind(name=name, do=do, give_up=give_up)


def send(kind: str, subject: int, team: Team, *, total: int = 0) -> Errand:
    """Asks for an errand, in the caller's transaction. One that is on its way already is not sent twice."""
    assert kind in _kinds, f"no errand of the kind {kind} is registered"
    try:
        with transaction.atomic():
            errand = Errand.objects.create(kind=kind, subject=subject, team=team, total=total)
    except IntegrityError:
        return Errand.objects.get(kind=kind, subject=subject, state__in=[Errand.QUEUED, Errand.RUNNING])
    send_ticket(errand.queue)
    return errand


def latest(kind: str, subject: int) -> Errand | None:
    """The newest errand on a subject, whatever became of it."""
    return Errand.objects.filter(kind=kind, subject=subject).last()


# Doing them -----------------------------------------------------------------------------------------------------------
def claim(owner: str, *, queues: Collection[str] = QUEUES, only: int | None = None) -> Held | None:
    """Takes the errand of these queues that waits longest, or the one with the key ``only``."""
    if not any(is_due(queue) for queue in queues):
        return None
    due = Errand.objects.filter(state=Errand.QUEUED, queue__in=queues, available_at__lte=Now())
    due = due.filter(pk=only) if only is not None else due
    for errand in due.order_by("available_at", "id")[:10]:
        token = uuid.uuid4()
        taken = Errand.objects.filter(pk=errand.pk, state=Errand.QUEUED).update(
            state=Errand.RUNNING,
            token=token,
            lease_owner=owner[:120],
            lease_expires_at=lease_end(),
            attempts=F("attempts") + 1,
            started_at=Now(),
            done=0,
            step="",
        )
        if taken:
            return Held(errand_id=errand.pk, subject=errand.subject, token=token)
    return None


def perform(held: Held) -> None:
    """Does an errand to its end: done, queued again after what may pass, or given up."""
    kind = _kinds[Errand.objects.values_list("kind", flat=True).get(pk=held.errand_id)]
    try:
        kind.do(held)
        _finish(held)
    except LeaseLost:
        logger.info("errand %d: the lease is gone; another worker goes on", held.errand_id)
    except (OperationalError, InterfaceError) as error:
        connection.close()
        _fail(held, f"{type(error).__name__}: {error}", error_class="transient")
    except OSError as error:
        _fail(held, f"{type(error).__name__}: {error}", error_class="transient")
    except Exception as error:
        # A fault of ours: tried once more, as a stage would be, then told to whoever waits for it.
        logger.exception("errand %d failed", held.errand_id)
        _fail(held, f"{type(error).__name__}: {error}", error_class="bug")


def _finish(held: Held) -> None:
    mine = Errand.objects.filter(pk=held.errand_id, token=held.token)
    mine.update(state=Errand.DONE, token=None, lease_expires_at=None, ended_at=Now(), step="done", error="")


def _fail(held: Held, error: str, *, error_class: str) -> None:
    policy = POLICIES[error_class]
    with transaction.atomic():
        errand = Errand.objects.select_for_update().filter(pk=held.errand_id, token=held.token).first()
        if errand is None:
            return
        freed = Errand.objects.filter(pk=errand.pk)
        if policy.tries_again(errand.attempts):
            delay = timedelta(seconds=policy.delay_seconds(errand.attempts))
            freed.update(
                state=Errand.QUEUED, token=None, lease_expires_at=None, available_at=Now() + delay, error=error
            )
            return
        freed.update(state=Errand.FAILED, token=None, lease_expires_at=None, ended_at=Now(), error=error)
        _kinds[errand.kind].give_up(errand.subject, error)
    logger.warning("errand %d was given up: %s", held.errand_id, error)


# The sweep ------------------------------------------------------------------------------------------------------------
_DUE = Rows(
    lambda: (
        Errand.objects.filter(state=Errand.QUEUED, queue=given(Errand, "queue"), available_at__lte=Now())
        .order_by()
        .values_list("pk")[:1]
    )
)


def is_due(queue: str) -> bool:
    return _DUE.first(queue=queue) is not None


def running_of(worker: str, queue: Queue) -> int:
    """How many errands the processes of a machine's Worker record do now."""
    return Errand.objects.filter(state=Errand.RUNNING, queue=queue, lease_owner__startswith=f"{worker}/").count()


def began(worker: str, queue: Queue) -> bool:
    """Whether the machine took an errand a moment ago."""
    mine = Errand.objects.filter(queue=queue, lease_owner__startswith=f"{worker}/")
    return mine.filter(started_at__gt=Now() - timedelta(seconds=2)).exists()


def take_back_lapsed() -> int:
    """Queues again what workers hold that went silent. Returns how many."""
    lapsed = 0
    for errand in Errand.objects.filter(state=Errand.RUNNING, lease_expires_at__lt=Now()):
        if errand.token is not None:
            held = Held(errand_id=errand.pk, subject=errand.subject, token=errand.token)
            _fail(held, f"the worker {errand.lease_owner} went silent", error_class="worker")
            lapsed += 1
    return lapsed


def wake_workers() -> int:
    """A ticket for every queue with a due errand and no ticket. Returns how many. Raises BrokerAway."""
    due = [queue for queue in QUEUES if is_due(queue) and not tickets_waiting(queue)]
    for queue in due:
        send_ticket(queue)
    return len(due)


def forget_old() -> int:
    """Removes the records of errands that ended long ago. Returns how many."""
    ended = Errand.objects.filter(state__in=[Errand.DONE, Errand.FAILED], ended_at__lt=Now() - KEPT)
    return ended.delete()[0]
