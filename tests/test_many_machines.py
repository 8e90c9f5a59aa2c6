"""Three machines in network namespaces with one PostgreSQL; one of them loses the network in the middle of a job."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from aeproject.chaos.network import Cable, NoRight
from rendering.samples import tiny_document, tiny_project
from tests.test_end_to_end import children, is_stage_server, stages_held

ROOT = Path(__file__).resolve().parent.parent
SERVER = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
PATIENCE_SECONDS = 180
JOBS = 6
MACHINES = (1, 2, 3)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


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
    cable: Cable
    process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str], place: str) -> None:
        """Its database is at ``place``, host and port."""
        own = {"WORKER_NAME": f"host-{self.number}", "DATABASE_URL": with_parts(self.database, place=place)}
        self.process = subprocess.Popen(
            [*self.cable.command, sys.executable, "manage.py", "work"], cwd=ROOT, env={**environment, **own}
        )

    def stage_server(self) -> int:
        """The process id of its cluster's."""
        found: list[int] = []

        def is_there() -> bool:
            assert self.process is not None
            mains = children(self.process.pid)
            found.extend(pid for main in mains for pid in children(main) if is_stage_server(pid))
            return bool(found)

        wait_for(is_there)
        return found[0]

    def forwarder(self) -> Forwarder:
        parts = urlsplit(self.database)
        return Forwarder(self.cable.near, (parts.hostname or "127.0.0.1", parts.port or 5432))


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
def hosts(database: str, network: Any) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        stack.enter_context(network(fcntl.LOCK_EX))
        try:
            hosts = [Host(number, database, stack.enter_context(Cable(number))) for number in MACHINES]
        except NoRight as error:
            pytest.skip(str(error))
        yield hosts
        for host in hosts:
            if host.process is not None:
                host.process.kill()
                host.process.wait()


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


def start_batch(environment: dict[str, str], folder: Path) -> None:
    """Jobs that are started at once."""
    tiny_document(folder / "a.psd")
    tiny_project(folder / "a.aep")
    rows = "".join(f"T-{number},a.psd,a.aep,out-{number}.aep\n" for number in range(JOBS))
    (folder / "jobs.csv").write_text("job_id,psd_path,aepx_path,output_name\n" + rows)
    where = ("--team", "Blue", "--user", "olga", "--assets", str(folder), "--start")
    manage(environment, "import_batch", str(folder / "jobs.csv"), *where)


@pytest.mark.slow
def test_a_machine_that_loses_the_network_in_a_job_does_nothing_twice(
    hosts: list[Host], database: str, tmp_path: Path, request: pytest.FixtureRequest
):
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": database,
        "WORKERS_LIGHT": "1",
        "WORKERS_HEAVY": "0",
        "WORKERS_IO": "0",
        "LEASE_SECONDS": "3",
        "MATCH_THRESHOLD": "0",
        "SYSTEM_FONTS": "no",
    }
    prepare_team(environment)
    for host in hosts:
        forwarder = host.forwarder()
        request.addfinalizer(forwarder.close)
        host.start(environment, f"{host.cable.near}:{forwarder.port}")
    with psycopg.connect(database, autocommit=True) as connection:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        wait_for(lambda: query("select count(distinct machine) from jobs_worker") == [(len(hosts),)])
        # Until the first machine is cut off in a job, the others leave all jobs to it.
        for stage, host in itertools.product((1, 2), hosts[1:]):
            values = f"'host-{host.number}', {stage}, '', now() + interval '1 hour', 0"
            connection.execute(
                f"insert into jobs_stageblock (machine, stage, reason, until, after_attempt_id) values ({values})"
            )
        with stages_held(hosts[0].stage_server()):
            start_batch(environment, tmp_path)
            token = cut_in_a_job(hosts[0], database)
        connection.execute("delete from jobs_stageblock")
        wait_for(lambda: query(f"select 1 from jobs_attempt where token = '{token}' and outcome = 'failed'"))
        wait_for(lambda: query("select count(*) from jobs_job where stage = 2 and state = 'in_review'") == [(JOBS,)])

        healed = query("select now()")[0][0]
        hosts[0].cable.heal()
        back = f"select 1 from jobs_worker where machine = 'host-1' and heartbeat_at > '{healed.isoformat()}'"
        wait_for(lambda: query(back))
        effects = query("select verb, count(*) from jobs_event where verb in ('ingest', 'prepare') group by 1")
        assert dict(effects) == {"ingest": JOBS, "prepare": JOBS}
        assert not query("select 1 from jobs_event where version > 0 group by job_id, version having count(*) > 1")
        for host in hosts:
            assert host.process is not None
            host.process.terminate()
        assert [host.process.wait(PATIENCE_SECONDS) for host in hosts if host.process] == [0, 0, 0]


def cut_in_a_job(host: Host, database: str) -> str:
    """Cuts the machine off while it surely works: it cannot end what is locked here. The token of what it held."""
    leases = f"select token from jobs_stagerun where state = 'running' and lease_owner like 'host-{host.number}:%'"
    held: list[str] = []
    with psycopg.connect(database) as connection:

        def is_held() -> bool:
            held.extend(str(token) for (token,) in connection.execute(f"{leases} for update"))
            if not held:
                connection.rollback()
            return bool(held)

        wait_for(is_held)
        host.cable.cut()
    return held[0]
