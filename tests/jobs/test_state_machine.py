"""Whatever people and machines do, the records fit together: racing at random (hypothesis, stateful), and each thing
once from every place that a job can reach."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from batches.models import Batch
from jobs import cancelling, outcomes, pipeline, sweeping
from jobs.claims import Lease, claim
from jobs.errors import Conflict, Invalid, LeaseLost
from jobs.lifecycle import move
from jobs.models import Event, Job, StageRun, Team
from jobs.retries import POLICIES
from jobs.sandbox import StageFailed
from jobs.stages.base import Outcome
from jobs.states import VERBS, Role, Stage, State, Verb, allowed_verbs
from tests.people import make_job

PEOPLES_VERBS = sorted(name for name, verb in VERBS.items() if Role.SYSTEM not in verb.roles)
MACHINES_VERBS = {"claim", "give_back", "ingest", "prepare", "reuse", "deploy", "find_faults", "fail"}
"""What workers do; the walk does them through the workers' own functions."""
INGESTED: dict[str, Any] = {"matches": [], "layers": [], "slots": []}
REASON = "a reason of ten"


# What must be so everywhere -------------------------------------------------------------------------------------------
def check(job: Job) -> None:
    """The invariants of one job."""
    job = Job.objects.get(pk=job.pk)
    check_history(job)
    live = list(job.runs.filter(state__in=[StageRun.QUEUED, StageRun.RUNNING]))
    if job.state in {State.QUEUED, State.RUNNING}:
        assert [(run.stage, run.state) for run in live] == [(job.stage, job.state)]
    else:
        assert live == []
    assert (job.finished_at is not None) == (job.state in {State.DONE, State.CANCELLED})
    assert bool(job.held_state) == (job.state == State.ON_HOLD)


def check_history(job: Job) -> None:
    """The history alone, replayed, gives the present state."""
    place: tuple[int, str] = (Stage.INGESTION, State.PENDING)
    moves = list(Event.objects.filter(job=job, version__isnull=False).order_by("version"))
    assert [event.version for event in moves] == list(range(1, job.version + 1))
    for event in moves:
        assert (event.from_stage, event.from_state) == place
        place = (event.to_stage, event.to_state)
    assert place == (job.stage, job.state)


# What people and machines do ------------------------------------------------------------------------------------------
def decide(job: Job, verb: str, *, behind: int = 0, goal: Stage | None = None) -> bool:
    """Whether it was done. ``behind``: how many versions old the page is on which somebody decides."""
    job = Job.objects.get(pk=job.pk)
    before = (job.stage, job.state, job.version)
    try:
        move(job, verb, version=job.version - behind, target=goal, reason=REASON)
    except (Conflict, Invalid):
        job.refresh_from_db()
        assert (job.stage, job.state, job.version) == before
        return False
    assert behind == 0
    return True


def finish(lease: Lease, *, faults: bool = False) -> bool:
    """Whether the outcome was kept; it is when the lease is still its holder's."""
    run = StageRun.objects.select_related("job__team", "job__batch").get(pk=lease.run_id)
    mine = run.token == lease.token
    result = INGESTED if run.stage == Stage.INGESTION else {}
    try:
        with outcomes.stored(run, Outcome(result=result, faults=faults)) as stored, transaction.atomic():
            pipeline._finish(lease, stored, log="")
    except LeaseLost:
        assert not mine
        return False
    assert mine
    return True


def fail(lease: Lease, error_class: Any) -> bool:
    mine = StageRun.objects.filter(pk=lease.run_id, token=lease.token).exists()
    settled = pipeline.fail(lease, StageFailed("no", error_class=error_class))
    assert settled == mine
    make_due()
    return settled


def lapse() -> None:
    """Every worker goes silent for longer than its lease."""
    StageRun.objects.filter(state=StageRun.RUNNING).update(lease_expires_at=timezone.now() - timedelta(minutes=1))
    sweeping.sweep()
    make_due()


def make_due() -> None:
    StageRun.objects.filter(state=StageRun.QUEUED).update(available_at=Now())


def goals_of(verb: Verb) -> list[Stage | None]:
    return sorted(verb.targets) or [None]


# At random ------------------------------------------------------------------------------------------------------------
WAY = ("start", "work", "work", "approve_matches", "work", "approve_preview", "work")
"""From the sheet to the deployed project."""


