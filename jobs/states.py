"""The life of a job, as data: stages, states, and the verbs that lead from one to the next.

``docs/pipeline.md`` explains it; ``tests/jobs/test_states.py`` is generated from these tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Stage(IntEnum):
    """Validation (0) happens to the sheet, before there is a job."""

    INGESTION = 1
    MATCHING = 2
    PREVIEW = 3
    DELIVERY = 4

    @property
    def label(self) -> str:
        return self.name.capitalize()


class Queue(StrEnum):
    """Which workers take a run. The names are those of the clusters too."""

    LIGHT = "light"
    HEAVY = "heavy"
    IO = "io"


QUEUES = tuple(Queue)
QUEUE_OF_STAGE = {
    Stage.INGESTION: Queue.LIGHT,
    Stage.MATCHING: Queue.LIGHT,
    Stage.PREVIEW: Queue.HEAVY,
    Stage.DELIVERY: Queue.LIGHT,
}


WITHOUT_STAGES = frozenset(QUEUES) - frozenset(QUEUE_OF_STAGE.values())
"""The queues of errands alone."""


def queue_of(stage: Stage) -> Queue:
    """The queue whose workers prepare a stage: video is heavy, waiting for a network is io, the rest light."""
    return QUEUE_OF_STAGE[stage]


class State(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    IN_REVIEW = "in_review"
    FAILED = "failed"
    ON_HOLD = "on_hold"
    CANCELLED = "cancelled"
    DONE = "done"


FINAL = frozenset({State.CANCELLED, State.DONE})
REUSABLE = frozenset({Stage.MATCHING, Stage.PREVIEW})


class Role(StrEnum):
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    VIEWER = "viewer"
    SYSTEM = "system"


SYSTEM_ONLY = frozenset({Role.SYSTEM})


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One way a job can move.

    ``stage`` None leaves the stage as it is; ``state`` None leaves the state as it is. ``targets`` are the stages that
    the caller may choose from (``reject`` at delivery goes to matching or preview).
    """

    name: str
    label: str
    stages: frozenset[Stage]
    states: frozenset[State]
    to_stage: Stage | None = None
    to_state: State | None = None
    targets: frozenset[Stage] = frozenset()
    roles: frozenset[Role] = SYSTEM_ONLY
    needs_version: bool = False
    needs_reason: int = 0

    def leads_from(self, stage: Stage, state: State) -> bool:
        return stage in self.stages and state in self.states


EVERY_STAGE = frozenset(Stage)
OPERATOR = frozenset({Role.OPERATOR})
REVIEWER = frozenset({Role.REVIEWER})
APPROVER = frozenset({Role.APPROVER})


def _verb(
    name: str,
    label: str,
    states: Iterable[State],
    *,
    stages: Iterable[Stage] = EVERY_STAGE,
    targets: Iterable[Stage] = (),
    to_stage: Stage | None = None,
    to_state: State | None = None,
    roles: frozenset[Role] = SYSTEM_ONLY,
    needs_version: bool = False,
    needs_reason: int = 0,
) -> Verb:
    return Verb(
        name=name,
        label=label,
        stages=frozenset(stages),
        states=frozenset(states),
        targets=frozenset(targets),
        to_stage=to_stage,
        to_state=to_state,
        roles=roles,
        needs_version=needs_version,
        needs_reason=needs_reason,
    )


