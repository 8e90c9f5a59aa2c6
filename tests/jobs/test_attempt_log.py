"""jobs.attempt_log: what an attempt said is kept with it, from the worker and from the stage's process."""

from __future__ import annotations

import logging
import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs import attempt_log, pipeline
from jobs.attempt_log import MOST_BYTES, read_log, work_dir
from jobs.claims import claim
from jobs.lifecycle import move
from jobs.log_context import bound
from jobs.log_lines import LineFormatter
from jobs.models import Attempt, StageRun
from jobs.sources import roots_of
from jobs.stage_process import LOG_FILE
from jobs.states import Stage
from jobs.sweeping import take_back_lapsed
from rendering.samples import tiny_document, tiny_project
from tests.jobs import odd_stages
from tests.jobs.odd_stages import name_of
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


def run(monkeypatch, stage) -> Attempt:
    monkeypatch.setitem(pipeline.PREPARE, Stage.INGESTION, name_of(stage))
    pipeline.work_once()
    return Attempt.objects.get()


def test_an_attempt_keeps_what_worker_and_stage_said(queued, monkeypatch):
    attempt = run(monkeypatch, odd_stages.talkative)
    assert attempt.outcome == "done", attempt.error
    for words in (
        f"Ingestion begins on {attempt.worker}",
        "printed by Python",
        "complained by Python",
        "a C library",
        "WARNING psd_tools logged for PC-1",
        "ERROR rendering went wrong",
        "ValueError: why",
        "done in",
    ):
        assert words in attempt.log, attempt.log
    assert attempt.log.count("reading the PSD") == 1
    assert "not asked for" not in attempt.log
    assert attempt.log.index("begins on") < attempt.log.index("logged for") < attempt.log.index("done in")


@pytest.fixture
def lines():
    """All that is logged."""

    class Kept(logging.Handler):
        def emit(self, record):
            seen.append(LineFormatter().format(record))

    seen: list[str] = []
    handler = Kept()
    logging.getLogger().addHandler(handler)
    yield seen
    logging.getLogger().removeHandler(handler)


def test_what_a_stage_logs_looks_like_all_lines_and_names_its_job(queued, lines, monkeypatch):
    run(monkeypatch, odd_stages.talkative)
    line = next(line for line in lines if "logged for" in line)
    assert "WARNING psd_tools [request=- job=PC-1 run=" in line
    trouble = next(line for line in lines if "went wrong" in line)
    assert trouble.endswith("ValueError: why")


def test_what_follows_from_a_request_names_it(queued, lines, monkeypatch):
    assert run(monkeypatch, odd_stages.wrong_file).error
    with bound(request="r9"):
        move(queued, "retry")
    lines.clear()
    monkeypatch.setitem(pipeline.PREPARE, Stage.INGESTION, name_of(odd_stages.talkative))
    pipeline.work_once()
    mine = [line for line in lines if " jobs." in line or " psd_tools " in line]
    assert any("logged for PC-1" in line for line in mine)
    assert all("[request=r9 job=PC-1 run=" in line for line in mine), mine
    assert StageRun.objects.get(stage=Stage.MATCHING).request_id == "r9"


def test_the_end_of_a_killed_workers_attempt_names_its_request_and_job(queued, lines):
    StageRun.objects.update(request_id="r9")
    assert claim("gone:1") is not None
    StageRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert take_back_lapsed() == 1
    (line,) = [line for line in lines if "gone:1 went silent" in line]
    assert "[request=r9 job=PC-1 run=" in line


def test_what_no_request_led_to_names_none(queued, lines, monkeypatch):
    run(monkeypatch, odd_stages.talkative)
    assert set(StageRun.objects.values_list("request_id", flat=True)) == {""}
    assert any("[request=- job=PC-1 run=" in line for line in lines)


def test_a_failure_keeps_its_traceback_and_what_was_said_before(queued, monkeypatch):
    log = run(monkeypatch, odd_stages.bug).log
    assert log.index("on the way") < log.index("KeyError: 'slot'")
    assert "Traceback" in log


def test_a_log_is_bounded_and_says_so(queued, monkeypatch):
    log = run(monkeypatch, odd_stages.flood).log
    assert len(log.encode()) <= MOST_BYTES
    assert re.match(r"… 2\d\d,\d{3} bytes before\n", log)
    assert "last line" in log
    assert "first line" not in log


def test_the_log_of_a_failure_is_bounded_and_says_so(queued, monkeypatch):
    log = run(monkeypatch, odd_stages.flood_and_fail).log
    assert len(log.encode()) <= MOST_BYTES
    assert re.match(r"… 2\d\d,\d{3} bytes before\n", log)
    assert log.index("last line") < log.index("KeyError: 'slot'")


def test_what_is_no_text_is_kept_as_far_as_it_is(queued, monkeypatch):
    assert "\ufffd café" in run(monkeypatch, odd_stages.binary).log


def test_lines_of_others_stay_out(queued, monkeypatch):
    logging.getLogger("x").warning("before")
    log = run(monkeypatch, odd_stages.quiet).log
    logging.getLogger("x").warning("after")
    assert "before" not in log
    assert "after" not in Attempt.objects.get().log
    assert not [one for one in logging.getLogger().handlers if isinstance(one, attempt_log._AttemptHandler)]


def test_what_a_killed_worker_had_logged_is_found_where_it_lies(queued):
    lease = claim("gone:1")
    folder = work_dir(lease.run_id, lease.token)
    folder.mkdir(parents=True)
    said = f"{'what it did' * 8_000}\nits last words\n"
    (folder / LOG_FILE).write_text(said)
    StageRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert take_back_lapsed() == 1
    assert Attempt.objects.get().log == said


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
