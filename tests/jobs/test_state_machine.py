"""Racing people and machines, at random: whatever they do, the records fit together (hypothesis, stateful)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from batches.models import Batch
from jobs import outcomes, pipeline, sweeping
from jobs.claims import Lease, claim
from jobs.errors import Conflict, Invalid, LeaseLost
from jobs.lifecycle import move
from jobs.models import Event, Job, StageRun, Team
from jobs.retries import POLICIES
from jobs.sandbox import StageFailed
from jobs.stages.base import Outcome
from jobs.states import VERBS, Role, Stage, State
from tests.people import make_job

PEOPLES_VERBS = sorted(name for name, verb in VERBS.items() if Role.SYSTEM not in verb.roles)
INGESTED: dict[str, Any] = {"matches": [], "layers": [], "slots": []}


class Life(RuleBasedStateMachine):
    """Two jobs, any number of workers that may be late, and people whose pages may be stale."""

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
        self.finished: set[int] = set()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    @rule(
        which=st.integers(0, 1),
        verb=st.sampled_from(PEOPLES_VERBS),
        behind=st.integers(0, 2),
        goal=st.sampled_from([None, *Stage]),
    )
    def somebody_decides(self, which: int, verb: str, behind: int, goal: Stage | None) -> None:
        job = self.jobs[which]
        job.refresh_from_db()
        before = (job.stage, job.state, job.version)
        try:
            move(job, verb, version=job.version - behind, target=goal, reason="a reason of ten")
        except (Conflict, Invalid):
            job.refresh_from_db()
            assert (job.stage, job.state, job.version) == before
        else:
            assert behind == 0

    @rule()
    def a_worker_claims(self) -> None:
        lease = claim(f"worker-{len(self.leases)}")
        if lease is not None:
            self.leases.append(lease)

    @rule(which=st.integers(0, 50), faults=st.booleans())
    def a_worker_finishes_perhaps_late(self, which: int, faults: bool) -> None:
        if not self.leases:
            return
        lease = self.leases[which % len(self.leases)]
        run = StageRun.objects.select_related("job__team", "job__batch").get(pk=lease.run_id)
        mine = run.token == lease.token
        result = INGESTED if run.stage == Stage.INGESTION else {}
        try:
            with outcomes.stored(run, Outcome(result=result, faults=faults)) as stored, transaction.atomic():
                pipeline._finish(lease, stored)
        except LeaseLost:
            assert not mine
        else:
            assert mine

    @rule(which=st.integers(0, 50), error_class=st.sampled_from(sorted(POLICIES)))
    def a_worker_fails_perhaps_late(self, which: int, error_class: Any) -> None:
        if self.leases:
            pipeline.fail(self.leases[which % len(self.leases)], StageFailed("no", error_class=error_class))
            StageRun.objects.filter(state=StageRun.QUEUED).update(available_at=Now())

    @rule()
    def leases_lapse(self) -> None:
        StageRun.objects.filter(state=StageRun.RUNNING).update(lease_expires_at=timezone.now() - timedelta(minutes=1))
        sweeping.sweep()
        StageRun.objects.filter(state=StageRun.QUEUED).update(available_at=Now())

    @invariant()
    def the_history_gives_the_present(self) -> None:
        for job in self.jobs:
            job.refresh_from_db()
            place: tuple[int, str] = (Stage.INGESTION, State.PENDING)
            moves = list(Event.objects.filter(job=job, version__isnull=False).order_by("version"))
            assert [event.version for event in moves] == list(range(1, job.version + 1))
            for event in moves:
                assert (event.from_stage, event.from_state) == place
                place = (event.to_stage, event.to_state)
            assert place == (job.stage, job.state)

    @invariant()
    def machines_work_exactly_on_what_is_queued_or_running(self) -> None:
        for job in self.jobs:
            job = Job.objects.get(pk=job.pk)
            live = list(job.runs.filter(state__in=[StageRun.QUEUED, StageRun.RUNNING]))
            if job.state in {State.QUEUED, State.RUNNING}:
                assert [(run.stage, run.state) for run in live] == [(job.stage, job.state)]
            else:
                assert live == []

    @invariant()
    def a_job_is_finished_exactly_when_it_is_over(self) -> None:
        for job in Job.objects.filter(pk__in=[job.pk for job in self.jobs]):
            assert (job.finished_at is not None) == (job.state in {State.DONE, State.CANCELLED})
            assert bool(job.held_state) == (job.state == State.ON_HOLD)


@pytest.mark.django_db
def test_whatever_people_and_machines_do_the_records_fit_together() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
