"""aeproject.chaos: each trouble does what it says and ends; a short run loses nothing and does nothing twice."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from redis import Redis

from aeproject.chaos import parts, run
from aeproject.chaos.disks import SmallDisk
from aeproject.chaos.hosts import processes
from aeproject.chaos.network import Cable, NoRight
from aeproject.chaos.run import Report
from aeproject.chaos.servers import NoServer, Postgres, RedisServer
from aeproject.chaos.troubles import (
    TROUBLES,
    Attacker,
    BrokerRestart,
    DatabaseRestart,
    DiskFull,
    Freeze,
    Kill,
    NetworkCut,
    Strike,
    Target,
    Trouble,
)
from aeproject.management.commands.chaos import Command
from jobs.lifecycle import move
from jobs.models import StageRun
from tests.people import make_job
from tests.test_end_to_end import wait_for


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(data=tmp_path / "machine", lease_seconds=2.0)


@pytest.fixture
def dice() -> random.Random:
    return random.Random(1)


@pytest.fixture
def victim(target: Target) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, "DATA_DIR": str(target.data)})
    wait_for(lambda: processes(target.data) == [process.pid])
    yield process
    process.kill()
    process.wait()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_kill_hits_the_machine_and_nobody_who_is_spared(target, victim, dice):
    target.spared = {victim.pid}
    assert Kill(target).strike(dice) is None
    target.spared.clear()
    assert Kill(target).strike(dice) == Strike()
    assert victim.wait(60) == -signal.SIGKILL


def test_a_frozen_process_wakes_after_its_lease(target, victim, dice):
    strike = Freeze(target).strike(dice)
    assert strike.seconds > target.lease_seconds
    wait_for(lambda: state_of(victim.pid) == "T")
    strike.end()
    wait_for(lambda: state_of(victim.pid) == "S")


def test_a_full_disk_takes_no_byte_until_it_is_freed(target, dice):
    try:
        with SmallDisk(target.data, size_bytes=2**20) as target.disk:
            (target.data / "there before").write_bytes(b"1234")
            strike = DiskFull(target).strike(dice)
            with pytest.raises(OSError) as failed:
                (target.data / "more").write_bytes(b"x")
            assert failed.value.errno == errno.ENOSPC
            assert (target.data / "there before").read_bytes() == b"1234"
            strike.end()
            (target.data / "more").write_bytes(b"x")
    except NoRight as error:
        pytest.skip(str(error))
    assert not target.data.is_mount()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may reach, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_postgres_of_our_own_crashes_and_keeps_what_it_was_told(target, dice, open_folder):
    try:
        with Postgres(open_folder / "postgres") as target.postgres:
            url = target.postgres.url()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("create table kept as select 1 as number")
                strike = DatabaseRestart(target).strike(dice)
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("select 1")
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url, connect_timeout=2)
            strike.end()
            with psycopg.connect(url) as connection:
                assert connection.execute("select number from kept").fetchall() == [(1,)]
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(re.sub("postgres:[^:@]*@", "postgres:guessed@", url))
    except NoServer as error:
        pytest.skip(str(error))
    assert not list(open_folder.iterdir())


def test_a_redis_of_our_own_comes_back_empty(target, dice, tmp_path):
    try:
        with RedisServer(tmp_path / "redis") as target.redis:
            Redis.from_url(target.redis.url()).set("ticket", "1")
            BrokerRestart(target).strike(dice).end()
            assert Redis.from_url(target.redis.url()).get("ticket") is None
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def network_to_cut(network):
    with network(fcntl.LOCK_EX):
        yield


def test_a_cut_cable_carries_nothing_until_it_is_healed(target, dice, network_to_cut):
    try:
        with Cable(90) as target.cable, socket.create_server((target.cable.near, 0)) as listener:
            port = listener.getsockname()[1]
            probe = (
                "import socket, sys; socket.create_connection((sys.argv[1], sys.argv[2]), timeout=float(sys.argv[3]))"
            )
            call = [*target.cable.command, sys.executable, "-c", probe, target.cable.near, str(port)]
            assert subprocess.run([*call, "60"], capture_output=True).returncode == 0
            strike = NetworkCut(target).strike(dice)
            assert subprocess.run([*call, "0.5"], capture_output=True).returncode == 1
            strike.end()
            assert subprocess.run([*call, "60"], capture_output=True).returncode == 0
    except NoRight as error:
        pytest.skip(str(error))
    assert not Path(f"/run/netns/{target.cable.namespace}").exists()


class Note(Trouble):
    """Lasts until it is ended by hand."""

    name, share = "noted", 1
    ended = threading.Event()

    def strike(self, dice):
        return Strike(3600.0, self.ended.set)


def test_a_trouble_that_lasts_is_not_caused_twice_and_always_ends(target, dice):
    attacker = Attacker([Note(target)], dice, 0.0)
    for _ in range(5):
        attacker.look()
    assert attacker.caused == {"noted": 1}
    assert not Note.ended.is_set()
    attacker.relent()
    assert Note.ended.is_set()
    attacker.look()
    assert attacker.caused == {"noted": 2}


def test_a_trouble_that_hit_nobody_comes_again(target, victim, dice):
    target.spared = {victim.pid}
    attacker = Attacker([Kill(target), Freeze(target)], dice, 0.0, most=1)
    for _ in range(3):
        attacker.look()
    assert attacker.caused.total() == 0
    assert len(attacker._deck) == Kill.share + Freeze.share


def test_a_deck_holds_every_trouble_by_its_share_and_a_seed_shuffles_alike(target):
    def draws(seed):
        attacker = Attacker([kind(target) for kind in TROUBLES], random.Random(seed), 1.0)
        return [attacker._draw().name for _ in range(sum(kind.share for kind in TROUBLES))]

    assert draws(1) == draws(1) != draws(2)
    assert {name: draws(1).count(name) for name in draws(1)} == {kind.name: kind.share for kind in TROUBLES}


def test_attacks_end_after_the_number_that_was_asked_for(target, victim, dice):
    attacker = Attacker([Freeze(target)], dice, 0.0, most=2)
    for _ in range(5):
        attacker.look()
    assert attacker.caused.total() == 2
    attacker.relent()


def test_what_was_skipped_is_printed_with_its_reason(capsys):
    report = Report(jobs=3, troubles={"killed": 2}, skipped={"disk filled": "no right to mount"}, lost=1)
    plan = type("P", (), {"only": {"killed", "disk filled"}, "seed": 1, "every_seconds": 2.0})
    Command()._print(plan, {"SQLite, ORM": report}, {"PostgreSQL, ORM": "there is no PostgreSQL server here"})
    text = capsys.readouterr().out
    assert "| disk filled" in text
    assert "skipped: SQLite, ORM, disk filled: no right to mount" in text
    assert "skipped: PostgreSQL, ORM: there is no PostgreSQL server here" in text
    assert report.faults() == ["1 lost"]


def test_a_server_that_does_not_come_back_is_no_backend_that_was_skipped(tmp_path, monkeypatch):
    def attack(*args):
        raise NoServer("it did not start")

    monkeypatch.setattr(run, "_attack", attack)
    monkeypatch.setattr(run, "_part", lambda *args: {})
    plan = run.Plan(jobs=1, seed=1, every_seconds=1.0, timeout_seconds=1.0)
    with pytest.raises(run.RunFailed, match="did not come back"):
        run.run(run.BACKENDS[0], plan, tmp_path / "run")
    assert not (tmp_path / "run" / "machine").is_mount()


@pytest.mark.django_db
def test_a_job_that_nobody_will_go_on_with_is_lost_and_one_that_waits_is_unfinished(batch, capsys):
    waiting, stranded, _pending = (make_job(batch) for _ in range(3))
    for job in (waiting, stranded):
        move(job, "start")
    assert parts.count(3)["lost"] == 0
    assert parts.count(3)["unfinished"] == 3
    stranded.runs.update(state=StageRun.DROPPED)
    assert parts.count(3)["lost"] == 1
    assert parts.count(4)["lost"] == 2  # one has no record any more
    assert parts.count(3)["unfinished"] == 2


@pytest.mark.slow
def test_a_short_run_loses_nothing_and_does_nothing_twice(tmp_path):
    troubles = ["--only", "killed", "--only", "frozen and woken", "--every", "0.7", "--most", "4"]
    result = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "chaos",
            "--backend",
            "sqlite",
            "--jobs",
            "4",
            "--seed",
            "1",
            "--json",
            *troubles,
        ],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    report = Report(**json.loads(result.stdout)["SQLite, ORM"])
    assert report.troubles["killed"] >= 1
    assert report.troubles["frozen and woken"] >= 1
    assert report.complete == 4, asdict(report)
    assert report.effects == 4 * 4
    assert report.faults() == []
    assert not (tmp_path / "chaos" / "sqlite" / "machine").is_mount()
