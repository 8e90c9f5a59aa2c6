"""The one function that moves a job, and what moves with it: the event, the preparation, the ticket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from jobs import clock
from jobs.compiled import Insert, Objects, Rows, Update, given
from jobs.errors import Conflict, Invalid
from jobs.log_context import bound_request
from jobs.models import Event, Job, StageRun
from jobs.notices import announce
from jobs.queue import send_ticket
from jobs.stages.base import input_hash
from jobs.states import FINAL, REUSABLE, VERBS, Stage, State, Verb, allowed_verbs, public_state, queue_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIVE = (StageRun.QUEUED, StageRun.RUNNING)
BEFORE = timedelta(milliseconds=1)
KEEPS_RUN = frozenset({"claim", "give_back", "correct"})

# Read under a lock where the database can, so that what is decided and hashed here is what will be so at the commit.
_PRESENT = Objects(
    lambda: (
        Job.objects.select_for_update(of=("self",), no_key=True)
        .select_related("psd", "project")
        .filter(pk=given(Job, "id"))
        .order_by()
    )
)
_MOVED_COLUMNS = ("stage", "state", "version", "moved_at", "finished_at", "held_state")
_MOVED = Update(
    lambda: Job.objects.filter(pk=given(Job, "id"), version=given(Job, "version", name="seen_version")),
    lambda: {column: given(Job, column) for column in _MOVED_COLUMNS},
)
_NEW_EVENT = Insert(Event)
_NEW_RUN = Insert(StageRun, by_clock=("queued_at", "available_at"), or_nothing=True)
_NEXT_RUN = Insert(StageRun, by_clock=("queued_at",), or_nothing=True)
_LAST_RUN = Rows(
    lambda: StageRun.objects.filter(job=given(StageRun, "job")).order_by("-pk").values_list("available_at")[:1]
)
_DROPPED = Update(
    lambda: StageRun.objects.filter(job=given(StageRun, "job"), state__in=LIVE),
    lambda: {
        "state": StageRun.DROPPED,
        "token": None,
        "lease_owner": "",
        "lease_expires_at": None,
        "ended_at": Now(),
    },
)


@dataclass(frozen=True, kw_only=True)
class Move:
    """What is written beside stage and state. ``fields`` are columns of the job that change in the same UPDATE."""

    actor: User | None = None
    version: int | None = None
    target: Stage | None = None
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


def move(
    job: Job,
    verb: str,
    *,
    actor: User | None = None,
    version: int | None = None,
    target: Stage | None = None,
    reason: str = "",
    data: dict[str, Any] | None = None,
    fields: dict[str, Any] | None = None,
) -> Job:
    """Moves a job by a verb: guarded UPDATE, event, preparation and ticket in one transaction.

    ``version`` is the version that the caller saw; without it the present one is taken. ``job`` is brought up to date.
    Raises Conflict when the job is elsewhere or was moved meanwhile, Invalid when a reason or target is missing.
    """
    rule = VERBS[verb]
    request = Move(
        actor=actor,
        version=version,
        target=target,
        reason=reason.strip(),
        data=data or {},
        fields=fields or {},
    )
    _check_words(rule, request)
    with transaction.atomic():
        present = _PRESENT.get(id=job.pk)
        to_stage, to_state = _advance(present, rule, request)
        if rule.name not in KEEPS_RUN:
            drop_live_runs(present)
            if to_state == State.QUEUED:
                last = _LAST_RUN.first(job=present.pk)
                _queue_work(present, rule, to_stage, after=last[0] if last else None)
    _bring_up_to_date(job, present)
    return job


def move_claimed(job: Job, owner: str) -> None:
    """``move`` by ``claim``, for the worker ``owner`` who takes the job's run in the transaction that surrounds this.

    ``job`` is as the caller read it there, under a lock where the database has one. Raises Conflict, which must end the
    transaction.
    """
    _advance(job, VERBS["claim"], Move(data={"worker": owner}))


def move_worked(job: Job, verb: str, *, after: datetime) -> None:
    """``move`` for the worker who ended the job's live run in the transaction that surrounds this.

    ``after`` is when that run was due. Raises Conflict, which must end the transaction.
    """
    rule = VERBS[verb]
    present = _PRESENT.get(id=job.pk)
    to_stage, to_state = _advance(present, rule, Move())
    if to_state == State.QUEUED:
        _queue_work(present, rule, to_stage, after=after)
    _bring_up_to_date(job, present)


def _advance(present: Job, rule: Verb, request: Move) -> tuple[Stage, State]:
    """Moves the job alone, with its event. Returns where it is now."""
    if present.state in FINAL:
        refuse_deleted(present)
    _check_place(rule, present, request)
    to_stage, to_state = _destination(rule, present, request)
    _write(rule, present, request, to_stage, to_state)
    return to_stage, to_state


def refuse_deleted(job: Job) -> None:
    """Raises Conflict when the job's batch was deleted, and keeps it from being deleted until the transaction ends.

    Only what is over needs to ask: deleting a batch cancels all other jobs, and so changes their versions.
    """
    batches: Any = Job._meta.get_field("batch").related_model
    if batches._default_manager.select_for_update(no_key=True).get(pk=job.batch_id).deleted_at is not None:
        raise Conflict(f"The batch of {job.job_id} was deleted.", state="deleted")


def annotate(
    job: Job, verb: str, *, actor: User | None = None, reason: str = "", data: dict[str, Any] | None = None
) -> Event:
    """Writes history beside the life of a job (assigned, commented, warning accepted). The version stays."""
    return Event.objects.create(
        team_id=job.team_id,
        batch_id=job.batch_id,
        job=job,
        verb=verb,
        actor=actor,
        from_stage=job.stage,
        from_state=job.state,
        to_stage=job.stage,
        to_state=job.state,
        reason=reason,
        data=data or {},
    )


def _bring_up_to_date(job: Job, present: Job) -> None:
    """Gives the caller's job what the move read and wrote, as ``refresh_from_db`` would, without asking again."""
    columns: Sequence[Any] = Job._meta.concrete_fields
    for column in columns:
        value = getattr(present, column.attname)
        if column.is_relation and column.is_cached(job) and getattr(job, column.attname) != value:
            column.delete_cached_value(job)
        setattr(job, column.attname, value)


