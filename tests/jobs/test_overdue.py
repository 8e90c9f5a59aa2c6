"""jobs.overdue: what waits too long is told once a wait, to those who can end it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.lifecycle import move
from jobs.models import Event, Job, MailSwitch, Notice
from jobs.overdue import tell_overdue
from jobs.states import Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db


def since(job, hours):
    Job.objects.filter(pk=job.pk).update(moved_at=timezone.now() - timedelta(hours=hours))


def told() -> list[str]:
    return sorted(Notice.objects.filter(name="job.waiting").values_list("user__username", flat=True))


@pytest.mark.parametrize(
    ("stage", "who"), [(Stage.MATCHING, ["rita"]), (Stage.PREVIEW, ["adam"]), (Stage.DELIVERY, ["adam"])]
)
def test_those_who_could_decide_are_told_once(batch, people, stage, who):
    job = make_job(batch, stage, State.IN_REVIEW)
    since(job, 23.9)
    assert tell_overdue() == 0
    since(job, 24.1)
    assert (tell_overdue(), tell_overdue()) == (1, 0)
    assert told() == who
    assert Event.objects.get(verb="wait_long").reason == "Nobody has decided for 24 h."


def test_the_one_who_looks_after_the_job_is_told_alone(batch, people):
    since(make_job(batch, Stage.PREVIEW, State.IN_REVIEW, assignee=people.rita), 30)
    tell_overdue()
    assert told() == ["rita"]


def test_the_next_wait_is_told_again(batch, people):
    job = make_job(batch, Stage.MATCHING, State.RUNNING)
    move(job, "prepare")
    since(job, 30)
    assert tell_overdue() == 1
    job.refresh_from_db()
    Job.objects.filter(pk=job.pk).update(moved_at=timezone.now() + timedelta(seconds=1))  # decided and prepared again
    assert tell_overdue() == 0


@pytest.mark.parametrize("state", [state for state in State if state != State.IN_REVIEW])
def test_what_waits_for_no_person_is_not_told(batch, people, state):
    since(make_job(batch, Stage.MATCHING, state), 30)
    assert tell_overdue() == 0


def test_it_can_be_switched_off_and_deleted_batches_wait_for_nobody(batch, people, settings):
    since(make_job(batch, Stage.MATCHING, State.IN_REVIEW), 30)
    settings.WAITING_HOURS = 0
    assert tell_overdue() == 0
    settings.WAITING_HOURS = 24
    type(batch).objects.update(deleted_at=timezone.now())
    assert tell_overdue() == 0


def test_it_is_mailed_once_a_day_at_first_and_counted(batch, people):
    MailSwitch.objects.create(team=batch.team)
    for _ in range(3):
        since(make_job(batch, Stage.MATCHING, State.IN_REVIEW), 30)
    assert tell_overdue() == 3
    notice = Notice.objects.get()
    assert (notice.times, notice.in_bell, notice.for_digest) == (3, True, True)
    assert notice.title == "3 jobs have waited too long"
