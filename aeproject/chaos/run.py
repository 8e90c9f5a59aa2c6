"""One run: a backend is set up, attacked until its jobs are done, stopped, counted and taken down again."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from aeproject.chaos.disks import SmallDisk, unmount
from aeproject.chaos.hosts import Host, processes, stop
from aeproject.chaos.network import Cable, NoRight
from aeproject.chaos.servers import LOOPBACK, NoServer, Postgres, RedisServer
from aeproject.chaos.troubles import (
    TROUBLES,
    Attacker,
    BrokerRestart,
    DatabaseRestart,
    DiskFull,
    NetworkCut,
    Target,
)
from aeproject.processes import die_with_parent

ROUND_SECONDS = 0.1
LEASE_SECONDS = 4
RECOVERY_LIMIT_SECONDS = 60.0
DISK_BYTES = 96 * 2**20
DISK_BYTES_PER_JOB = 2**19
ORPHAN_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What a machine runs on. With PostgreSQL there are two machines, one of them on a cable that can be cut."""

    key: str
    title: str
    postgres: bool = False
    redis: bool = False


BACKENDS = (
    Backend(key="sqlite", title="SQLite, ORM"),
    Backend(key="postgres", title="PostgreSQL, ORM", postgres=True),
    Backend(key="redis", title="PostgreSQL, Redis", postgres=True, redis=True),
)


class RunFailed(Exception):
    """The run itself did not work; nothing can be said of the machine."""


