"""jobs.storage_check and manage.py check_storage: what they miss nobody finds."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import leftovers, storage_check
from jobs.models import Asset, Deployment, Event, Leftover, StageRun
from jobs.states import Stage, State
from jobs.storage import storage_named
from jobs.storage_check import files_without_record, let_go, records_without_file
from jobs.store import put_asset
from tests.people import make_job

NOW = timedelta(0)


@pytest.fixture(params=["local", "bucket"])
def anywhere(request):
    if request.param == "bucket":
        request.getfixturevalue("s3")


@pytest.fixture
def asset(blue, tmp_path, anywhere):
    (tmp_path / "a.png").write_bytes(b"1234")
    return put_asset(tmp_path / "a.png", team=blue, kind="layer", name="a.png")


def check(**options):
    out = io.StringIO()
    call_command("check_storage", stdout=out, **options)
    return out.getvalue()


def test_what_agrees_is_said_to_agree(asset):
    assert "agree" in check(grace_minutes=0)


def test_a_record_without_its_file_is_told(asset):
    storage_named("default").delete(asset.storage_name)
    assert list(records_without_file("default")) == [
        f"default: {asset.storage_name} is missing (asset {asset.pk})",
    ]
    with pytest.raises(CommandError, match="1 records") as caught:
        check()
    assert caught.value.returncode == 1


def test_a_file_of_another_size_is_told(asset):
    Asset.objects.update(size_bytes=5)
    assert "4 bytes instead of 5" in next(records_without_file("default"))


@pytest.mark.parametrize("alias", ["default", "outputs"])
def test_a_file_without_a_record_is_told(asset, alias):
    storage_named(alias).put_if_absent("blue/stray.aep", io.BytesIO(b"RIFX"))
    assert list(files_without_record(alias, grace=NOW)) == [f"{alias}: blue/stray.aep has no record"]
    with pytest.raises(CommandError, match="1 files"):
        check(grace_minutes=0)
    assert "agree" in check(), "it is young: its record may be on its way"


def test_strays_are_let_go_when_it_is_said_and_not_in_the_outputs(asset):
    for alias in ("default", "outputs"):
        storage_named(alias).put_if_absent("aa/stray", io.BytesIO(b"RIFX"))
    with pytest.raises(CommandError, match="2 files"):
        check(grace_minutes=0)
    assert not Leftover.objects.exists()
    with pytest.raises(CommandError, match="0 records without their file, 1 files without a record"):
        check(grace_minutes=0, let_go=True)
    assert Leftover.objects.get().storage_name == "aa/stray"
    with pytest.raises(CommandError, match="1 files"):
        check(grace_minutes=0, let_go=True)
    assert Leftover.objects.count() == 1, "it is noted once"
    assert leftovers.sweep() == 0
    Leftover.objects.update(since=timezone.now() - timedelta(days=2))
    assert leftovers.sweep() == 1
    assert list(storage_named("default").names()) == [asset.storage_name]
    assert list(storage_named("outputs").names()) == ["aa/stray"]
    assert not Event.objects.exists(), "nobody knows whose it was"


def test_a_stray_that_goes_while_it_is_looked_at_is_passed_over(asset, monkeypatch):
    storage = storage_named("default")
    for name in ("aa/gone", "aa/stray"):
        storage.put_if_absent(name, io.BytesIO(b"RIFX"))
    size = type(storage).size

    def goes(self, name):
        if name == "aa/gone":
            self.delete(name)
        return size(self, name)

    monkeypatch.setattr(type(storage), "size", goes)
    assert let_go(grace=NOW) == 1
    assert Leftover.objects.get().storage_name == "aa/stray"


def test_a_content_that_came_back_after_its_record_let_it_go_is_a_stray(asset):
    """It was stored once more by somebody whose transaction failed: the old record says that there is none."""
    Asset.objects.update(removed_at=timezone.now(), gone_at=timezone.now())
    assert list(files_without_record("default", grace=NOW)) == [f"default: {asset.storage_name} has no record"]


def test_a_young_file_is_not_let_go(asset):
    storage_named("default").put_if_absent("aa/stray", io.BytesIO(b"RIFX"))
    assert "0 contents go" in check(let_go=True)


def test_a_release_in_the_making_is_no_stray(asset, batch):
    job = make_job(batch, Stage.DELIVERY, State.RUNNING)
    run = StageRun.objects.create(job=job, stage=Stage.DELIVERY, input_hash="x")
    Deployment.objects.create(run=run, folder="blue/x/out", names=["footage/a.png"])
    storage_named("outputs").put_if_absent("blue/x/out/footage/a.png", io.BytesIO(b"1"))
    assert not list(files_without_record("outputs", grace=NOW))
    Deployment.objects.update(state=Deployment.GONE)
    assert list(files_without_record("outputs", grace=NOW))


def test_many_are_looked_at_in_pages(asset, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(storage_check, "PAGE", 10)
    for number in range(35):
        storage_named("default").put_if_absent(f"aa/{number:02}", io.BytesIO(b""))
    with django_assert_max_num_queries(5):
        assert len(list(files_without_record("default", grace=NOW))) == 35
