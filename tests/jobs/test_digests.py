"""jobs.digests: once a day by the team's own clock, by whichever machine looks first."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.utils import timezone

from jobs import clock, digests
from jobs.lifecycle import move
from jobs.models import Delivery, MailSwitch, Membership, Notice, NoticeChoice, Team
from jobs.notices import deliver_due
from jobs.states import Stage, State
from tests.jobs.receivers import mail_server
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(batch, people):
    """Olga wants the ends of batches once a day, and one has ended."""
    MailSwitch.objects.create(team=batch.team, events=[])
    NoticeChoice.objects.create(user=people.olga, name="batch.completed", mail=NoticeChoice.DAILY, bell=False)
    move(make_job(batch, Stage.DELIVERY, State.RUNNING, job_id="PC-1"), "deploy")
    return Notice.objects.get(user=people.olga)


def at(monkeypatch, text):
    monkeypatch.setattr(clock, "now", lambda: datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("zone", "now", "mails"),
    [
        ("UTC", "2030-06-01T06:59:59", 0),
        ("UTC", "2030-06-01T07:00:00", 1),
        ("Europe/Warsaw", "2030-06-01T04:59:59", 0),
        ("Europe/Warsaw", "2030-06-01T05:00:00", 1),
        ("Europe/Warsaw", "2030-01-01T05:00:00", 0),  # winter
        ("Pacific/Kiritimati", "2030-06-01T17:00:00", 1),  # tomorrow there
    ],
)
def test_it_is_written_from_the_hour_on_by_the_teams_clock(told, monkeypatch, zone, now, mails):
    Team.objects.update(time_zone=zone)
    at(monkeypatch, now)
    assert digests.write_due() == mails


def test_it_comes_once_a_day_with_what_came_since(told, monkeypatch, people, batch):
    at(monkeypatch, "2030-06-01T08:00:00")
    assert (digests.write_due(), digests.write_due()) == (1, 0)
    Notice.objects.filter(pk=told.pk).update(for_digest=True)
    at(monkeypatch, "2030-06-01T23:59:00")
    assert digests.write_due() == 0
    at(monkeypatch, "2030-06-02T06:00:00")
    assert digests.write_due() == 0
    at(monkeypatch, "2030-06-02T09:00:00")
    assert digests.write_due() == 1
    at(monkeypatch, "2030-06-03T09:00:00")
    assert digests.write_due() == 0  # nothing to tell


def test_it_arrives_with_links(told, monkeypatch, settings, batch):
    at(monkeypatch, "2030-06-01T08:00:00")
    digests.write_due()
    monkeypatch.undo()
    Delivery.objects.update(available_at=timezone.now())
    with mail_server(settings) as mailbox:
        assert deliver_due() == 1
    (envelope,) = mailbox.envelopes
    text = envelope.content.decode()
    assert envelope.rcpt_tos == ["olga@example.com"]
    assert "Subject: Your daily digest: Blue" in text
    assert "A batch is complete (Spring)" in text
    assert text.count(f"http://127.0.0.1:8000/admin/batches/{batch.pk}/") == 2


@pytest.mark.parametrize("gone", ["member", "mail", "person", "address", "batch"])
def test_who_may_not_be_told_any_more_is_not(told, monkeypatch, people, batch, gone):
    if gone == "member":
        Membership.objects.filter(user=people.olga).delete()
    elif gone == "mail":
        MailSwitch.objects.update(active=False)
    elif gone == "batch":
        type(batch).objects.update(deleted_at=timezone.now())
    else:
        people.olga.is_active, people.olga.email = gone != "person", "" if gone == "address" else "olga@example.com"
        people.olga.save()
    at(monkeypatch, "2030-06-01T08:00:00")
    assert digests.write_due() == 0
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_machines_one_writes_it(told, monkeypatch):
    at(monkeypatch, "2030-06-01T08:00:00")
    gate = threading.Barrier(4)
    written = []

    def look():
        gate.wait()
        try:
            written.append(digests.write_due())
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [0, 0, 0, 1]
    assert Delivery.objects.count() == 1
