"""jobs.attempt_log: what an attempt said is kept with it, from the worker and from the stage's process."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs import attempt_log, pipeline
from jobs.attempt_log import MOST_BYTES, read_log, work_dir
from jobs.claims import claim
from jobs.lifecycle import move
from jobs.log_context import bound_ids
from jobs.models import Attempt, StageRun
from jobs.sources import roots_of
from jobs.stages.base import Outcome
from jobs.states import Stage
from jobs.sweeping import take_back_lapsed
from rendering.samples import tiny_document, tiny_project
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def queued(batch):
    root = roots_of(batch.team)[0]
    root.mkdir(parents=True)
    tiny_document(root / "a.psd")
    tiny_project(root / "a.aep")
    job = make_job(batch, psd_path="a.psd", project_path="a.aep", job_id="PC-1")
    move(job, "start")
    return job


def run(monkeypatch, prepare) -> Attempt:
    monkeypatch.setitem(pipeline.PREPARE, Stage.INGESTION, prepare)
    pipeline.work_once()
    return Attempt.objects.get()


def talkative(inputs, report):
    report("reading the PSD", 5)
    report("reading the PSD", 6)
    print("printed by Python")
    os.write(2, b"printed by a C library\n")
    print("complained by Python", file=sys.stderr, flush=True)
    logging.getLogger("psd_tools").warning("logged with %s", dict(bound_ids())["job"])
    return Outcome(result={"matches": []})


def test_an_attempt_keeps_what_worker_and_stage_said(queued, monkeypatch):
    attempt = run(monkeypatch, talkative)
    assert attempt.outcome == "done", attempt.error
    for words in (
        "Ingestion begins on",
        "printed by Python",
        "complained by Python",
        "a C library",
        "logged with PC-1",
        "done in",
    ):
        assert words in attempt.log, attempt.log
    assert attempt.log.count("reading the PSD") == 1
    assert attempt.log.index("begins on") < attempt.log.index("logged with") < attempt.log.index("done in")


def test_a_failure_keeps_its_traceback_and_what_was_said_before(queued, monkeypatch):
    def broken(inputs, report):
        os.write(1, b"on the way\n")
        raise RuntimeError("bad luck")

    log = run(monkeypatch, broken).log
    assert log.index("on the way") < log.index("RuntimeError: bad luck")
    assert "Traceback" in log


def test_a_log_is_bounded_and_says_so(queued, monkeypatch):
    def flood(inputs, report):
        os.write(1, b"first line\n" + b"x" * 3 * MOST_BYTES + b"\nlast line\n")
        return Outcome(result={"matches": []})

    log = run(monkeypatch, flood).log
    assert len(log.encode()) <= MOST_BYTES
    assert "last line" in log
    assert "first line" not in log


def test_what_is_no_text_is_kept_as_far_as_it_is(queued, monkeypatch):
    def binary(inputs, report):
        os.write(1, b"\xff\x00 caf\xc3\xa9\n")
        return Outcome(result={"matches": []})

    assert "\ufffd café" in run(monkeypatch, binary).log


def test_lines_of_others_stay_out(queued, monkeypatch):
    def quiet(inputs, report):
        return Outcome(result={"matches": []})

    logging.getLogger("x").warning("before")
    log = run(monkeypatch, quiet).log
    logging.getLogger("x").warning("after")
    assert "before" not in log
    assert "after" not in Attempt.objects.get().log
    assert not [one for one in logging.getLogger().handlers if isinstance(one, attempt_log._AttemptHandler)]


def test_what_a_killed_worker_had_logged_is_found_where_it_lies(queued):
    lease = claim("gone:1")
    folder = work_dir(lease.run_id, lease.token)
    folder.mkdir(parents=True)
    (folder / attempt_log.FILE_NAME).write_text("its last words\n")
    StageRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert take_back_lapsed() == 1
    assert Attempt.objects.get().log == "its last words\n"


def test_a_log_that_is_not_there_is_empty(tmp_path):
    assert read_log(tmp_path) == ""
    assert attempt_log.left_log(1, uuid.uuid4()) == ""


def test_the_log_is_read_from_the_job_page(client, people, queued):
    attempt = Attempt.objects.create(run=queued.runs.get(), number=1, worker="w", ended_at=timezone.now(), log="<b>ü")
    address = reverse("admin:job_attempt_log", args=[queued.pk, attempt.pk])
    client.force_login(people.vera)
    assert address in client.get(reverse("admin:job_record", args=[queued.pk])).content.decode()
    response = client.get(address)
    assert (response.content.decode(), response["Content-Type"]) == ("<b>ü", "text/plain; charset=utf-8")
    assert client.post(address).status_code == 405
    other = make_job(queued.batch)
    assert client.get(reverse("admin:job_attempt_log", args=[other.pk, attempt.pk])).status_code == 404
    client.force_login(people.oscar)
    assert client.get(address).status_code == 404
    client.logout()
    assert client.get(address).status_code == 302
