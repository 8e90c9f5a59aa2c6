"""batches.actions: the verbs of operators"""

from __future__ import annotations

import pytest

from batches import actions
from batches.models import Batch
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Event, StageRun
from jobs.states import Stage, State
from tests.people import make_job


def states(batch):
    return list(batch.jobs.order_by("row_line").values_list("state", flat=True))


def test_start_queues_all_pending_jobs(people, batch):
    jobs = [make_job(batch) for _ in range(3)]
    make_job(batch, state=State.CANCELLED)
    assert actions.start(people.olga, batch) == 3
    assert StageRun.objects.filter(state="queued").count() == 3
    assert Event.objects.filter(verb="start", actor=people.olga).count() == 3
    assert {job.batch_id for job in jobs} == {batch.pk}


def test_start_takes_the_first_jobs_in_the_order_of_the_sheet(people, batch):
    for line in (4, 2, 3):
        make_job(batch, row_line=line)
    assert actions.start(people.olga, batch, first=2) == 2
    assert states(batch) == ["queued", "queued", "pending"]


def test_a_second_start_is_a_conflict(people, batch):
    make_job(batch)
    actions.start(people.olga, batch)
    with pytest.raises(Conflict):
        actions.start(people.olga, batch)


@pytest.mark.parametrize("first", [0, -1])
def test_the_number_of_jobs_to_start_is_at_least_one(people, batch, first):
    make_job(batch)
    with pytest.raises(Invalid):
        actions.start(people.olga, batch, first=first)


def test_start_takes_the_role_of_an_operator_in_the_team(people, batch):
    make_job(batch)
    for person in (people.rita, people.adam, people.vera, people.oscar):
        with pytest.raises(NotAllowed):
            actions.start(person, batch)
    assert states(batch) == ["pending"]


def test_a_verb_on_many_jobs_moves_those_that_can_and_says_why_others_did_not(people, batch):
    make_job(batch, job_id="A", row_line=2)
    make_job(batch, job_id="B", row_line=3, state=State.DONE, stage=Stage.DELIVERY)
    summary = actions.apply(people.olga, batch, "hold", batch.jobs.all())
    assert states(batch) == ["on_hold", "done"]
    assert [job.job_id for job in summary.moved] == ["A"]
    assert summary.text.startswith("Hold: 1 job. Not possible for 1: Hold is not possible: B is completed")


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("release", State.ON_HOLD, State.PENDING),
        ("retry", State.FAILED, State.QUEUED),
        ("cancel", State.PENDING, State.CANCELLED),
    ],
)
def test_the_other_verbs_of_operators(people, batch, verb, before, after):
    make_job(batch, state=before, held_state="pending" if before == State.ON_HOLD else "")
    actions.apply(people.olga, batch, verb, batch.jobs.all())
    assert states(batch) == [after]


def test_reviewers_may_cancel_but_not_hold(people, batch):
    make_job(batch)
    with pytest.raises(NotAllowed):
        actions.apply(people.rita, batch, "hold", batch.jobs.all())
    actions.apply(people.rita, batch, "cancel", batch.jobs.all())
    assert states(batch) == ["cancelled"]


@pytest.mark.parametrize("verb", ["approve_matches", "claim", "nonsense", ""])
def test_verbs_of_others_are_refused(people, batch, verb):
    with pytest.raises(Invalid):
        actions.apply(people.root, batch, verb, batch.jobs.all())


def test_a_stale_version_is_refused(people, batch):
    job = make_job(batch, version=4)
    summary = actions.apply(people.olga, batch, "hold", [job], version=3)
    assert summary.moved == ()
    assert "has changed since you opened it" in summary.refused[0]


def test_a_job_of_another_team_is_not_reached_through_a_batch_of_ones_own(people, batch, red):
    theirs = make_job(Batch.objects.create(team=red, name="r", created_by=people.oscar))
    with pytest.raises(Invalid):
        actions.apply(people.olga, batch, "hold", [theirs])
