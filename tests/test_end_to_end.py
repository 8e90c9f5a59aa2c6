"""The real thing: commands, supervisor and cluster as processes, on a database of their own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rendering.samples import tiny_document, tiny_project

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60


class Machine:
    """One machine's processes and data."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.environment = {
            **os.environ,
            "DATA_DIR": str(folder),
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "WORKERS": "1",
            "LEASE_SECONDS": "2",
            "STUCK_SECONDS": "2",
            "MATCH_THRESHOLD": "0",
            "SYSTEM_FONTS": "no",
        }

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def start_work(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=self.environment)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.data / "db.sqlite3", timeout=20) as connection:
            return connection.execute(sql).fetchall()

    def processes(self) -> list[int]:
        """Everything that runs with this machine's data, but zombies."""
        mark = f"DATA_DIR={self.data}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                alive = (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                if alive and mark in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
            except OSError:
                continue
        return found


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.1)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "data")
    machine.data.mkdir()
    for arguments in (("migrate",), ("createcachetable",)):
        result = machine.manage(*arguments, "-v0")
        assert result.returncode == 0, result.stderr
    code = (
        "from django.contrib.auth.models import User; from jobs.models import Team, Membership;"
        "user = User.objects.create_user('olga'); team = Team.objects.create(name='Blue', slug='blue');"
        "[Membership.objects.create(team=team, user=user, role=role) for role in ('operator', 'reviewer', 'approver')]"
    )
    assert machine.manage("shell", "-v0", "-c", code).returncode == 0
    yield machine
    for pid in machine.processes():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    tiny_document(tmp_path / "a.psd")
    tiny_project(tmp_path / "a.aep")
    sheet = tmp_path / "jobs.csv"
    rows = "".join(f"T-{number},a.psd,a.aep,out-{number}.aep\n" for number in range(3))
    sheet.write_text("job_id,psd_path,aepx_path,output_name\n" + rows)
    return sheet


@pytest.mark.slow
def test_a_batch_goes_through_a_cluster_whose_processes_are_killed(machine: Machine, sheet: Path):
    supervisor = machine.start_work()
    wait_for(lambda: len(machine.processes()) >= 5)
    # django-q2 deadlocks when an idle worker is killed: the supervisor must notice and start another cluster.
    for pid in machine.processes():
        if pid != supervisor.pid:
            os.kill(pid, signal.SIGKILL)
            break
    imported = machine.manage(
        "import_batch", str(sheet), "--team", "Blue", "--user", "olga", "--assets", str(sheet.parent), "--start"
    )
    assert imported.returncode == 0, imported.stderr
    wait_for(lambda: machine.query("select count(*) from jobs_job where stage = 2 and state = 'in_review'") == [(3,)])
    events = machine.query("select job_id, version, count(*) from jobs_event where version > 0 group by 1, 2")
    assert {count for _, _, count in events} == {1}

    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    wait_for(lambda: not machine.processes())
