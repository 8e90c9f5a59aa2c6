"""aeproject.logs and jobs.log_lines: every line says which request and which job it is about."""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from batches.bundles.sharing import TOKEN_BYTES
from jobs.log_context import bind, bound, bound_ids
from jobs.log_lines import JsonFormatter, LineFormatter
from jobs.store import put_asset
from tests.people import make_job


@pytest.fixture
def lines(caplog):
    """Formats what is logged in the moment it is logged."""
    seen: list[tuple[str, dict]] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((LineFormatter().format(record), json.loads(JsonFormatter().format(record))))

    recorder = Recorder()
    root = logging.getLogger()
    root.addHandler(recorder)
    caplog.set_level(logging.INFO)
    yield seen
    root.removeHandler(recorder)


def test_a_line_has_the_ids_that_are_bound(lines):
    with bound(request="r1", job="PC-1"), bound(run=5, attempt=7):
        logging.getLogger("x").info("prepared %d layers", 3)
    line, entry = lines[0]
    assert line.endswith("INFO x [request=r1 job=PC-1 run=5 attempt=7] prepared 3 layers")
    assert {**entry, "time": "", "process": 0} == {
        "time": "",
        "level": "INFO",
        "logger": "x",
        "message": "prepared 3 layers",
        "process": 0,
        "request": "r1",
        "job": "PC-1",
        "run": "5",
        "attempt": "7",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "tail", "status"), [("get", "no/such/page/", 404), ("post", "", 405)])
def test_the_token_of_a_link_is_on_no_line(client, lines, method, tail, status):
    token = secrets.token_urlsafe(TOKEN_BYTES)
    assert getattr(client, method)(f"/share/{token}/{tail}").status_code == status
    assert any(entry["logger"] == "django.request" for _, entry in lines)
    for line, entry in lines:
        assert token not in line
        assert token not in entry["message"]