class Life(RuleBasedStateMachine):
    """Two jobs somewhere on their way, any number of workers that may be late, and people whose pages may be stale."""

    def __init__(self) -> None:
        super().__init__()
        self.block = transaction.atomic()
        self.block.__enter__()
        mark = uuid.uuid4().hex[:8]
        team = Team.objects.create(name=mark, slug=mark)
        user = User.objects.create(username=mark)
        batch = Batch.objects.create(team=team, name="Random", created_by=user)
        self.jobs = [make_job(batch, priority=priority) for priority in (0, 2)]
        self.leases: list[Lease] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    @initialize(ways=st.tuples(*[st.integers(0, len(WAY))] * 2))
    def they_have_come_so_far(self, ways: tuple[int, int]) -> None:
        for job, far in zip(self.jobs, ways, strict=True):
            for step in WAY[:far]:
                # Where the other job is more urgent, its work is done instead, and this one comes less far.
                self.work() if step == "work" else decide(job, step)

    def claim(self) -> bool:
        lease = claim(f"worker-{len(self.leases)}")
        self.leases += [lease] if lease else []
        return lease is not None

    def work(self, *, faults: bool = False) -> bool:
        return self.claim() and finish(self.leases[-1], faults=faults)

    @rule(which=st.integers(0, 1), data=st.data())
    def somebody_decides_what_is_possible(self, which: int, data: st.DataObject) -> None:
        job = Job.objects.get(pk=self.jobs[which].pk)
        verb = data.draw(st.sampled_from(allowed_verbs(Stage(job.stage), State(job.state)) or PEOPLES_VERBS))
        decide(job, verb, goal=data.draw(st.sampled_from(goals_of(VERBS[verb]))))

    @rule(
        which=st.integers(0, 1),
        verb=st.sampled_from(PEOPLES_VERBS),
        behind=st.integers(0, 2),
        goal=st.sampled_from([None, *Stage]),
    )
    def somebody_decides_perhaps_late(self, which: int, verb: str, behind: int, goal: Stage | None) -> None:
        decide(self.jobs[which], verb, behind=behind, goal=goal)

    @rule(faults=st.booleans())
    def work_goes_on(self, faults: bool) -> None:
        self.work(faults=faults)

    @rule()
    def a_worker_claims(self) -> None:
        self.claim()

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(0, 50), faults=st.booleans())
    def a_worker_finishes_perhaps_late(self, which: int, faults: bool) -> None:
        finish(self.leases[which % len(self.leases)], faults=faults)

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(0, 50), error_class=st.sampled_from(sorted(POLICIES)))
    def a_worker_fails_perhaps_late(self, which: int, error_class: Any) -> None:
        fail(self.leases[which % len(self.leases)], error_class)

    @rule()
    def leases_lapse(self) -> None:
        lapse()

    @invariant()
    def the_records_fit_together(self) -> None:
        for job in self.jobs:
            check(job)


@pytest.mark.django_db
def test_whatever_people_and_machines_do_the_records_fit_together() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# Everywhere -----------------------------------------------------------------------------------------------------------
Place = tuple[int, str, str, tuple[bool, ...]]
"""Stage, state, held state, and of the leases for the run that is live whether each is still good."""
REACHABLE = {
    (stage, state)
    for stage in Stage
    for state in State
    if (state != State.PENDING or stage == Stage.INGESTION)
    and (state != State.IN_REVIEW or stage != Stage.INGESTION)
    and (state != State.DONE or stage == Stage.DELIVERY)
}


class Walk:
    """Does at every place that a job reaches all that people and machines can do there, in time and too late; each is
    undone again, after the walk from a place that is new."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.seen: set[Place] = set()
        self.moved: set[str] = set()
        self.deeds = 0

    def explore(self, leases: tuple[Lease, ...] = ()) -> None:
        """``leases`` were claimed on the way here."""
        job = Job.objects.get(pk=self.job.pk)
        live = job.runs.filter(state__in=[StageRun.QUEUED, StageRun.RUNNING])
        tokens = dict(live.values_list("pk", "token"))
        good = tuple(tokens[lease.run_id] == lease.token for lease in leases if lease.run_id in tokens)
        place = (job.stage, job.state, job.held_state, good)
        if place in self.seen:
            return
        self.seen.add(place)
        for deed in self.deeds_of(leases):
            before = transaction.savepoint()
            fresh = deed()
            self.deeds += 1
            check(self.job)
            self.moved |= set(Event.objects.filter(job=self.job).values_list("verb", flat=True))
            self.explore((*leases, *([fresh] if isinstance(fresh, Lease) else []))[-2:])
            transaction.savepoint_rollback(before)

    def deeds_of(self, leases: tuple[Lease, ...]) -> Iterator[Callable[[], object]]:
        for verb in VERBS.values():
            if verb.name not in MACHINES_VERBS:
                yield partial(decide, self.job, verb.name, behind=1)
                for goal in goals_of(verb):
                    yield partial(decide, self.job, verb.name, goal=goal)
        yield partial(cancelling.cancel_many, Job.objects.filter(pk=self.job.pk))
        yield partial(claim, "worker")
        yield lapse
        for lease in leases:
            for faults in (False, True):
                yield partial(finish, lease, faults=faults)
            for error_class in ("file", "transient", "memory"):
                yield partial(fail, lease, error_class)


@pytest.mark.django_db
def test_from_every_place_that_a_job_reaches_everything_possible_keeps_the_records_together(batch: Batch) -> None:
    walk = Walk(make_job(batch))
    walk.explore()
    assert {place[:2] for place in walk.seen} == REACHABLE
    assert walk.moved >= set(VERBS)
    assert walk.deeds > 1_000
