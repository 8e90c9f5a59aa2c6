"""The real thing: commands, supervisor and cluster as processes, on a database of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rendering.samples import tiny_document, tiny_project

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60
JOBS = 12
PREPARED = "stage = 2 and state = 'in_review'"


@dataclass(frozen=True)
class Cluster:
    """The processes of one cluster."""

    main: int
    sentinel: int
    idle_worker: int


class Machine:
    """One machine's processes and data."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.environment = {
            **os.environ,
            "DATA_DIR": str(folder),
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "WORKERS_LIGHT": "2",
            "WORKERS_HEAVY": "0",
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
                if is_alive(int(path.name)) and mark in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def cluster_of(self, supervisor: int, *, after: Cluster | None = None) -> Cluster:
        """The supervisor's cluster when all of it is there: main, sentinel, two workers, monitor, pusher."""
        found: list[Cluster] = []

        def is_there() -> bool:
            for main in children(supervisor):
                for sentinel in children(main):
                    forks = children(sentinel)
                    if (after is None or main != after.main) and len(forks) == 4:
                        found.append(Cluster(main=main, sentinel=sentinel, idle_worker=min(forks)))
            return bool(found)

        wait_for(is_there)
        return found[0]

    def freeze_a_busy_worker(self) -> tuple[int, object]:
        """Its process and the token that it holds. It is surely at work: its lease is there after it was stopped."""
        frozen: list[tuple[int, object]] = []

        def is_frozen() -> bool:
            for owner, token in self.query("select lease_owner, token from jobs_stagerun where state = 'running'"):
                pid = int(str(owner).rpartition("/")[2])
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    if self.query(f"select 1 from jobs_stagerun where state = 'running' and token = '{token}'"):
                        frozen.append((pid, token))
                        return True
                    os.kill(pid, signal.SIGCONT)
            return False

        wait_for(is_frozen)
        return frozen[0]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


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
    rows = "".join(f"T-{number},a.psd,a.aep,out-{number}.aep\n" for number in range(JOBS))
    sheet.write_text("job_id,psd_path,aepx_path,output_name\n" + rows)
    return sheet


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))


@pytest.mark.slow
def test_a_batch_goes_through_whatever_is_killed_or_frozen_meanwhile(machine: Machine, sheet: Path):
    supervisor = machine.start_work()
    cluster = machine.cluster_of(supervisor.pid)
    # django-q2 deadlocks when an idle worker is killed: the supervisor must notice and start another cluster.
    kill(cluster.idle_worker)
    imported = machine.manage(
        "import_batch", str(sheet), "--team", "Blue", "--user", "olga", "--assets", str(sheet.parent), "--start"
    )
    assert imported.returncode == 0, imported.stderr
    cluster = machine.cluster_of(supervisor.pid, after=cluster)

    frozen, token = machine.freeze_a_busy_worker()
    wait_for(lambda: machine.query(f"select 1 from jobs_attempt where token = '{token}' and outcome = 'failed'"))
    os.kill(frozen, signal.SIGCONT)
    wait_for(lambda: machine.query(f"select 1 from jobs_attempt where token = '{token}' and outcome = 'discarded'"))

    busy, token = machine.freeze_a_busy_worker()
    kill(busy)
    kill(cluster.sentinel)
    cluster = machine.cluster_of(supervisor.pid, after=cluster)
    kill(cluster.main)
    cluster = machine.cluster_of(supervisor.pid, after=cluster)

    kill(supervisor.pid)
    supervisor.wait(PATIENCE_SECONDS)
    wait_for(lambda: not machine.processes())
    supervisor = machine.start_work()
    wait_for(lambda: machine.query(f"select count(*) from jobs_job where {PREPARED}") == [(JOBS,)])
    events = machine.query("select job_id, version, count(*) from jobs_event where version > 0 group by 1, 2")
    assert {count for _, _, count in events} == {1}
    effects = machine.query("select verb, count(*) from jobs_event where verb in ('ingest', 'prepare') group by 1")
    assert dict(effects) == {"ingest": JOBS, "prepare": JOBS}

    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    wait_for(lambda: not machine.processes())
    assert machine.query("select count(*) from jobs_worker where ended_at is not null") == [(1,)]
    assert not list((machine.data / "work").glob("run-*"))