@dataclass(kw_only=True)
class Report:
    """What a run did. ``troubles`` by name; what could not be caused is in ``skipped`` with the reason."""

    jobs: int
    troubles: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    complete: int = 0
    unfinished: int = 0
    retried: int = 0
    effects: int = 0
    double_effects: int = 0
    lost: int = 0
    broken_histories: int = 0
    orphan_processes: int = 0
    stray_files: int = 0
    seconds: float = 0.0
    longest_recovery_seconds: float = 0.0

    def faults(self) -> list[str]:
        """In words, what must not be."""
        names = ("unfinished", "double_effects", "lost", "broken_histories", "orphan_processes", "stray_files")
        found = [f"{getattr(self, name)} {name.replace('_', ' ')}" for name in names if getattr(self, name)]
        if self.longest_recovery_seconds > RECOVERY_LIMIT_SECONDS:
            found.append(f"{self.longest_recovery_seconds:.0f} s to recover")
        return found


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked of a run: ``most`` troubles (None: no end), ``only`` of these names (empty: all)."""

    jobs: int
    seed: int
    every_seconds: float
    timeout_seconds: float
    most: int | None = None
    only: frozenset[str] = frozenset()


def run(backend: Backend, plan: Plan, folder: Path) -> Report:
    """Works in ``folder``, which keeps the logs. Raises NoServer for a backend that is not to be had, RunFailed."""
    unmount(folder / "machine")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = Report(jobs=plan.jobs)
    with _backend(backend, plan, folder) as (target, hosts):
        troubles = [kind for kind in TROUBLES if not plan.only or kind.name in plan.only]
        report.skipped = {kind.name: target.missing[kind.name] for kind in troubles if kind.name in target.missing}
        dice = random.Random(plan.seed)  # noqa: S311 - chance, not a secret
        possible = [kind(target) for kind in troubles if kind.name not in target.missing]
        attacker = Attacker(possible, dice, plan.every_seconds, plan.most)
        people = hosts[0].environment | {"DATABASE_URL": _url(target)}
        _part("open", plan, people, folder)
        try:
            _attack(hosts, attacker, target, plan, people, folder, report)
        except NoServer as error:
            raise RunFailed(f"a server of the run's own did not come back: {error}") from None
        finally:
            stop(hosts)
        report.troubles = {
            kind.name: attacker.caused[kind.name] for kind in troubles if kind.name not in report.skipped
        }
        report.orphan_processes = _orphans(target.data)
        for name, value in _part("count", plan, people, folder).items():
            setattr(report, name, value)
    return report


def _attack(
    hosts: list[Host],
    attacker: Attacker,
    target: Target,
    plan: Plan,
    people: dict[str, str],
    folder: Path,
    report: Report,
) -> None:
    """Until the people have nothing left to decide."""
    for host in hosts:
        host.revive()
    deciding = _start_part("decide", plan, people, folder)
    target.spared.add(deciding.pid)
    deadline = time.monotonic() + plan.timeout_seconds
    try:
        while deciding.poll() is None and time.monotonic() < deadline:
            for host in hosts:
                host.revive()
            attacker.look()
            time.sleep(ROUND_SECONDS)
        if deciding.poll() is None:
            report.seconds = report.longest_recovery_seconds = plan.timeout_seconds
            return
        answer, _ = deciding.communicate()
        for name, value in _answer("decide", deciding.returncode, answer).items():
            setattr(report, name, value)
    finally:
        attacker.relent()
        deciding.kill()
        deciding.wait()


# Setting it up --------------------------------------------------------------------------------------------------------
@contextmanager
def _backend(backend: Backend, plan: Plan, folder: Path) -> Iterator[tuple[Target, list[Host]]]:
    data = folder / "machine"
    target = Target(data=data, lease_seconds=LEASE_SECONDS)
    with ExitStack() as stack:
        _add_disk(stack, target, plan)
        (data / "tmp").mkdir(parents=True)
        if not backend.postgres:
            target.missing[DatabaseRestart.name] = "SQLite is a file"
            target.missing[NetworkCut.name] = "a machine with SQLite uses no network"
            target.missing[BrokerRestart.name] = "the broker is the database"
            yield target, [_host("one", target, folder, workers=2)]
            return
        _add_cable(stack, target)
        near = [target.cable.near] if target.cable else []
        networks = [target.cable.network] if target.cable else []
        target.postgres = Postgres(folder / "postgres", [LOOPBACK, *near], networks=networks)
        stack.enter_context(target.postgres)
        if backend.redis:
            target.redis = RedisServer(folder / "redis", [LOOPBACK, *near])
            stack.enter_context(target.redis)
        else:
            target.missing[BrokerRestart.name] = "the broker is the database"
        yield (
            target,
            [
                _host("here", target, folder, workers=1),
                _host("cable", target, folder, workers=1, cable=target.cable),
            ],
        )


def _add_disk(stack: ExitStack, target: Target, plan: Plan) -> None:
    disk = SmallDisk(target.data, size_bytes=DISK_BYTES + plan.jobs * DISK_BYTES_PER_JOB)
    try:
        target.disk = stack.enter_context(disk)
    except NoRight as error:
        target.missing[DiskFull.name] = str(error)


def _add_cable(stack: ExitStack, target: Target) -> None:
    try:
        target.cable = stack.enter_context(Cable(9))
    except NoRight as error:
        target.missing[NetworkCut.name] = str(error)


def _host(name: str, target: Target, folder: Path, *, workers: int, cable: Cable | None = None) -> Host:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("S3_", "WORKERS", "TEST_"))},
        "DJANGO_SETTINGS_MODULE": "aeproject.settings",
        "DATA_DIR": str(target.data),
        "TMPDIR": str(target.data / "tmp"),
        "DATABASE_URL": _url(target, cable),
        "REDIS_URL": target.redis.url(cable.near if cable else LOOPBACK) if target.redis else "",
        "WORKER_NAME": name,
        "WORKERS": str(workers),
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "STUCK_SECONDS": str(LEASE_SECONDS),
        "STAGE_BLOCK_SECONDS": "10",
        "MATCH_THRESHOLD": "0",
        "SYSTEM_FONTS": "no",
        "LOG_LEVEL": "WARNING",
    }
    return Host(name, environment, folder / f"{name}.log", cable)


def _url(target: Target, cable: Cable | None = None) -> str:
    if target.postgres is None:
        return f"sqlite:///{target.data}/db.sqlite3"
    return target.postgres.url(cable.near if cable else LOOPBACK)


# Parts in processes of their own --------------------------------------------------------------------------------------
def _start_part(name: str, plan: Plan, environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "aeproject.chaos.parts", name, str(plan.jobs)],
        cwd=settings.BASE_DIR,
        env=environment,
        preexec_fn=die_with_parent,
        stdout=subprocess.PIPE,
        text=True,
    )


def _part(name: str, plan: Plan, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    part = _start_part(name, plan, environment, folder)
    answer, _ = part.communicate()
    return _answer(name, part.returncode, answer)


def _answer(name: str, code: int, text: str) -> dict[str, Any]:
    if code:
        raise RunFailed(f"the part {name!r} of the run ended with exit code {code}; its error is above")
    answer: dict[str, Any] = json.loads(text.splitlines()[-1])
    return answer


def _orphans(data: Path) -> int:
    """Processes that outlive the machine's stop by more than a moment."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left := processes(data)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(left)
