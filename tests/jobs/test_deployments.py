"""jobs.deployments: whenever a worker is killed, a release is there as a whole or not at all."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from jobs import deployments, outcomes, pipeline, sources, sweeping
from jobs.errors import LeaseLost
from jobs.models import Asset, Deployment, StageRun
from jobs.stages.base import Outcome, Produced
from jobs.states import Stage, State
from jobs.storage import AtomicFileSystemStorage, storage_named
from tests.people import make_job

NAMES = ("out.aep", "out.aepx", "footage/a.png")


@pytest.fixture
def delivery(batch, tmp_path, monkeypatch):
    """A job whose delivery is queued and, whoever works on it, makes three files to release."""
    job = make_job(batch, Stage.DELIVERY, State.QUEUED, output_name="out.aep")
    StageRun.objects.create(job=job, stage=Stage.DELIVERY, input_hash="x")
    files = []
    for name in NAMES:
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        kind = "released_project" if name == NAMES[0] else "released_footage"
        files.append(Produced(kind=kind, name=name, path=path, media_type="x/y"))
    outcome = Outcome(result={"report": {"clean": True, "findings": []}}, files=tuple(files))
    monkeypatch.setattr(sources, "collect", lambda *_, **__: None)
    monkeypatch.setattr(pipeline, "run_stage", lambda *_, **__: outcome)
    return job


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function):
    def call(*values, **more):
        function(*values, **more)
        die()

    return call


def on_call(number, function):
    calls = []

    def call(*values, **more):
        calls.append(1)
        if len(calls) == number:
            die()
        return function(*values, **more)

    return call


KILLED = {
    "when the plan is written": lambda patch: patch(deployments, "plan", after(deployments.plan)),
    "before the second file": lambda patch: patch(deployments, "deploy", on_call(2, deployments.deploy)),
    "in the middle of a file": lambda patch: patch(os, "fsync", on_call(2, os.fsync)),
    "when a file has its name": lambda patch: patch(
        AtomicFileSystemStorage, "put_if_absent", after(AtomicFileSystemStorage.put_if_absent)
    ),
    "before the transaction": lambda patch: patch(pipeline, "_finish", die),
    "in the transaction": lambda patch: patch(deployments, "keep", after(deployments.keep)),
    "after the commit": lambda patch: patch(pipeline, "_finish", after(pipeline._finish)),
}


def work_in_a_child(step, monkeypatch):
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        KILLED[step](monkeypatch.setattr)
        try:
            pipeline.work_once()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def stored_names():
    return sorted(storage_named("outputs").names())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", KILLED)
def test_a_worker_that_is_killed_leaves_a_release_or_nothing(delivery, monkeypatch, step):
    work_in_a_child(step, monkeypatch)
    StageRun.objects.filter(state=StageRun.RUNNING).update(lease_expires_at=timezone.now() - timedelta(minutes=5))
    sweeping.take_back_lapsed()
    sweeping.sweep_strays()
    delivery.refresh_from_db()
    if step == "after the commit":
        assert delivery.state == State.DONE
    else:
        assert delivery.state == State.QUEUED
        assert stored_names() == []
        StageRun.objects.update(available_at=timezone.now() - timedelta(minutes=5))
        assert pipeline.work_once()
        delivery.refresh_from_db()
        assert delivery.state == State.DONE
    released = Asset.objects.filter(storage="outputs")
    assert stored_names() == sorted(released.values_list("storage_name", flat=True))
    assert sorted(released.values_list("name", flat=True)) == sorted(NAMES)
    assert deployments.sweep_deployments() == 0
    assert len(stored_names()) == 3


def test_what_is_being_deployed_is_left_alone(delivery):
    lease = pipeline.claim("w")
    run = StageRun.objects.get(pk=lease.run_id)
    deployment = deployments.plan(run, [])
    assert deployments.sweep_deployments() == 0
    deployments.keep(deployment)
    StageRun.objects.update(state=StageRun.DONE, token=None, lease_expires_at=None)
    assert deployments.sweep_deployments() == 0
    deployment.refresh_from_db()
    assert deployment.state == Deployment.KEPT


def test_a_release_that_was_taken_back_cannot_be_kept(delivery):
    deployment = deployments.plan(delivery.runs.get(), [])
    assert deployments.sweep_deployments() == 1
    with pytest.raises(LeaseLost):
        deployments.keep(deployment)
    assert not deployments.take_back(deployment)


def test_a_folder_is_used_once(delivery):
    run = delivery.runs.get()
    first = deployments.plan(run, [])
    deployments.take_back(first)
    assert deployments.plan(run, []).folder == f"{first.folder}-2"


def test_a_storage_that_is_away_leaves_the_taking_back_to_the_sweep(delivery, monkeypatch, tmp_path, caplog):
    run = delivery.runs.get()
    outcome = pipeline.run_stage()

    def away(*_):
        raise OSError("the object storage does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(AtomicFileSystemStorage, "delete", away)
        with pytest.raises(LeaseLost), outcomes.stored(run, outcome):
            raise LeaseLost
    assert len(stored_names()) == 3
    assert "the sweep does it" in caplog.text
    assert deployments.sweep_deployments() == 1
    assert stored_names() == []


def test_what_a_woken_worker_wrote_late_is_found_an_hour_later(delivery):
    import io

    deployment = deployments.plan(delivery.runs.get(), pipeline.run_stage().files)
    deployments.sweep_deployments()
    storage_named("outputs").put_if_absent(f"{deployment.folder}/out.aep", io.BytesIO(b"late"))
    deployments.sweep_deployments()
    assert len(stored_names()) == 1
    Deployment.objects.update(changed_at=timezone.now() - timedelta(hours=2))
    deployments.sweep_deployments()
    assert stored_names() == []
    deployment.refresh_from_db()
    assert deployment.state == Deployment.GONE


def test_a_sweep_survives_a_storage_that_is_away(delivery, monkeypatch, caplog):
    deployments.plan(delivery.runs.get(), pipeline.run_stage().files)

    def away(*_):
        raise OSError("the object storage does not answer")

    monkeypatch.setattr(AtomicFileSystemStorage, "delete", away)
    assert sweeping.sweep_strays() == 0
    assert "does not answer" in caplog.text
    monkeypatch.undo()
    assert sweeping.sweep_strays() == 1


def test_a_beat_that_finds_the_lease_gone_ends_the_storing(delivery):
    run = delivery.runs.get()

    def gone(step, percent):
        raise LeaseLost

    with pytest.raises(LeaseLost), outcomes.stored(run, pipeline.run_stage(), beat=gone):
        pytest.fail("it went on")
    assert stored_names() == []
