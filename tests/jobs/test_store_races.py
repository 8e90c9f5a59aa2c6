"""jobs.store against jobs.leftovers and jobs.retention: processes store what others remove in the same moment"""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import leftovers, retention
from jobs.models import Asset, Leftover
from jobs.storage import storage_named
from jobs.storage_check import records_without_file
from jobs.store import put, put_asset, record
from tests.jobs.test_store_stress import anywhere, race  # noqa: F401
from tests.killing import die_at_commit, end_in_a_process, killed_at_commit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
LONG_AGO = 3 * retention.GRACE
ROUNDS = 2
CONTENTS = 20
REMOVERS = 2


@pytest.fixture
def stored(tmp_path, blue):
    """``stored(content)`` is a record of a content that lies in the storage."""

    def store(content):
        path = tmp_path / f"{os.getpid()}.png"
        path.write_bytes(content)
        return put_asset(path, team=blue, kind="upload", name="a.png")

    return store


def remove():
    leftovers.sweep()
    retention.forget_contents()


def leave(asset):
    """Its record was deleted long ago; the content may go."""
    leftovers.delete_records(Asset.objects.filter(pk=asset.pk))
    Leftover.objects.filter(storage_name=asset.storage_name).update(since=timezone.now() - LONG_AGO)


def mark(asset):
    """The team's policy has removed it long ago; the content may go."""
    Asset.objects.filter(pk=asset.pk).update(removed_at=timezone.now() - LONG_AGO)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("let_go", [leave, mark])
def test_a_removal_that_was_killed_before_its_commit_takes_nothing_from_who_stores_it_anew(
    stored, blue, tmp_path, let_go
):
    """The file is gone, the record says that it is still to go: the next removal would delete what came meanwhile."""
    asset = stored(b"wanted again")
    let_go(asset)
    assert killed_at_commit(remove, 2, "before")
    assert not storage_named("default").exists(asset.storage_name)
    path = tmp_path / "again.png"
    path.write_bytes(b"wanted again")
    content = put(path)
    assert end_in_a_process(remove) == 0
    again = record(content, team=blue, kind="upload", name="again.png")
    assert storage_named("default").exists(again.storage_name)


def test_a_content_that_went_while_it_was_found_there_is_stored_anew(stored, blue, tmp_path, monkeypatch):
    """Between the storer's look at the storage, which has it, and its look at the records."""
    asset = stored(b"wanted again")
    leave(asset)
    storage = storage_named("default")
    real = type(storage).put_if_absent

    def found(self, name, content):
        try:
            real(self, name, content)
        except FileExistsError:
            assert end_in_a_process(remove) == 0
            raise

    monkeypatch.setattr(type(storage), "put_if_absent", found)
    (tmp_path / "again.png").write_bytes(b"wanted again")
    name = put(tmp_path / "again.png").storage_name
    assert storage.exists(name)


@pytest.mark.usefixtures("anywhere")
def test_at_the_end_of_many_races_every_record_has_its_file(stored):
    """Storers and removers go through the same contents in the same order; one of the removers is killed on its way."""
    for number in range(ROUNDS):
        contents = [b"%d of round %d" % (one, number) for one in range(CONTENTS)]
        for place, content in enumerate(contents):
            asset = stored(content)
            (leave if place % 2 else mark)(asset)
            if place % 3 == 0:  # as a removal leaves it that was killed before its commit
                storage_named("default").delete(asset.storage_name)

        def work(who, contents=contents, number=number):
            if who < REMOVERS:
                if who == 0:
                    die_at_commit(5 + number, "before")
                for _ in range(3):
                    remove()
                return
            for content in contents:
                with transaction.atomic() if who % 2 else nullcontext():
                    stored(content)

        statuses = race(work)
        assert statuses[1:] == [0] * (len(statuses) - 1)
        assert statuses[0] in (0, signal.SIGKILL)
        remove()
        assert Asset.objects.filter(removed_at=None).count() == (number + 1) * CONTENTS * (len(statuses) - REMOVERS)
        assert list(records_without_file("default")) == []
