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
from types import SimpleNamespace

import pytest

from rendering.samples import tiny_document, tiny_project
from tests.batches.google.fake import ID, Google, Tab, google

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 180
JOBS = 4
PREPARED = "stage = 2 and state = 'in_review'"


@dataclass(frozen=True)
class Cluster:
    """The processes of one cluster."""

    main: int
    sentinel: int
    workers: list[int]

    @property
    def stage_server(self) -> int:
        return next(pid for pid in children(self.main) if is_stage_server(pid))


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
            "WORKERS_IO": "0",
            "LEASE_SECONDS": "2",
            "STUCK_SECONDS": "8",
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
                    forks = [] if is_stage_server(sentinel) else children(sentinel)
                    if (after is None or main != after.main) and len(forks) == 4 and all(map(is_asleep, forks)):
                        found.append(Cluster(main=main, sentinel=sentinel, workers=sorted(forks)[:2]))
            return bool(found)

        wait_for(is_there)
        return found[0]

    def start_batch(self, sources: Path, name: str) -> None:
        """JOBS jobs, that are started at once."""
        sheet = sources / f"{name}.csv"
        rows = "".join(f"{name}-{number},a.psd,a.aep,out-{number}.aep\n" for number in range(JOBS))
        sheet.write_text("job_id,psd_path,aepx_path,output_name\n" + rows)
        where = ("--team", "Blue", "--user", "olga", "--assets", str(sources))
        imported = self.manage("import_batch", str(sheet), *where, "--start")
        assert imported.returncode == 0, imported.stderr

    def takes_writes(self) -> bool:
        """Whether the database does: it has one writer at a time, who may be frozen."""
        database = sqlite3.connect(self.data / "db.sqlite3", timeout=1, isolation_level=None)
        with contextlib.closing(database) as connection:
            try:
                connection.execute("begin immediate")
            except sqlite3.OperationalError:
                return False
        return True

    def freeze_a_busy_worker(self) -> tuple[int, object]:
        """Its process and the token that it holds. It is surely at work: its lease is there after it was stopped."""
        frozen: list[tuple[int, object]] = []

        def is_frozen() -> bool:
            for owner, token in self.query("select lease_owner, token from jobs_stagerun where state = 'running'"):
                pid = int(str(owner).rpartition("/")[2])
                with contextlib.suppress(ProcessLookupError):
                    freeze(pid)
                    held = self.query(f"select 1 from jobs_stagerun where state = 'running' and token = '{token}'")
                    if held and self.takes_writes():
                        frozen.append((pid, token))
                        return True
                    os.kill(pid, signal.SIGCONT)
            return False

        wait_for(is_frozen)
        return frozen[0]


def state_of(pid: int) -> str:
    """The letter that the kernel shows for it; that of a zombie when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def is_alive(pid: int) -> bool:
    return state_of(pid) != "Z"


def is_asleep(pid: int) -> bool:
    return state_of(pid) == "S"


def is_stage_server(pid: int) -> bool:
    try:
        return b"jobs.stage_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def queue_of(pid: int) -> str:
    """That of the cluster to which a process belongs; empty when it belongs to none."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((word[15:].decode() for word in words if word.startswith(b"Q_CLUSTER_NAME=")), "")


def children(pid: int) -> list[int]:
    """Those of all its threads."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


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
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with what the jobs work on."""
    tiny_document(tmp_path / "a.psd")
    tiny_project(tmp_path / "a.aep")
    return tmp_path


@pytest.fixture
def google_sheet() -> Iterator[Google]:
    with google(SimpleNamespace()) as fake:
        fake.tabs = [Tab("Jobs", 0, [["job_id", "psd_path", "aepx_path", "output_name"], ["A-1", "a.psd", "", ""]])]
        yield fake


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))


def freeze(pid: int) -> None:
    """Returns when it does nothing more."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) in "TZ")


@contextlib.contextmanager
def stages_held(server: int) -> Iterator[None]:
    """No stage of this server goes on in the body of ``with``: whatever a worker begins, it is busy for as long."""
    freeze(server)  # from now on it forks no more
    held = [server, *children(server)]
    for pid in held:
        with contextlib.suppress(ProcessLookupError):
            freeze(pid)
    yield
    for pid in held:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_a_batch_goes_through_whatever_is_killed_or_frozen_meanwhile(machine: Machine, sources: Path):
    supervisor = machine.start_work()
    cluster = machine.cluster_of(supervisor.pid)
    # django-q2 deadlocks when the idle worker is killed that holds the lock of its queue, one of the two: the
    # supervisor must notice and start another cluster.
    for worker in cluster.workers:
        kill(worker)
    machine.start_batch(sources, "first")
    cluster = machine.cluster_of(supervisor.pid, after=cluster)

    with stages_held(cluster.stage_server):
        machine.start_batch(sources, "second")
        frozen, token = machine.freeze_a_busy_worker()
        server = cluster.stage_server
        kill(server)
        wait_for(lambda: any(is_stage_server(pid) for pid in children(cluster.main) if pid != server))
    wait_for(lambda: machine.query(f"select 1 from jobs_attempt where token = '{token}' and outcome = 'failed'"))
    os.kill(frozen, signal.SIGCONT)
    wait_for(lambda: machine.query(f"select 1 from jobs_attempt where token = '{token}' and outcome = 'discarded'"))

    with stages_held(cluster.stage_server):
        machine.start_batch(sources, "third")
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
    wait_for(lambda: machine.query(f"select count(*) from jobs_job where {PREPARED}") == [(3 * JOBS,)])
    events = machine.query("select job_id, version, count(*) from jobs_event where version > 0 group by 1, 2")
    assert {count for _, _, count in events} == {1}
    effects = machine.query("select verb, count(*) from jobs_event where verb in ('ingest', 'prepare') group by 1")
    assert dict(effects) == {"ingest": 3 * JOBS, "prepare": 3 * JOBS}

    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    wait_for(lambda: not machine.processes())
    left = f"select count(*) from jobs_worker where ended_at is not null and pid = {supervisor.pid}"
    assert machine.query(left) == [(1,)]
    assert not list((machine.data / "work").glob("run-*"))


@pytest.mark.slow
def test_a_linked_sheet_is_read_by_the_cluster_of_io_which_carries_no_stages(machine: Machine, google_sheet: Google):
    machine.environment |= {
        "WORKERS_LIGHT": "1",
        "WORKERS_IO": "1",
        "GOOGLE_DOCS_URL": google_sheet.url,
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    supervisor = machine.start_work()
    wait_for(lambda: machine.query("select capacity from jobs_worker") == [('{"light": 1, "io": 1}',)])
    code = (
        "from django.contrib.auth.models import User; from jobs.models import Team; from batches.links import linking;"
        f"linking.link(User.objects.get(), Team.objects.get(), url='{ID}')"
    )
    linked = machine.manage("shell", "-v0", "-c", code)
    assert linked.returncode == 0, linked.stderr
    wait_for(lambda: machine.query("select 1 from jobs_errand where state = 'done'"))
    ((owner,),) = machine.query("select lease_owner from jobs_errand")
    assert queue_of(int(str(owner).rpartition("/")[2])) == "io"
    assert machine.query("select state, good, bad from batches_upload") == [("preview", 0, 1)]

    def queues_with_stages() -> set[str]:
        return {queue_of(pid) for pid in machine.processes() if is_stage_server(pid)}

    # A cluster starts its server before its workers: that of io, which have worked, would be there.
    wait_for(lambda: "light" in queues_with_stages())
    assert queues_with_stages() == {"light"}
    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    wait_for(lambda: not machine.processes())
