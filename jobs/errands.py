"""Errands: long work on behalf of a page that is no stage of a job, such as judging a sheet of 100,000 rows.

Whoever has such work registers its kind when its app is ready, and sends an errand in the transaction that asks for it.
A worker that dies loses its lease; the errand is begun again, so that its doer must be able to go on or to start over,
and must call ``hold`` in every transaction in which it writes: what a late worker wrote is then never kept.

A kind that this process does not know is another version's, and is left to machines that know it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Concat, Now
from django.urls import reverse

from jobs import clock
from jobs.claims import lease_end
from jobs.compiled import Rows, given
from jobs.errors import Conflict, LeaseLost, RateLimited
from jobs.log_context import bound
from jobs.models import Errand, Pause, Team, Turn
from jobs.notices import OLD_NEWS, announce_errand
from jobs.queue import send_ticket, tickets_waiting
from jobs.retries import POLICIES
from jobs.states import QUEUES, Queue
from jobs.telling import count_again
from jobs.turns import set_last
from jobs.waiting import pause_in_words

if TYPE_CHECKING:
    from django.contrib.auth.models import User

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
Again = Callable[["User", Errand], object]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``do`` does the work; ``give_up(subject, error)`` is told when it failed for good, in the same transaction.

    ``again`` sends a failed errand anew for a person, from where its subject is now, in the caller's transaction; it
    raises Conflict where that leads nowhere. ``page`` is the name of the page on which somebody waits for it, by its
    subject. ``queue`` says whose workers do it: those of ``io`` what waits for a network.
    """

    name: str
    do: Do
    give_up: GiveUp
    again: Again
    page: str = ""
    queue: Queue = Queue.LIGHT


_kinds: dict[str, Kind] = {}


def register(
    name: str, *, do: Do, give_up: GiveUp, again: Again | None = None, page: str = "", queue: Queue = Queue.LIGHT
) -> None:
    """Makes a kind of errand known. Called once for each, when its app is ready."""
    _kinds[name] = Kind(name=name, do=do, give_up=give_up, again=again or _as_it_was, page=page, queue=queue)


def _as_it_was(user: User, errand: Errand) -> Errand:
    return send(errand.kind, errand.subject, errand.team, total=errand.total)


def page_of(errand: Errand) -> str:
    """The address of the page on which somebody waits for it; empty where there is none."""
    kind = _kinds.get(errand.kind)
    return reverse(kind.page, args=[errand.subject]) if kind and kind.page else ""


def send(kind: str, subject: int, team: Team, *, total: int = 0) -> Errand:
    """Asks for an errand, in the caller's transaction. One that is on its way already is not sent twice."""
    assert kind in _kinds, f"no errand of the kind {kind} is registered"
    try:
        with transaction.atomic():
            errand = Errand.objects.create(kind=kind, subject=subject, team=team, total=total, queue=_kinds[kind].queue)
    except IntegrityError:
        live = Errand.objects.filter(kind=kind, subject=subject, state__in=[Errand.QUEUED, Errand.RUNNING]).first()
        return live or send(kind, subject, team, total=total)  # it ended in this moment
    send_ticket(errand.queue)
    return errand


def latest(kind: str, subject: int) -> Errand | None:
    """The newest errand on a subject, whatever became of it."""
    return Errand.objects.filter(kind=kind, subject=subject).last()


def send_again(user: User, errand: Errand) -> Errand:
    """Has somebody's work that failed for good tried again, once. Returns the new errand.

    Raises Conflict when it did not fail, was sent again by now, or its subject is gone or no longer where it was left.
    """
    with transaction.atomic():
        errand = Errand.objects.select_for_update(of=("self",)).select_related("team").get(pk=errand.pk)
        if errand.state != Errand.FAILED:
            raise Conflict("This errand did not fail: there is nothing to try again.", state=errand.state)
        newest = latest(errand.kind, errand.subject)
        if newest is not None and newest.pk != errand.pk:
            raise Conflict("This errand was sent again already.", state=newest.state)
        if errand.kind not in _kinds:
            raise Conflict(f"Nobody does errands of the kind {errand.kind} any more.", state=errand.state)
        _kinds[errand.kind].again(user, errand)
        sent = latest(errand.kind, errand.subject)
        assert sent is not None
        return sent


