"""A batch of two jobs with something of every kind."""

from __future__ import annotations

import pytest

from batches.models import Upload, UploadedFile
from jobs.lifecycle import annotate
from jobs.states import Stage, State
from jobs.store import put_asset
from tests.batches.bundles.stock import file_of, release, source, store
from tests.people import make_job


@pytest.fixture
def stocked(batch, people, tmp_path):
    sheet = put_asset(file_of(tmp_path, b"job_id\nA\nB\n"), team=batch.team, kind="sheet", name="größe.csv")
    batch.upload = Upload.objects.create(team=batch.team, user=people.olga, sheet=sheet)
    batch.save()
    font = put_asset(file_of(tmp_path, b"font"), team=batch.team, kind="upload", name="a.ttf")
    UploadedFile.objects.create(upload=batch.upload, name="fonts/a.ttf", asset=font)
    done = make_job(batch, Stage.DELIVERY, State.DONE, job_id="A/1", client_name="Kestrel")
    source(tmp_path, done, "psd", "design.psd", b"8BPS" * 1000)
    source(tmp_path, done, "project", "template.aepx", b"<aepx/>")
    store(tmp_path, done, "layer", "photo.png", b"layer")
    store(tmp_path, done, "preview_video", "side-by-side.mp4", b"film" * 5000, stage=3)
    store(tmp_path, done, "populate_script", "populate.jsx", b"// script", stage=3)
    release(tmp_path, done, "blue/spring/out", out_aep=b"old", **{"footage/a.png": b"o"})
    release(tmp_path, done, "blue/spring/out-2", out_aep=b"new", report_json=b"{}", **{"footage/a.png": b"n"})
    annotate(done, "approve_matches", actor=people.rita)
    annotate(done, "approve_preview", actor=people.adam, reason="Fine.")
    waiting = make_job(batch, Stage.MATCHING, State.IN_REVIEW, job_id="a:1")
    store(tmp_path, waiting, "layer", "photo.png", b"")
    return batch
