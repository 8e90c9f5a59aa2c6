"""Who asks Google: workers of the queue io, and nobody who has something else to do"""

from __future__ import annotations

import pytest
from django.urls import reverse

from batches.intake import judging
from batches.links import linking
from batches.models import LinkedSheet
from jobs import chores, errands, pauses, sweeping, tasks, workers
from jobs.models import Errand
from jobs.queue import QUEUE_VARIABLE, tickets_waiting
from jobs.states import QUEUES, Queue
from jobs.status import read_status
from tests.batches.google.fake import ID, refusal

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine(monkeypatch):
    """A ticket for a worker of a queue, on a machine that serves these queues."""

    def take_a_ticket(queue, *, serves=QUEUES):
        monkeypatch.setenv(workers.NAME_VARIABLE, workers.announce(serves).name)
        monkeypatch.setenv(QUEUE_VARIABLE, queue.value)
        tasks.work()

    return take_a_ticket


def states(kind):
    return list(Errand.objects.filter(kind=kind).values_list("queue", "state"))


def test_a_sheet_is_read_by_a_worker_of_io_and_its_place_is_no_other(people, blue, sheet, machine):
    made = linking.link(people.olga, blue, url=ID)
    assert [tickets_waiting(queue) for queue in QUEUES] == [0, 0, 1]
    machine(Queue.LIGHT)
    machine(Queue.HEAVY)
    machine(Queue.IO, serves=[Queue.LIGHT, Queue.HEAVY])
    assert sheet.requests == []
    assert read_status().neglected == ("io",)
    machine(Queue.IO)
    assert states(linking.READ_ERRAND) == [("io", "done")]
    assert linking.newest(made).state == "preview"


def test_states_are_written_by_a_worker_of_io(people, linked, sheet, machine):
    linking.amend(people.olga, linked, columns={"state_column": "State"})
    sheet.requests.clear()
    chores.do_all()
    machine(Queue.LIGHT)
    assert (states(linking.WRITE_ERRAND), sheet.requests) == ([("io", "queued")], [])
    machine(Queue.IO)
    assert states(linking.WRITE_ERRAND) == [("io", "done")]
    assert sheet.tabs[0].rows[1][5] == "pending"


def test_the_rows_of_a_large_sheet_are_judged_by_those_who_compute(people, blue, sheet, machine, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    made = linking.link(people.olga, blue, url=ID)
    machine(Queue.IO)
    assert (states(judging.ERRAND), linking.newest(made).state) == ([("light", "queued")], "judging")
    machine(Queue.IO)
    assert states(judging.ERRAND) == [("light", "queued")]
    machine(Queue.LIGHT)
    assert linking.newest(made).state == "preview"


def test_what_the_release_before_queued_is_read_all_the_same(people, blue, sheet, machine):
    made = linking.link(people.olga, blue, url=ID)
    Errand.objects.update(queue="light")
    linking.sync(people.olga, made)
    assert states(linking.READ_ERRAND) == [("light", "queued")]
    machine(Queue.LIGHT)
    assert states(linking.READ_ERRAND) == [("light", "done")]
    assert linking.newest(made).state == "preview"


def test_sweeps_ask_google_nothing(people, linked, sheet):
    linking.amend(people.olga, linked, is_polling=True, columns={"state_column": "State"})
    LinkedSheet.objects.update(poll_after="2026-01-01T00:00:00Z")
    sheet.requests.clear()
    sweeping.sweep()
    sweeping.sweep_strays()
    assert set(Errand.objects.filter(state="queued").values_list("queue", "kind")) == {
        ("io", linking.READ_ERRAND),
        ("io", linking.WRITE_ERRAND),
    }
    assert sheet.requests == []


def test_who_waits_for_google_is_told_until_when(client, people, linked, sheet, machine):
    linking.sync(people.olga, linked)
    sheet.faults = [refusal(429, "RESOURCE_EXHAUSTED", Retry_After="540")]
    machine(Queue.IO)
    until = errands.latest(linking.READ_ERRAND, linked.pk).available_at
    client.force_login(people.olga)
    page = client.get(reverse("admin:linked_sheet", args=[linked.pk])).content.decode()
    assert "Google takes no more requests from us for the moment. It is tried again by itself at" in page
    assert f"{until:%H:%M:%S}" in page


def test_a_paused_queue_asks_google_nothing_and_who_waits_is_told(client, people, linked, sheet, machine):
    pauses.pause(people.root, pauses.of_queue("io"), reason="the line is slow")
    linking.sync(people.olga, linked)
    sheet.requests.clear()
    machine(Queue.IO)
    assert (sheet.requests, read_status().neglected) == ([], ())
    client.force_login(people.olga)
    for name, key in (("linked_sheet", linked.pk), ("linked_sheet_now", linked.pk), ("batch", linked.batch.pk)):
        page = client.get(reverse(f"admin:{name}", args=[key])).content.decode()
        assert "The queue io is paused by root (the line is slow)." in page
        assert "Waiting for a worker" not in page
    pauses.resume(people.root, pauses.of_queue("io"))
    assert "Waiting for a worker" in client.get(reverse("admin:linked_sheet", args=[linked.pk])).content.decode()
    machine(Queue.IO)
    assert errands.latest(linking.READ_ERRAND, linked.pk).state == "done"