_S = State
_G = Stage
_VERBS = (
    # People ----------------------------------------------------------------------------------------------------------
    _verb("start", "Start ingestion", {_S.PENDING}, stages={_G.INGESTION}, to_state=_S.QUEUED, roles=OPERATOR),
    _verb("amend", "Amend matches", {_S.IN_REVIEW}, stages={_G.MATCHING}, roles=REVIEWER, needs_version=True),
    _verb(
        "choose_comp",
        "Choose render comp",
        {_S.IN_REVIEW},
        stages={_G.MATCHING},
        to_stage=_G.INGESTION,
        to_state=_S.QUEUED,
        roles=REVIEWER,
        needs_version=True,
    ),
    _verb(
        "approve_matches",
        "Approve matches",
        {_S.IN_REVIEW},
        stages={_G.MATCHING},
        to_stage=_G.PREVIEW,
        to_state=_S.QUEUED,
        roles=REVIEWER,
        needs_version=True,
    ),
    _verb(
        "approve_preview",
        "Approve preview",
        {_S.IN_REVIEW},
        stages={_G.PREVIEW},
        to_stage=_G.DELIVERY,
        to_state=_S.QUEUED,
        roles=APPROVER,
        needs_version=True,
    ),
    _verb(
        "force_approve",
        "Force-approve",
        {_S.IN_REVIEW},
        stages={_G.DELIVERY},
        to_state=_S.QUEUED,
        roles=APPROVER,
        needs_version=True,
        needs_reason=10,
    ),
    _verb(
        "reject",
        "Reject",
        {_S.IN_REVIEW},
        stages={_G.PREVIEW, _G.DELIVERY},
        targets={_G.MATCHING, _G.PREVIEW},
        roles=APPROVER,
        needs_version=True,
        needs_reason=1,
    ),
    _verb(
        "cancel",
        "Cancel",
        {_S.PENDING, _S.QUEUED, _S.RUNNING, _S.IN_REVIEW, _S.FAILED, _S.ON_HOLD},
        to_state=_S.CANCELLED,
        roles=OPERATOR | REVIEWER,
    ),
    _verb(
        "hold",
        "Hold",
        {_S.PENDING, _S.QUEUED, _S.RUNNING, _S.IN_REVIEW},
        to_state=_S.ON_HOLD,
        roles=OPERATOR,
    ),
    # Goes back to where the job was held: queued work is queued again, a review is open again.
    _verb("release", "Release", {_S.ON_HOLD}, roles=OPERATOR),
    _verb("retry", "Retry", {_S.FAILED, _S.CANCELLED}, to_state=_S.QUEUED, roles=OPERATOR),
    _verb(
        "requeue",
        "Process again from an earlier stage",
        {_S.IN_REVIEW, _S.FAILED, _S.CANCELLED, _S.ON_HOLD, _S.DONE},
        targets=EVERY_STAGE,
        to_state=_S.QUEUED,
        roles=OPERATOR,
    ),
    # Machines --------------------------------------------------------------------------------------------------------
    _verb("claim", "Claimed by a worker", {_S.QUEUED}, to_state=_S.RUNNING),
    _verb("give_back", "Back in the queue", {_S.RUNNING}, to_state=_S.QUEUED),
    _verb(
        "ingest",
        "Ingested",
        {_S.RUNNING},
        stages={_G.INGESTION},
        to_stage=_G.MATCHING,
        to_state=_S.QUEUED,
    ),
    _verb("prepare", "Prepared for review", {_S.RUNNING}, stages={_G.MATCHING, _G.PREVIEW}, to_state=_S.IN_REVIEW),
    # The same inputs were prepared before: what was made then is shown at once.
    _verb("reuse", "Preparation reused", {_S.QUEUED}, stages={_G.MATCHING, _G.PREVIEW}, to_state=_S.IN_REVIEW),
    _verb("deploy", "Deployed", {_S.RUNNING}, stages={_G.DELIVERY}, to_state=_S.DONE),
    _verb("find_faults", "Validation failed", {_S.RUNNING}, stages={_G.DELIVERY}, to_state=_S.IN_REVIEW),
    _verb("fail", "Failed", {_S.QUEUED, _S.RUNNING}, to_state=_S.FAILED),
    # A newer sheet says otherwise: redone from the first stage that depends on it, or nothing depends on it.
    _verb(
        "revise",
        "Inputs changed",
        {_S.QUEUED, _S.RUNNING, _S.IN_REVIEW, _S.FAILED},
        targets=EVERY_STAGE,
        to_state=_S.QUEUED,
    ),
    _verb("correct", "Row corrected", set(State) - FINAL),
)
VERBS: dict[str, Verb] = {verb.name: verb for verb in _VERBS}


def allowed_verbs(stage: Stage, state: State, roles: Iterable[Role] | None = None) -> tuple[str, ...]:
    """The verbs that people may use now; with ``roles``, only those that one of the roles may use."""
    held = None if roles is None else frozenset(roles)
    return tuple(
        verb.name
        for verb in _VERBS
        if verb.leads_from(stage, state) and Role.SYSTEM not in verb.roles and (held is None or held & verb.roles)
    )


PUBLIC_STATES = (
    "pending",
    "processing",
    "awaiting_review",
    "awaiting_approval",
    "ready_for_validation",
    "validation_failed",
    "completed",
    "failed",
    "on_hold",
    "cancelled",
)


def public_state(stage: Stage, state: State) -> str:
    """What people and programs see, derived from stage and state. The only place that does."""
    match state:
        case State.QUEUED | State.RUNNING:
            return "ready_for_validation" if stage == Stage.DELIVERY else "processing"
        case State.IN_REVIEW:
            return {
                Stage.MATCHING: "awaiting_review",
                Stage.PREVIEW: "awaiting_approval",
                Stage.DELIVERY: "validation_failed",
            }.get(stage, "processing")
        case State.DONE:
            return "completed"
        case _:
            return state.value


def inner_states(public: str) -> tuple[tuple[Stage, State], ...]:
    """The (stage, state) pairs behind a public state, for filters. Empty for an unknown name."""
    return tuple((stage, state) for stage in Stage for state in State if public_state(stage, state) == public)
