"""Cancelling at every moment: the stage ends at its next beat, with its subprocesses and its half-made files."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.storage import storages

from jobs import pipeline
from jobs.claims import claim
from jobs.lifecycle import move
from jobs.models import Asset, Attempt, Job
from jobs.sources import roots_of
from jobs.stages.base import Outcome, Produced
from jobs.states import State
from rendering.samples import tiny_document, tiny_project
from tests.jobs.odd_stages import hang, name_of
from tests.jobs.test_sandbox import is_gone, wait_for
from tests.people import make_job


@pytest.fixture
def started(batch, settings):
    """A job that is queued, with real sources."""
    root = roots_of(batch.team)[0]
    root.mkdir(parents=True)
    tiny_document(root / "a.psd")
    tiny_project(root / "a.aep")
    settings.SYSTEM_FONTS = False
    job = make_job(batch, project_path="a.aep")
    move(job, "start")
    return job


@pytest.fixture
def beats(monkeypatch):
    """``beats(when)`` cancels the job at the first beat for which ``when()`` is true; every beat looks at the lease."""

    def cancel_when(job: Job, when) -> None:
        original = pipeline.Heart.beat

        def beat(self, step: str, percent: float) -> None:
            self._next = 0.0
            if when() and Job.objects.get(pk=job.pk).state == State.RUNNING:
                move(job, "cancel")
            original(self, step, percent)

        monkeypatch.setattr(pipeline.Heart, "beat", beat)

    return cancel_when


def assert_discarded(job: Job, settings) -> None:
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert Attempt.objects.get().outcome == "discarded"
    assert not list(Path(settings.WORK_DIR).iterdir())
    assert not job.assets.filter(storage="outputs").exists()


@pytest.mark.parametrize("lease_seconds", [2, 30, 3600])
def test_a_heart_beats_at_least_every_second(started, settings, lease_seconds):
    settings.LEASE_SECONDS = lease_seconds
    assert pipeline.Heart(claim("w"))._interval <= 1.0


def test_while_inputs_are_fetched(started, settings, beats, monkeypatch):
    ran: list[bool] = []
    beats(started, lambda: True)
    monkeypatch.setattr(pipeline, "run_stage", lambda *_, **__: ran.append(True))
    pipeline.work_once()
    assert not ran
    assert_discarded(started, settings)


def test_while_the_stage_runs_its_subprocesses_go_too(started, settings, beats, monkeypatch):
    pids: list[int] = []

    def both_run() -> bool:
        found = [*Path(settings.WORK_DIR).glob("*/pid"), *Path(settings.WORK_DIR).glob("*/child")]
        pids[:] = [int(path.read_text() or 0) for path in found]
        return len(pids) == 2 and all(pids)

    beats(started, both_run)
    monkeypatch.setitem(pipeline.PREPARE, 1, name_of(hang))
    pipeline.work_once()
    assert len(pids) == 2
    wait_for(lambda: all(is_gone(pid) for pid in pids))
    assert_discarded(started, settings)


def test_while_the_files_are_stored(started, settings, beats, monkeypatch):
    made: list[bool] = []

    def stage(prepare, inputs, **options):
        path = inputs.workdir / "final.aep"
        path.write_bytes(b"RIFX")
        made.append(True)
        files = (Produced(kind="released_project", name="final.aep", path=path, media_type="x/y"),)
        return Outcome(result={"matches": []}, files=files)

    beats(started, lambda: bool(made))
    monkeypatch.setattr(pipeline, "run_stage", stage)
    pipeline.work_once()
    assert made
    assert_discarded(started, settings)
    assert not Asset.objects.filter(kind="released_project").exists()
    assert not list(Path(storages["outputs"].location).rglob("*.aep"))