def forget(subject: int, *kinds: str) -> None:
    """Takes what failed off the dead letters when its subject goes, in the caller's transaction."""
    Errand.objects.filter(subject=subject, kind__in=kinds, state=Errand.FAILED).delete()


# Doing them -----------------------------------------------------------------------------------------------------------
def claim(owner: str, *, queues: Collection[str] = QUEUES, only: int | None = None) -> Held | None:
    """Takes the errand of these queues that is next, or the one with the key ``only``. None that is paused.

    Teams take turns; of a team's errands the one that waits longest is next.
    """
    waiting = Errand.objects.filter(state=Errand.QUEUED, kind__in=[*_kinds], queue__in=queues)
    due = not_paused(waiting.filter(available_at__lte=Now()))
    due = due.filter(pk=only) if only is not None else due
    last_team = Turn.objects.filter(key=Concat(OuterRef("queue"), Value(":errand"))).values("last")
    due = due.annotate(last_team=Coalesce(Subquery(last_team), 0))
    had_its_turn = Case(When(team_id__gt=F("last_team"), then=False), default=True)
    for errand in due.order_by(had_its_turn, "team_id", "available_at", "id")[:10]:
        token = uuid.uuid4()
        if _take(errand, owner, token):
            return Held(errand_id=errand.pk, subject=errand.subject, token=token)
    return None


def _take(errand: Errand, owner: str, token: uuid.UUID) -> bool:
    """False when another worker has it."""
    with transaction.atomic():
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
            set_last(f"{errand.queue}:errand", errand.team_id)
    return bool(taken)


def perform(held: Held) -> None:
    """Does an errand to its end: done, queued again after what may pass, or given up."""
    kind, request_id = Errand.objects.values_list("kind", "request_id").get(pk=held.errand_id)
    with bound(request=request_id):
        _perform(_kinds[kind], held)


def _perform(kind: Kind, held: Held) -> None:
    try:
        kind.do(held)
        _finish(held)
    except LeaseLost:
        logger.info("errand %d: the lease is gone; another worker goes on", held.errand_id)
    except (OperationalError, InterfaceError) as error:
        connection.close()
        _fail(held, f"{type(error).__name__}: {error}", error_class="transient")
    except RateLimited as error:
        _fail(held, str(error), error_class="rate", asked=error.retry_after_seconds)
    except OSError as error:
        _fail(held, f"{type(error).__name__}: {error}", error_class="transient")
    except Exception as error:
        # A fault of ours: tried once more, as a stage would be, then told to whoever waits for it.
        logger.exception("errand %d failed", held.errand_id)
        _fail(held, f"{type(error).__name__}: {error}", error_class="bug")


def _finish(held: Held) -> None:
    mine = Errand.objects.filter(pk=held.errand_id, token=held.token)
    mine.update(state=Errand.DONE, token=None, lease_expires_at=None, ended_at=Now(), step="done", error="")


def _fail(held: Held, error: str, *, error_class: str, asked: float | None = None) -> None:
    """``asked`` is in how many seconds somebody else allows the next attempt."""
    policy = POLICIES[error_class]
    with transaction.atomic():
        locked = Errand.objects.select_for_update(of=("self",)).select_related("team")
        errand = locked.filter(pk=held.errand_id, token=held.token).first()
        if errand is None:
            return
        freed = Errand.objects.filter(pk=errand.pk)
        if policy.tries_again(errand.attempts):
            delay = timedelta(seconds=policy.wait_seconds(errand.attempts, asked=asked))
            freed.update(
                state=Errand.QUEUED,
                token=None,
                lease_expires_at=None,
                available_at=Now() + delay,
                attempts=F("attempts") if policy.counted else F("attempts") - 1,
                error=error,
            )
            return
        freed.update(state=Errand.FAILED, token=None, lease_expires_at=None, ended_at=Now(), error=error)
        _kinds[errand.kind].give_up(errand.subject, error)
        _tell(errand, error)
    logger.warning("errand %d was given up: %s", held.errand_id, error)


