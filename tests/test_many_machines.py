"""Three machines in network namespaces with one PostgreSQL; one of them loses the network in the middle of a job."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from rendering.samples import tiny_document, tiny_project

ROOT = Path(__file__).resolve().parent.parent
SERVER = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
PATIENCE_SECONDS = 90
JOBS = 6
MACHINES = (1, 2, 3)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)


def with_parts(address: str, *, place: str = "", database: str = "") -> str:
    """The address of a database, elsewhere or of another name."""
    parts = urlsplit(address)
    login, at, own_place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{place or own_place}", path=f"/{database or parts.path[1:]}"))


class Forwarder:
    """Carries TCP from an address that a namespace reaches to the server, which may listen on the loopback alone."""

    def __init__(self, host: str, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server((host, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target, timeout=10)
                far.settimeout(None)
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Host:
    """A machine: a namespace with one cable to ours."""

    number: int
    database: str
    data: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    forwarder: Forwarder | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def namespace(self) -> str:
        return f"ae-{self.mark}"

    @property
    def cable(self) -> str:
        return f"ae{self.mark}"

    @property
    def net(self) -> str:
        """Ours alone, also beside another run of these tests."""
        return f"10.{200 + os.getpid() % 50}.{self.number}"

    def plug_in(self) -> None:
        ip("netns", "add", self.namespace)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "up0", "netns", self.namespace)
        ip("addr", "add", f"{self.net}.1/30", "dev", self.cable)
        ip("link", "set", self.cable, "up")
        ip("-n", self.namespace, "addr", "add", f"{self.net}.2/30", "dev", "up0")
        ip("-n", self.namespace, "link", "set", "up0", "up")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        parts = urlsplit(self.database)
        self.forwarder = Forwarder(f"{self.net}.1", (parts.hostname or "127.0.0.1", parts.port or 5432))

    def start(self, environment: dict[str, str]) -> None:
        assert self.forwarder is not None
        place = f"{self.net}.1:{self.forwarder.port}"
        own = {"WORKER_NAME": f"host-{self.number}", "DATABASE_URL": with_parts(self.database, place=place)}
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, sys.executable, "manage.py", "work"],
            cwd=ROOT,
            env={**environment, **own},
        )

    def cut(self) -> None:
        ip("link", "set", self.cable, "down")

    def heal(self) -> None:
        ip("link", "set", self.cable, "up")

    def remove(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.forwarder is not None:
            self.forwarder.close()
        with contextlib.suppress(subprocess.CalledProcessError):
            pids = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True).stdout
            for pid in pids.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            ip("netns", "del", self.namespace)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", self.cable)


@pytest.fixture
def database() -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    name = f"aeproject_net_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg.connect(SERVER, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL (TEST_DATABASE_URL): {error}")
    with server:
        server.execute(f"create database {name}")
        try:
            yield with_parts(SERVER, database=name)
        finally:
            server.execute(f"drop database {name} with (force)")


@pytest.fixture
def hosts(database: str, tmp_path: Path) -> Iterator[list[Host]]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the ip command")
    hosts = [Host(number, database, tmp_path) for number in MACHINES]
    try:
        try:
            for host in hosts:
                host.plug_in()
        except (subprocess.CalledProcessError, OSError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', None) or error}")
        yield hosts
    finally:
        for host in hosts:
            host.remove()


def manage(environment: dict[str, str], *arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert result.returncode == 0, result.stderr


def prepare_team(environment: dict[str, str]) -> None:
    manage(environment, "migrate", "-v0")
    manage(environment, "createcachetable", "-v0")
    code = (
        "from django.contrib.auth.models import User; from jobs.models import Team, Membership;"
        "user = User.objects.create_user('olga'); team = Team.objects.create(name='Blue', slug='blue');"
        "Membership.objects.create(team=team, user=user, role='operator')"
    )
    manage(environment, "shell", "-v0", "-c", code)


def import_jobs(environment: dict[str, str], folder: Path) -> None:
    tiny_document(folder / "a.psd")
    tiny_project(folder / "a.aep")
    rows = "".join(f"T-{number},a.psd,a.aep,out-{number}.aep\n" for number in range(JOBS))
    (folder / "jobs.csv").write_text("job_id,psd_path,aepx_path,output_name\n" + rows)
    where = ("--team", "Blue", "--user", "olga", "--assets", str(folder), "--start")
    manage(environment, "import_batch", str(folder / "jobs.csv"), *where)


@pytest.mark.slow
def test_a_machine_that_loses_the_network_in_a_job_does_nothing_twice(hosts: list[Host], database: str, tmp_path: Path):
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": database,
        "WORKERS_LIGHT": "1",
        "WORKERS_HEAVY": "0",
        "LEASE_SECONDS": "3",
        "MATCH_THRESHOLD": "0",
        "SYSTEM_FONTS": "no",
    }
    prepare_team(environment)
    for host in hosts:
        host.start(environment)
    with psycopg.connect(database, autocommit=True) as connection:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        wait_for(lambda: query("select count(distinct machine) from jobs_worker") == [(len(hosts),)])
        import_jobs(environment, tmp_path)
        token = cut_in_a_job(hosts[0], query)
        wait_for(lambda: query(f"select 1 from jobs_attempt where token = '{token}' and outcome = 'failed'"))
        wait_for(lambda: query("select count(*) from jobs_job where stage = 2 and state = 'in_review'") == [(JOBS,)])

        healed = query("select now()")[0][0]
        hosts[0].heal()
        back = f"select 1 from jobs_worker where machine = 'host-1' and heartbeat_at > '{healed.isoformat()}'"
        wait_for(lambda: query(back))
        effects = query("select verb, count(*) from jobs_event where verb in ('ingest', 'prepare') group by 1")
        assert dict(effects) == {"ingest": JOBS, "prepare": JOBS}
        assert not query("select 1 from jobs_event where version > 0 group by job_id, version having count(*) > 1")
        for host in hosts:
            assert host.process is not None
            host.process.terminate()
        assert [host.process.wait(PATIENCE_SECONDS) for host in hosts if host.process] == [0, 0, 0]


def cut_in_a_job(host: Host, query: Callable[[str], list[tuple[Any, ...]]]) -> str:
    """Cuts the machine off while it surely holds a lease: what it held before the cut it holds after. The token."""
    held: list[str] = []
    leases = f"select token from jobs_stagerun where state = 'running' and lease_owner like 'host-{host.number}:%'"

    def is_cut() -> bool:
        if query(leases):
            host.cut()
            held.extend(str(token) for (token,) in query(leases))
            if not held:
                host.heal()
        return bool(held)

    wait_for(is_cut)
    return held[0]