def _check_words(rule: Verb, request: Move) -> None:
    if len(request.reason) < rule.needs_reason:
        least = "a reason" if rule.needs_reason == 1 else f"a reason of at least {rule.needs_reason} characters"
        raise Invalid(f"{rule.label} needs {least}.", field="reason")
    if rule.targets and request.target not in rule.targets:
        names = ", ".join(stage.label for stage in sorted(rule.targets))
        raise Invalid(f"{rule.label} needs a stage to go to: {names}.", field="stage")
    if rule.needs_version and request.version is None:
        raise Invalid(f"{rule.label} needs the version of the job that you saw.", field="version")


def _check_place(rule: Verb, present: Job, request: Move) -> None:
    stage, state = Stage(present.stage), State(present.state)
    shown = public_state(stage, state)
    allowed = allowed_verbs(stage, state)
    if request.version is not None and request.version != present.version:
        raise Conflict(
            f"{present.job_id} has changed since you opened it: it is {shown.replace('_', ' ')} now.",
            state=shown,
            allowed=allowed,
        )
    too_far = request.target is not None and request.target > stage
    same_rejected = rule.name == "reject" and request.target == stage
    if not rule.leads_from(stage, state) or too_far or same_rejected:
        raise Conflict(
            f"{rule.label} is not possible: {present.job_id} is {shown.replace('_', ' ')}"
            f" ({stage.label.lower()}). Possible now: {', '.join(allowed) or 'nothing'}.",
            state=shown,
            allowed=allowed,
        )


