"""What people do with whole batches: start, pause, resume, cancel, retry, archive, delete; with one or with many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from batches import actions
from batches.models import Batch
from batches.naming import locked
from jobs import clock, pauses
from jobs.cancelling import cancel_many
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Event, Pause
from jobs.retrying import retry_many
from jobs.states import Role, State
from jobs.teams import is_lead, require_role, require_verb, roles_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_BATCHES = 500
"""At once: a request must end."""
AT_WORK = (State.QUEUED, State.RUNNING)


def _start(user: User, batch: Batch, reason: str) -> str:
    return f"{_jobs(actions.start(user, batch))} queued"


def _pause(user: User, batch: Batch, reason: str) -> str:
    pauses.pause(user, pauses.of_batch(batch), reason=reason)
    return "paused; what runs already is finished"


def _resume(user: User, batch: Batch, reason: str) -> str:
    pauses.resume(user, pauses.of_batch(batch))
    return "goes on"


def _cancel(user: User, batch: Batch, reason: str) -> str:
    require_verb(user, batch.team, "cancel")
    cancelled = cancel_many(batch.jobs.all(), actor=user, reason=reason)
    if not cancelled:
        raise Conflict(f"{batch.name}: every job is over already, there is nothing to cancel.")
    return f"{_jobs(cancelled)} cancelled"


def _retry(user: User, batch: Batch, reason: str) -> str:
    require_verb(user, batch.team, "retry")
    failed = batch.jobs.filter(state=State.FAILED).order_by("row_line", "id")
    retried = retry_many(failed.values_list("pk", flat=True), actor=user, reason=reason)
    if not retried:
        raise Conflict(f"{batch.name}: no job has failed, there is nothing to retry.")
    return f"{_jobs(retried)} queued again"


def _archive(user: User, batch: Batch, reason: str) -> str:
    require_role(user, batch.team, Role.OPERATOR)
    with transaction.atomic():
        found = locked(batch)
        if found.archived_at is not None:
            raise Conflict(f"{found.name} is archived already.", state="archived", allowed=("unarchive",))
        if busy := found.jobs.filter(state__in=AT_WORK).count():
            raise Conflict(f"{found.name}: {_jobs(busy)} at work. Wait for their end, or cancel them first.")
        found.archived_at = clock.now()
        found.save(update_fields=["archived_at"])
        _tell(user, found, "archive_batch", reason)
    return "archived"


def _unarchive(user: User, batch: Batch, reason: str) -> str:
    require_role(user, batch.team, Role.OPERATOR)
    with transaction.atomic():
        found = locked(batch)
        if found.archived_at is None:
            raise Conflict(f"{found.name} is not archived.", state="open", allowed=("archive",))
        found.archived_at = None
        found.save(update_fields=["archived_at"])
        _tell(user, found, "unarchive_batch", reason)
    return "back in the list"


def _delete(user: User, batch: Batch, reason: str) -> str:
    """Hides the batch and all of its jobs for good. What is still open is cancelled first, so that nothing of it can
    ever be at work again; rows and history stay."""
    require_lead(user, batch)
    _refuse_busy(batch)
    with transaction.atomic():
        # Jobs are locked before their batch, as by whoever moves one: two that wait for each other would wait for ever.
        cancel_many(batch.jobs.exclude(state__in=AT_WORK), actor=user, reason="The batch is deleted.")
        found = locked(batch)
        _refuse_busy(found)  # what was started in this moment
        Pause.objects.filter(key=pauses.of_batch(found).key).delete()
        found.deleted_at = clock.now()
        found.save(update_fields=["deleted_at"])
        figures = found.figures
        data = {"jobs": figures.total, "bytes_in": figures.bytes_in, "bytes_out": figures.bytes_out}
        _tell(user, found, "delete_batch", reason, {**data, "directory_name": found.directory_name})
    return f"deleted, with {_jobs(figures.total)}"


def _refuse_busy(batch: Batch) -> None:
    if busy := batch.jobs.filter(state__in=AT_WORK).count():
        raise Conflict(
            f"{batch.name}: {_jobs(busy)} at work. Cancel the batch first, then delete it.",
            state="processing",
            allowed=("cancel",),
        )


def require_lead(user: User, batch: Batch) -> None:
    """Deleting is for superusers and for leads, in the teams that they belong to."""
    if not (is_lead(user) and roles_of(user, batch.team)):
        raise NotAllowed("Deleting a batch takes the permission to lead jobs.")


def _tell(user: User, batch: Batch, verb: str, reason: str, data: dict[str, object] | None = None) -> None:
    Event.objects.create(team=batch.team, batch=batch, verb=verb, actor=user, reason=reason.strip(), data=data or {})


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


@dataclass(frozen=True, kw_only=True)
class BatchVerb:
    """``do`` returns what became of the batch, in words. ``asks``: what cannot be undone is confirmed first."""

    name: str
    label: str
    do: Callable[[User, Batch, str], str]
    asks: bool = False
    leads_only: bool = False


BATCH_VERBS = {
    verb.name: verb
    for verb in (
        BatchVerb(name="start", label="Start", do=_start),
        BatchVerb(name="pause", label="Pause", do=_pause),
        BatchVerb(name="resume", label="Resume", do=_resume),
        BatchVerb(name="retry", label="Retry failed", do=_retry),
        BatchVerb(name="archive", label="Archive", do=_archive),
        BatchVerb(name="unarchive", label="Unarchive", do=_unarchive),
        BatchVerb(name="cancel", label="Cancel", do=_cancel, asks=True),
        BatchVerb(name="delete", label="Delete", do=_delete, asks=True, leads_only=True),
    )
}


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a verb on many batches: those it was done to, with words, and why not to others."""

    verb: BatchVerb
    done: tuple[tuple[Batch, str], ...]
    refused: tuple[str, ...]

    @property
    def text(self) -> str:
        if len(self.done) == 1:
            batch, words = self.done[0]
            text = f"{batch.name}: {words}."
        else:
            text = f"{self.verb.label}: {len(self.done)} batches."
        return f"{text} Not possible for {len(self.refused)}: {self.refused[0]}" if self.refused else text


def verb_of(name: str) -> BatchVerb:
    """Raises Invalid for a verb that batches do not know."""
    if name not in BATCH_VERBS:
        raise Invalid(f"There is no verb {name[:40]!r} for batches.", field="verb")
    return BATCH_VERBS[name]


def act(user: User, batch: Batch, verb: str, *, reason: str = "") -> str:
    """Does a verb to a batch; returns what became of it, in words. Raises NotAllowed, Conflict, Invalid."""
    return verb_of(verb).do(user, batch, reason)


def act_on_many(user: User, batches: Iterable[Batch], verb: str, *, reason: str = "") -> Done:
    """Does a verb to each batch by itself. Those where it is not possible stay as they are and say why.

    Raises what the first one raised when it was possible for none, Invalid for no batch or more than ``MOST_BATCHES``.
    """
    rule, chosen = verb_of(verb), list(batches)
    if not chosen:
        raise Invalid("Tick the batches first.", field="batch")
    if len(chosen) > MOST_BATCHES:
        raise Invalid(f"{len(chosen):,} batches; at most {MOST_BATCHES} go at once. Narrow the filters.", field="batch")
    done, refused = [], []
    for batch in chosen:
        try:
            done.append((batch, rule.do(user, batch, reason)))
        except (Conflict, NotAllowed) as error:
            refused.append(error)
    if not done:
        raise refused[0]
    return Done(verb=rule, done=tuple(done), refused=tuple(str(error) for error in refused))
