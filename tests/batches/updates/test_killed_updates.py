"""batches.updates under kill -9: real processes die while they apply a newer sheet, and another worker goes on"""

from __future__ import annotations

from collections import Counter

import pytest

from batches.updates import applying
from jobs import tasks
from jobs.models import Errand, Event
from jobs.states import Stage, State
from tests.batches.sheets import psd_bytes, sent
from tests.batches.test_large_sheets import lapse
from tests.batches.updates.conftest import newer, wide
from tests.batches.updates.test_large_updates import ROWS, _small_chunks, check, large, much_newer  # noqa: F401
from tests.batches.updates.test_updates import place, runs
from tests.killing import killed_at_commit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
COMMITS = 16
"""The claim, the trade of names, two chunks of changes, two of new rows, two of rows gone, seven of lines, the end."""


def compared(people, upload, **choice):
    """The upload as a worker has compared it and a person has said that it be applied."""
    tasks.work()
    upload.refresh_from_db()
    applying.apply(people.olga, upload, **choice)
    assert upload.state == "opening"
    return upload


def is_whole(upload):
    """All of it is there once, and nobody has anything left to do."""
    check(upload.updates)
    upload.refresh_from_db()
    assert upload.state == "committed"
    assert Counter(upload.changes.values_list("outcome", flat=True)) == {"done": 21}
    assert not upload.changes.filter(job=None).exists()
    assert set(Errand.objects.values_list("state", flat=True)) == {"done"}


POINTS = [*((number, "before") for number in (*range(1, 10), COMMITS)), (1, "after"), (COMMITS, "after")]


@pytest.mark.parametrize(("number", "when"), POINTS)
def test_every_change_is_made_once_whenever_the_worker_is_killed(people, large, number, when):  # noqa: F811
    upload = compared(people, much_newer(people, large), cancel=6)
    assert killed_at_commit(tasks.work, number, when)
    assert Event.objects.filter(verb="update_batch").exists() == ((number, when) == (COMMITS, "after"))
    lapse()
    tasks.work()
    is_whole(upload)


def test_the_last_point_is_the_last_commit(people, large):  # noqa: F811
    upload = compared(people, much_newer(people, large), cancel=6)
    assert not killed_at_commit(tasks.work, COMMITS + 1, "before")
    is_whole(upload)


def test_workers_that_are_killed_one_after_the_other_come_to_the_end(people, large):  # noqa: F811
    upload = compared(people, much_newer(people, large), cancel=6)
    for number in (3, 4, 2):
        assert killed_at_commit(tasks.work, number, "before")
        lapse()
    tasks.work()
    is_whole(upload)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_what_is_redone_is_queued_once(people, large, number):  # noqa: F811
    for job_id in [f"J-{one}" for one in range(1, ROWS + 1)]:
        place(large, job_id, Stage.PREVIEW, State.IN_REVIEW)
    compared(people, newer(people.olga, large, *wide(ROWS), files=sent(a_psd=psd_bytes(width_px=9))))
    assert killed_at_commit(tasks.work, number, "before")
    lapse()
    tasks.work()
    for job in large.jobs.all():
        assert (job.stage, job.state, job.psd) == (1, "queued", large.upload.files.get(name="a.psd").asset)
        assert runs(job) == [(1, "done"), (2, "done"), (3, "done"), (1, "queued")]
    assert Counter(Event.objects.filter(job__batch=large).values_list("verb", flat=True)) == {"revise": ROWS}
