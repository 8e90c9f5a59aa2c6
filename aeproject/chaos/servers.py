"""Servers that may be broken: a PostgreSQL and a Redis of our own. The machine's servers are never touched."""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from redis import Redis, RedisError

from jobs.parentage import PR_SET_PDEATHSIG

LOOPBACK = "127.0.0.1"
START_SECONDS = 120.0
DEBIAN = "/usr/lib/postgresql"


class NoServer(Exception):
    """There is no such server to be had here; the message says why."""


class Server(ABC):
    """A server of our own in ``folder``, for as long as the body of ``with`` runs. It dies with us.

    ``hosts`` are the addresses that it listens at. Raises NoServer at its begin.
    """

    def __init__(self, folder: Path, hosts: Sequence[str] = (LOOPBACK,)) -> None:
        self.folder = folder
        self.hosts = tuple(hosts)
        self.port = _free_port()
        self._password = secrets.token_urlsafe()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        self._prepare()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def url(self, host: str = LOOPBACK) -> str:
        """Where it is, seen from a machine that reaches it at ``host``."""

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a server that is installed here
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._start_options()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoServer(f"it did not start; the end of its log: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def crash(self) -> None:
        """Ends it at once, as a crash does: it finishes nothing and says no goodbye."""
        if self._process is not None:
            self._process.send_signal(self._end)
            self._process.wait()
            self._process = None

    # What the two do differently.
    _end: signal.Signals = signal.SIGKILL

    @abstractmethod
    def _prepare(self) -> None:
        """Makes what it needs in its folder."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What starts it."""

    def _start_options(self) -> dict[str, Any]:
        return {"preexec_fn": _end_with_us(self._end)}

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it can be asked now."""


class Postgres(Server):
    """Runs as an unprivileged user, as it demands. Each client logs in by a password that nobody else knows."""

    # The whole family at once, without a checkpoint; SIGKILL would leave its children behind.
    _end = signal.SIGQUIT

    def __init__(self, folder: Path, hosts: Sequence[str] = (LOOPBACK,), *, networks: Sequence[str] = ()) -> None:
        """``networks`` may connect beside the loopback."""
        super().__init__(folder, hosts)
        self._networks = tuple(networks)

    def url(self, host: str = LOOPBACK) -> str:
        return f"postgres://postgres:{self._password}@{host}:{self.port}/postgres"

    def _prepare(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        password = self.folder / "password"
        password.write_text(self._password)
        for path in (self.folder, password):
            if user := _unprivileged_user():
                os.chown(path, user.pw_uid, user.pw_gid)
        data = str(self.folder / "data")
        options = ("-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "--no-sync")
        made = subprocess.run(  # noqa: S603
            [_postgres_program("initdb"), "-D", data, *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **_as_user(),
        )
        if made.returncode:
            raise NoServer(f"initdb: {made.stderr.strip()[-300:]}")
        password.unlink()
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.writelines(f"host all all {network} scram-sha-256\n" for network in self._networks)

    def _command(self) -> list[str]:
        settings = {"port": self.port, "listen_addresses": ",".join(self.hosts), "unix_socket_directories": ""}
        chosen = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [_postgres_program("postgres"), "-D", str(self.folder / "data"), *chosen]

    def _start_options(self) -> dict[str, Any]:
        return {**super()._start_options(), **_as_user(), "cwd": "/"}

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class RedisServer(Server):
    """Keeps nothing on disk: after a crash it is empty."""

    def url(self, host: str = LOOPBACK) -> str:
        return f"redis://:{self._password}@{host}:{self.port}/0"

    def _prepare(self) -> None:
        if not shutil.which("redis-server"):
            raise NoServer("there is no redis-server here")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = (
            f"bind {' '.join(self.hosts)}",
            f"port {self.port}",
            f"requirepass {self._password}",
            f"dir {self.folder}",
            'save ""',
        )
        path = self.folder / "redis.conf"
        path.touch(mode=0o600)
        path.write_text("\n".join(lines))

    def _command(self) -> list[str]:
        return [str(shutil.which("redis-server")), str(self.folder / "redis.conf")]

    def _answers(self) -> bool:
        try:
            return bool(Redis(host=LOOPBACK, port=self.port, password=self._password).ping())
        except RedisError:
            return False


def _postgres_program(name: str) -> str:
    """Debian keeps most of them out of the PATH, by version."""
    found = shutil.which(name)
    if found:
        return found
    versions = sorted(Path(DEBIAN).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise NoServer(f"there is no PostgreSQL server here: {name} is missing")
    return str(versions[-1])


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom root lends its place to; None: we are nobody special ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoServer("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _as_user() -> dict[str, Any]:
    user = _unprivileged_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


def _end_with_us(number: signal.Signals) -> Callable[[], None]:
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, number)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])