def test_the_token_of_a_link_is_not_on_the_line_of_a_crash_either(lines):
    """No ``django_db``: the look-up of the link fails."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    assert Client(raise_request_exception=False).get(f"/share/{token}/").status_code == 500
    assert any("Internal Server Error: /share/.../" in line for line, _ in lines)
    assert not any(token in line for line, _ in lines)


def test_folders_keep_their_names(lines):
    logging.getLogger("x").info("/mnt/share/spring-campaign-2026/a.psd is missing")
    assert "/mnt/share/spring-campaign-2026/a.psd" in lines[0][0]


def test_without_ids_the_line_says_so(lines):
    logging.getLogger("x").warning("alone")
    line, entry = lines[0]
    assert "[request=- job=-] alone" in line
    assert (entry["request"], entry["job"]) == (None, None)


def test_ids_end_with_what_bound_them():
    with bound(request="a"):
        bind(job="PC-1")
        with bound(job="PC-2", request=""):
            assert bound_ids() == {"request": "a", "job": "PC-2"}
        assert bound_ids() == {"request": "a", "job": "PC-1"}
    assert bound_ids() == {}


def test_a_message_cannot_forge_a_line(lines):
    logging.getLogger("x").info("a.psd\n2026-01-01 INFO forged\r")
    line, _ = lines[0]
    assert "\n" not in line
    assert "\\n2026" in line


def test_an_exception_comes_along(lines):
    try:
        raise ValueError("ö")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    line, entry = lines[0]
    assert "ValueError: ö" in line
    assert "Traceback" in entry["exception"]


@pytest.mark.parametrize(("given", "taken"), [("abc-1.2_X", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_a_request_has_an_id_that_goes_back_with_the_answer(client, lines, given, taken):
    response = client.get("/healthz", headers={"X-Request-ID": given})
    assert (response["X-Request-ID"] == given) is taken
    assert response["X-Request-ID"]


@pytest.mark.django_db
def test_lines_of_a_job_page_name_the_job(client, people, batch, lines):
    job = make_job(batch, job_id="PC-7")
    client.force_login(people.vera)
    client.get(reverse("admin:job", args=[job.pk]), headers={"X-Request-ID": "r9"})
    line, entry = lines[-1]
    assert "[request=r9 job=PC-7] GET" in line
    assert entry["message"].split()[2] == "200"
    assert bound_ids() == {}


@pytest.mark.django_db
@pytest.mark.parametrize("tail", ["", "progress/", "events/", "download/"])
def test_lines_of_the_api_name_the_job(client, people, batch, lines, tail):
    job = make_job(batch, job_id="PC-7")
    client.force_login(people.vera)
    client.get(f"/api/jobs/{job.pk}/{tail}")
    said = [entry for _, entry in lines if entry["logger"] in {"aeproject.requests", "django.request"}]
    assert said
    assert {entry["job"] for entry in said} == {"PC-7"}


@pytest.mark.django_db
def test_lines_of_a_file_name_its_job(client, people, batch, lines, tmp_path):
    job = make_job(batch, job_id="PC-7")
    (tmp_path / "x.json").write_bytes(b"{}")
    asset = put_asset(tmp_path / "x.json", team=job.team, kind="metadata", name="x.json", job=job, stage=1)
    client.force_login(people.vera)
    for address in (f"/api/assets/{asset.pk}/download/", reverse("admin:asset_download", args=[asset.pk])):
        client.get(address)
        assert lines[-1][1]["message"].split()[1:3] == [address, "200"]
        assert lines[-1][1]["job"] == "PC-7"


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/nowhere/", "/api/jobs/999999/", "/api/token/"])
def test_what_django_says_of_a_refused_request_has_its_id(client, lines, address):
    client.get(address, headers={"X-Request-ID": "r9"})
    said = [(line, entry) for line, entry in lines if " django.request " in line]
    assert said
    assert all("[request=r9 " in line and entry["request"] == "r9" for line, entry in said)


@pytest.mark.parametrize("address", ["/healthz", "/static/nothing.css"])
def test_probes_and_static_files_are_not_logged(client, lines, address, caplog):
    caplog.set_level(logging.CRITICAL, "django.request")
    client.get(address)
    assert lines == []


# Processes that have no settings of Django's -------------------------------------------------------------------------
def entries(output: str) -> list[dict]:
    """Each line must be an entry that has a place for its request and its job."""
    found = [json.loads(line) for line in output.splitlines()]
    assert all({"time", "level", "message", "request", "job"} <= set(entry) for entry in found)
    return found


def test_the_web_servers_own_lines_look_like_all_others(tmp_path):
    command = [Path(sys.executable).with_name("gunicorn"), "--bind", "127.0.0.1:0", "aeproject.wsgi:application"]
    own = {**os.environ, "DATA_DIR": str(tmp_path), "LOG_FORMAT": "json", "WEB_CONCURRENCY": "1"}
    with subprocess.Popen(command, cwd=settings.BASE_DIR, env=own, stderr=subprocess.PIPE, text=True) as server:
        said = ""
        while "Booting worker" not in said:
            said += server.stderr.readline()
            assert server.poll() is None, said
        server.terminate()
        said += server.stderr.read()
    messages = [entry["message"] for entry in entries(said)]
    assert "Starting gunicorn" in messages[0]
    assert any("Shutting down" in message for message in messages)


@pytest.mark.parametrize("chosen", ["json", " JSON"])
def test_the_stage_servers_lines_look_like_all_others(chosen):
    code = (
        "import logging, sys; from jobs.stage_server import set_up_log;"
        "set_up_log({'': 20, 'chatty': 30});"
        "logging.getLogger('jobs.stage_server').info('no process'); logging.getLogger('chatty').info('chat');"
        "sys.exit('django' in sys.modules)"
    )
    own = {**os.environ, "LOG_FORMAT": chosen}
    told = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, env=own, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert [entry["message"] for entry in entries(told.stderr)] == ["no process"]


@pytest.mark.parametrize("name", ["django-q", "psd_tools", "py_aep"])
def test_chatty_libraries_are_heard_from_warnings_on(name):
    assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING
