"""A Google of our own with a sheet of jobs, and a batch that follows it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from batches.intake import opening
from batches.links import linking
from batches.models import LinkedSheet
from jobs import chores, tasks
from jobs.models import Errand
from jobs.retries import Policy
from tests.batches.google.fake import ID, Tab, google
from tests.batches.sheets import aepx_bytes, psd_bytes, put_in_root

HEADER = ["job_id", "psd_path", "aepx_path", "output_name", "Colour", "State", "Page", "Trouble"]


def cells(number, colour="red"):
    return [f"J-{number}", "a.psd", "a.aepx", f"out-{number}.aep", colour, "", "", ""]


@pytest.fixture(autouse=True)
def _failures_wait(monkeypatch):
    """What failed is due again when a test says so, however slow the machine is."""
    monkeypatch.setattr(Policy, "delay_seconds", lambda self, attempt: 3600.0)


@pytest.fixture
def sheet(settings, tmp_path):
    """A tab with J-1 to J-3; their files lie below the asset roots."""
    put_in_root(tmp_path / "assets", a_psd=psd_bytes(), a_aepx=aepx_bytes())
    with google(settings, key=True) as fake:
        fake.tabs = [Tab("Jobs", 0, [list(HEADER), *(cells(number) for number in (1, 2, 3))])]
        yield fake


def work():
    """What workers do until nothing is due."""
    while Errand.objects.filter(state="queued", available_at__lte=timezone.now()).exists():
        tasks.work()


@pytest.fixture
def linked(people, blue, sheet):
    """A sheet that was linked, read, and committed as a batch."""
    made = linking.link(people.olga, blue, url=ID)
    work()
    opening.commit_all(people.olga, linking.newest(made))
    return LinkedSheet.objects.get()


def read_again(person, linked):
    linking.sync(person, linked)
    work()
    linked.refresh_from_db()
    return linking.newest(linked)


def pass_minutes(minutes):
    """The clock goes on for the links: what was to be done later is due."""
    ago = timedelta(minutes=minutes)
    for linked in LinkedSheet.objects.all():
        changes = {
            name: value - ago for name in ("poll_after", "write_after") if (value := getattr(linked, name)) is not None
        }
        LinkedSheet.objects.filter(pk=linked.pk).update(**changes)
    chores.do_all()
    work()
    chores.do_all()
