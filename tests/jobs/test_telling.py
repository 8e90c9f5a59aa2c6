"""jobs.telling: who is told of what, in which way, and never somebody whom it does not concern."""

from __future__ import annotations

import pytest
from django.db import transaction

from jobs.lifecycle import annotate, move
from jobs.models import Delivery, Integration, MailSwitch, Membership, Notice, NoticeChoice
from jobs.notices import deliver_due
from jobs.states import Role, Stage, State
from jobs.telling import tell_assigned, tell_mentioned
from review import decisions
from tests.jobs.receivers import mail_server
from tests.people import make_job, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def switch(blue):
    return MailSwitch.objects.create(team=blue)


def choose(user, name, mail=NoticeChoice.AS_TEAM, *, bell=True):
    NoticeChoice.objects.create(user=user, name=name, mail=mail, bell=bell)


def told() -> list[tuple[str, str]]:
    return sorted(Notice.objects.values_list("user__username", "name"))


def mailed() -> list[str]:
    return sorted(Delivery.objects.values_list("recipient", flat=True))


def test_a_batch_that_ends_rings_for_every_member_and_for_nobody_else(batch, people):
    program = make_person("program", batch.team, Role.OPERATOR)
    Integration.objects.create(team=batch.team, name="program", user=program)
    people.vera.is_active = False
    people.vera.save()
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    assert told() == [(name, "batch.completed") for name in ("adam", "olga", "rita")]
    assert mailed() == []  # the team's mail is off


def test_what_is_told_comes_and_goes_with_the_change(batch, people):
    with transaction.atomic():
        move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
        assert Notice.objects.exists()
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


def test_dead_letters_ring_for_operators_once_a_batch_until_they_are_read(batch, people):
    jobs = [make_job(batch, Stage.MATCHING, State.RUNNING) for _ in range(3)]
    make_job(batch)  # the batch goes on
    for job in jobs[:2]:
        move(job, "fail", reason="broken")
    notice = Notice.objects.get()
    assert (notice.user, notice.times, notice.title, notice.job) == (people.olga, 2, "2 jobs failed", jobs[1])
    Notice.objects.update(read_at=notice.told_at)
    move(jobs[2], "fail", reason="broken")
    assert sorted(Notice.objects.values_list("times", flat=True)) == [1, 2]


@pytest.mark.parametrize(
    ("mail", "bell", "mails", "rows"),
    [
        (NoticeChoice.AS_TEAM, True, 1, [(True, False)]),
        (NoticeChoice.NOW, False, 1, []),
        (NoticeChoice.DAILY, True, 0, [(True, True)]),
        (NoticeChoice.DAILY, False, 0, [(False, True)]),
        (NoticeChoice.NEVER, True, 0, [(True, False)]),
        (NoticeChoice.NEVER, False, 0, []),
    ],
)
def test_a_person_is_told_as_they_chose(batch, people, switch, mail, bell, mails, rows):
    choose(people.olga, "batch.completed", mail, bell=bell)
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    assert mailed().count("olga@example.com") == mails
    assert list(Notice.objects.filter(user=people.olga).values_list("in_bell", "for_digest")) == rows
    assert "rita@example.com" in mailed()  # others' choices are their own


def test_a_choice_opens_what_the_team_does_not_have_but_not_what_is_switched_off(batch, people, switch):
    choose(people.rita, "job.awaiting_review", NoticeChoice.NOW)
    choose(people.olga, "job.awaiting_review", NoticeChoice.NOW)  # operates: it is not hers to decide
    move(make_job(batch, Stage.MATCHING, State.RUNNING), "prepare")
    assert mailed() == ["rita@example.com"]
    assert told() == [("rita", "job.awaiting_review")]
    MailSwitch.objects.update(active=False)
    move(make_job(batch, Stage.MATCHING, State.RUNNING), "prepare")
    assert mailed() == ["rita@example.com"]


def test_a_choice_in_one_team_tells_nothing_of_another(batch, people):
    choose(people.oscar, "batch.completed", NoticeChoice.NOW)
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    assert "oscar" not in [user for user, _ in told()]


def test_who_is_given_a_job_is_told_by_whom(batch, people, switch, settings):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, job_id="PC-7")
    with mail_server(settings) as mailbox:
        decisions.assign(people.olga, job, assignee=people.rita)
        assert deliver_due() == 1
    assert told() == [("rita", "job.assigned")]
    (envelope,) = mailbox.envelopes
    assert envelope.rcpt_tos == ["rita@example.com"]
    text = envelope.content.decode()
    assert "Subject: A job was assigned to you: PC-7" in text
    assert "By olga" in text
    assert "List-Unsubscribe: <http://127.0.0.1:8000/admin/notices/choices/>" in text


def test_nobody_is_told_what_they_did_themselves(batch, people):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    decisions.assign(people.rita, job, assignee=people.rita)
    decisions.assign(people.rita, job, assignee=None)
    decisions.comment(people.rita, job, text="@rita: remember")
    assert told() == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@rita please look", ["rita"]),
        ("see @rita, @adam and @rita.", ["adam", "rita"]),
        ("(@vera)", ["vera"]),
        ("mail rita@rita or x@adam", []),
        ("@oscar is of another team, @nobody of none, @missing is nobody", []),
        ("@RITA", []),
        ("@", []),
        ("@@rita", []),
        ("@" + "a" * 5_000, []),
        ("@j.doe. is back", ["j.doe"]),
    ],
)
def test_those_whom_a_comment_names_are_told(batch, people, text, names):
    make_person("j.doe", batch.team, Role.VIEWER)
    decisions.comment(people.olga, make_job(batch), text=text)
    assert [user for user, _ in told()] == names


def test_somebody_who_left_the_team_is_not_told(batch, people):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, assignee=people.rita)
    Membership.objects.filter(user=people.rita).delete()
    tell_assigned(annotate(job, "assign", actor=people.olga), job)
    tell_mentioned(annotate(job, "comment", actor=people.olga, reason="@rita"), job)
    assert told() == []
