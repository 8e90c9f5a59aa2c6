"""A worker that reads a Google Sheet: what passes at Google is waited for, and the work goes on by itself."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from django.db.models.functions import Now

from batches.google.addresses import parse
from batches.google.client import read
from batches.google.write_back import write_back
from jobs import clock, errands, sweeping, tasks
from jobs.models import Errand
from tests.batches.google.fake import ID, Tab, google, hang_up, refusal, status

pytestmark = pytest.mark.django_db


@pytest.fixture
def sheet(settings):
    with google(settings, key=True) as fake:
        fake.tabs = [Tab("Jobs", 0, [["job_id", "State"], ["A-1", ""]])]
        yield fake


@pytest.fixture
def polled(monkeypatch):
    """What an errand of the kind ``poll`` has read and written."""
    polled = {"read": [], "written": [], "given_up": []}

    def do(held):
        hold = lambda: held.hold(step="asking Google")  # noqa: E731
        polled["read"].append(read(parse(ID), hold=hold).digest)
        polled["written"].append(write_back(parse(ID), key="job_id", cells={("A-1", "State"): "done"}, hold=hold))

    monkeypatch.setattr(errands, "_kinds", dict(errands._kinds))
    errands.register("poll", do=do, give_up=lambda subject, error: polled["given_up"].append(error))
    return polled


def pass_time(errand: Errand) -> datetime:
    """Lets the wait of an errand pass. Returns when it would have been over."""
    errand.refresh_from_db()
    Errand.objects.filter(pk=errand.pk).update(available_at=Now() - timedelta(seconds=1))
    return errand.available_at


def test_a_poll_goes_on_by_itself_when_google_allows_it_again(sheet, polled, blue):
    sheet.faults_at["/values/"] = [refusal(429, "RESOURCE_EXHAUSTED", Retry_After="40")] * 7
    errand = errands.send("poll", 1, blue)
    for _ in range(7):
        sweeping.sweep()
        before = clock.now()
        tasks.work()
        assert before + timedelta(seconds=39) < pass_time(errand) <= clock.now() + timedelta(seconds=40)
    assert (errand.state, errand.error) == ("queued", "Google takes no more requests from us for the moment.")
    sweeping.sweep()
    tasks.work()
    errand.refresh_from_db()
    assert (errand.state, errand.error, errand.attempts) == ("done", "", 1)
    assert ([one.written for one in polled["written"]], polled["given_up"]) == ([1], [])
    assert sheet.tabs[0].rows == [["job_id", "State"], ["A-1", "done"]]


def test_failures_of_the_network_are_tried_again_and_nothing_is_written_twice(sheet, polled, blue):
    sheet.faults_at = {"/token": [hang_up], "ranges=": [status(503)], ":batchUpdate": [status(500)]}
    errand = errands.send("poll", 1, blue)
    for _ in range(4):
        errands.perform(errands.claim("me"))
        errand.refresh_from_db()
        pass_time(errand)
    errand.refresh_from_db()
    assert (errand.state, errand.attempts, len(polled["read"])) == ("done", 4, 3)
    assert len(sheet.bodies) == 1


def test_a_worker_that_lost_its_lease_asks_google_nothing_more(sheet, polled, blue):
    errands.send("poll", 1, blue)
    held = errands.claim("ghost")
    Errand.objects.update(token=uuid.uuid4())
    errands.perform(held)
    assert sheet.requests == []
    assert polled["read"] == []
