"""manage.py demo: what `make demo` starts, as somebody would who sees the product for the first time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from aeproject import demo
from jobs.models import Job
from jobs.states import Stage, State
from tests.jobs.test_sandbox import wait_for
from tests.people import make_job

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ("DATABASE_URL", "REDIS_URL")
"""What the demo does without."""


def living(data_dir: Path) -> list[int]:
    """The processes that were started with this DATA_DIR."""
    sign, found = f"DATA_DIR={data_dir}".encode(), []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if sign in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return found


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo's process, and the address that it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in EMBEDDED}
    environment |= {"DATA_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if address := re.search(r"http://\S+/", line):
            break
    else:
        pytest.fail(f"no address was printed: {seen}")
    assert all(name in seen for name in (*demo.ACCOUNTS, demo.PASSWORD))
    yield process, address[0]
    process.kill()
    for pid in living(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_whoever_starts_the_demo_logs_in_and_sees_its_batch(shown, tmp_path):
    process, address = shown
    with requests.Session() as browser:
        page = browser.get(address, timeout=60)
        assert page.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        said = {"username": "rita", "password": demo.PASSWORD, "csrfmiddlewaretoken": token[1]}
        assert browser.post(page.url, data=said, headers={"Referer": page.url}, timeout=60).status_code == 200
        batches = browser.get(f"{address}admin/batches/", timeout=60)
    assert "Spring campaign" in batches.text
    assert re.search(r">\s*12\s*<", batches.text)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    wait_for(lambda: living(tmp_path) == [])  # the kernel ends what the processes of the stages are in its own time


def test_the_demo_people_approve_what_waits_and_nothing_else(batch, people):
    matching = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    failed = make_job(batch, Stage.PREVIEW, State.FAILED)
    ours = demo.Demo(team=batch.team, people={"rita": people.rita, "adam": people.adam}, batch=batch)
    assert not demo.is_over(ours)
    assert demo.decide_what_waits(ours) == 1
    moved = Job.objects.get(pk=matching.pk)
    assert (moved.stage, moved.state) != (Stage.MATCHING, State.IN_REVIEW)
    failed.refresh_from_db()
    assert failed.state == State.FAILED
    assert demo.decide_what_waits(ours) == 0