def _destination(rule: Verb, present: Job, request: Move) -> tuple[Stage, State]:
    stage = request.target or rule.to_stage or Stage(present.stage)
    state = rule.to_state or State(present.state)
    if rule.name == "release":
        state = State(present.held_state or State.PENDING)
    return stage, state


def _write(rule: Verb, present: Job, request: Move, to_stage: Stage, to_state: State) -> None:
    now = clock.now()
    changes: dict[str, Any] = {
        "stage": to_stage.value,
        "state": to_state.value,
        "version": present.version + 1,
        "moved_at": now,
        "finished_at": now if to_state in FINAL else None,
        "held_state": _held_state(present, to_state),
        **request.fields,
    }
    seen = {"id": present.pk, "seen_version": present.version}
    if request.fields:
        updated = Job.objects.filter(pk=present.pk, version=present.version).update(**changes)
    else:
        updated = _MOVED(**seen, **changes)
    if not updated:
        raise Conflict(f"{present.job_id} was changed by somebody else in this moment.", state=present.public_state)
    event = Event(
        team_id=present.team_id,
        batch_id=present.batch_id,
        job=present,
        version=present.version + 1,
        verb=rule.name,
        actor=request.actor,
        from_stage=present.stage,
        from_state=present.state,
        to_stage=to_stage.value,
        to_state=to_state.value,
        reason=request.reason,
        data=request.data,
        at=now,
    )
    _NEW_EVENT(event)
    for name, value in changes.items():
        setattr(present, name, value)
    announce(event, present)


def _held_state(present: Job, to_state: State) -> str:
    if to_state != State.ON_HOLD:
        return ""
    # Running work is fenced off by the hold and starts anew on release.
    return State.QUEUED.value if present.state == State.RUNNING else present.state


def _queue_work(job: Job, rule: Verb, to_stage: Stage, *, after: datetime | None) -> None:
    """Gives a job that has no live run and shall be worked on a run and a ticket.

    ``after`` is when its run before was due. First in, first out holds for jobs: what comes next for a job goes before
    what was done for it would go, so that people get the first jobs of a large batch while the others are still read.
    """
    wanted = {"job": job, "stage": to_stage.value, "input_hash": input_hash(job, to_stage)}
    run = StageRun(
        **wanted,
        team_id=job.team_id,
        batch_id=job.batch_id,
        priority=job.priority,
        rank=job.priority,
        queue=queue_of(to_stage).value,
    )
    new_run = _NEW_RUN
    if after is not None and after <= clock.now():
        # Before, and not at the same time: jobs that are started together are due at one moment.
        new_run, run.available_at = _NEXT_RUN, after - BEFORE
    if new_run(run):
        send_ticket(run.queue)
        return
    run = StageRun.objects.get(**wanted)
    if run.state == StageRun.DONE and rule.name != "requeue" and to_stage in REUSABLE:
        move(job, "reuse")
    else:
        queue_again(StageRun.objects.filter(pk=run.pk), to_stage, job.priority)
        send_ticket(queue_of(to_stage))


def queue_again(runs: QuerySet[StageRun], stage: Stage, priority: int) -> None:
    """Queues runs of one stage anew, as if they had never been tried. The ticket is the caller's."""
    runs.update(
        state=StageRun.QUEUED,
        priority=priority,
        rank=priority,
        queue=queue_of(stage),
        queued_at=Now(),
        available_at=Now(),
        attempts=0,
        crashes=0,
        token=None,
        lease_owner="",
        lease_expires_at=None,
        step="",
        percent=0,
        error="",
        error_class="",
        fingerprint="",
        request_id=bound_request(),
        started_at=None,
        ended_at=None,
    )


def drop_live_runs(job: Job) -> None:
    """Fences off whatever is queued or running for the job: a late worker finds its token gone."""
    _DROPPED(job=job.pk)
