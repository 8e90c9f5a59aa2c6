"""Two machines with nothing in common but the database and a bucket: each works on what the other made."""

from __future__ import annotations

from datetime import timedelta

from jobs import pipeline
from jobs.lifecycle import move
from jobs.sources import roots_of
from jobs.states import Stage, State
from jobs.storage import storage_named
from jobs.storage_check import files_without_record, records_without_file
from rendering.samples import tiny_document, tiny_project
from tests.people import make_job


def test_each_stage_is_worked_on_by_a_machine_that_has_no_file_of_it(s3, batch, settings, tmp_path):
    root = roots_of(batch.team)[0]
    root.mkdir(parents=True)
    tiny_document(root / "a.psd")
    tiny_project(root / "a.aep")
    settings.SYSTEM_FONTS = False
    settings.MATCH_THRESHOLD = 0
    job = make_job(batch, psd_path="a.psd", project_path="a.aep", output_name="final.aep")
    move(job, "start")
    approvals = {Stage.MATCHING: "approve_matches", Stage.PREVIEW: "approve_preview"}
    for machine in range(8):
        settings.WORK_DIR = tmp_path / f"machine-{machine}" / "work"
        settings.CACHE_DIR = tmp_path / f"machine-{machine}" / "cache"
        settings.ASSET_ROOTS = [root] if machine == 0 else [tmp_path / f"machine-{machine}" / "assets"]
        worked = pipeline.work_once()
        job.refresh_from_db()
        if job.state == State.IN_REVIEW and job.stage in approvals:
            move(job, approvals[job.stage], version=job.version)
        elif not worked:
            break
    assert job.state == State.DONE, list(job.runs.values_list("stage", "error"))
    assert job.assets.filter(storage="outputs").count() >= 4
    assert set(storage_named("outputs").names()) == set(
        job.assets.filter(storage="outputs").values_list("storage_name", flat=True)
    )
    for alias in ("default", "outputs"):
        assert not list(records_without_file(alias))
    assert not list(files_without_record("outputs", grace=timedelta(0)))
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "output").exists()