def _tell(errand: Errand, error: str) -> None:
    """Tells operators that it was given up, or counts it where they know of the same trouble."""
    if _is_old_news(errand):
        count_again("errand.failed", errand.team_id)
    else:
        announce_errand(errand, error=error, failed=left(Errand.objects.filter(team=errand.team_id)).count())


def _is_old_news(errand: Errand) -> bool:
    """Whether the same subject failed within a day, or no errand of the kind was done in the team since one failed."""
    alike = Errand.objects.filter(kind=errand.kind, team=errand.team_id).exclude(pk=errand.pk)
    failed = alike.filter(state=Errand.FAILED, ended_at__gte=Now() - OLD_NEWS).order_by("-ended_at")
    before = alike.filter(subject=errand.subject).last()
    if before is not None and failed.filter(pk=before.pk).exists():
        return True
    newest = failed.first()
    return newest is not None and not alike.filter(state=Errand.DONE, ended_at__gt=newest.ended_at).exists()


def waits_until(errand: Errand) -> datetime | None:
    """When it is tried again; None when it is due, or under way."""
    return errand.available_at if errand.state == Errand.QUEUED and errand.available_at > clock.now() else None


def left(found: QuerySet[Errand]) -> QuerySet[Errand]:
    """Those that failed for good and were not sent again."""
    later = Errand.objects.filter(kind=OuterRef("kind"), subject=OuterRef("subject"), pk__gt=OuterRef("pk"))
    return found.filter(state=Errand.FAILED).exclude(Exists(later))


# Pauses ---------------------------------------------------------------------------------------------------------------
def not_paused(found: QuerySet[Errand]) -> QuerySet[Errand]:
    """Those whose queue and team go on. A paused batch says nothing of errands: they are not its work."""
    queues = Pause.objects.filter(key=Concat(Value("queue:"), OuterRef("queue")))
    teams = Pause.objects.filter(team=OuterRef("team"), key__startswith="team:")
    return found.exclude(Exists(queues)).exclude(Exists(teams))


def why_paused(errand: Errand) -> str:
    """What keeps a waiting errand, in words for whoever waits; empty when nothing does."""
    if errand.state != Errand.QUEUED:
        return ""
    return pause_in_words(
        {f"queue:{errand.queue}": f"The queue {errand.queue}", f"team:{errand.team_id}": f"The team {errand.team.name}"}
    )


# The sweep ------------------------------------------------------------------------------------------------------------
@cache
def _due(kinds: tuple[str, ...]) -> Rows:
    def query() -> QuerySet[Errand, Any]:
        waiting = Errand.objects.filter(state=Errand.QUEUED, kind__in=kinds, queue=given(Errand, "queue"))
        return not_paused(waiting.filter(available_at__lte=Now())).order_by().values_list("pk")[:1]

    return Rows(query)


def is_due(queue: str) -> bool:
    return _due(tuple(_kinds)).first(queue=queue) is not None


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
    for errand in Errand.objects.filter(state=Errand.RUNNING, kind__in=[*_kinds], lease_expires_at__lt=Now()):
        if errand.token is not None:
            held = Held(errand_id=errand.pk, subject=errand.subject, token=errand.token)
            with bound(request=errand.request_id):
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
    """Removes the records of errands that ended long ago, the failed ones as dead letters. Returns how many."""
    old = Q(state=Errand.DONE, ended_at__lt=Now() - KEPT)
    if settings.DEAD_LETTER_DAYS:
        old |= Q(state=Errand.FAILED, ended_at__lt=Now() - timedelta(days=settings.DEAD_LETTER_DAYS))
    return Errand.objects.filter(old).delete()[0]
