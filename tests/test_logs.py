"""aeproject.logs: every line says which request and which job it is about."""

from __future__ import annotations

import json
import logging

import pytest
from django.urls import reverse

from aeproject.logs import JsonFormatter, LineFormatter
from jobs.log_context import bind, bound, bound_ids
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


def test_without_ids_the_line_says_so(lines):
    logging.getLogger("x").warning("alone")
    line, entry = lines[0]
    assert "[request=- job=-] alone" in line
    assert (entry["request"], entry["job"]) == (None, None)


def test_ids_end_with_what_bound_them():
    with bound(request="a"):
        bind(job="PC-1")
        with bound(job="PC-2"):
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


@pytest.mark.parametrize("address", ["/healthz", "/static/nothing.css"])
def test_probes_and_static_files_are_not_logged(client, lines, address, caplog):
    caplog.set_level(logging.CRITICAL, "django.request")
    client.get(address)
    assert lines == []


@pytest.mark.parametrize("name", ["django-q", "psd_tools", "py_aep"])
def test_chatty_libraries_are_heard_from_warnings_on(name):
    assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING
