"""jobs.supervisor: how a machine stops. What runs may finish; what takes longer than the bound goes with its group."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from batches.models import Batch
from jobs import queue, supervisor, sweeping, tasks, workers
from jobs.clusters import GuardedCluster
from jobs.lifecycle import move
from jobs.models import Attempt, Worker
from jobs.states import Queue
from jobs.supervisor import Supervisor
from tests.jobs.test_sandbox import is_gone, number_in, wait_for
from tests.people import make_job

pytestmark = pytest.mark.django_db
POLITE = """
import pathlib, signal, sys
def finish(*_):
    pathlib.Path(sys.argv[1], "finished").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
pathlib.Path(sys.argv[1], "pid").write_text("1")
signal.pause()
"""
STUBBORN = """
import os, pathlib, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1], "pid").write_text(str(child.pid))
while True:
    signal.pause()
"""
Start = Callable[[str], tuple[Supervisor, "subprocess.Popen[bytes]"]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A supervisor with one cluster, for which a program stands that has begun to work."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> tuple[Supervisor, subprocess.Popen[bytes]]:
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], start_new_session=True)
        started.append(process)
        here = Supervisor(queues=[Queue.LIGHT], worker=workers.announce([Queue.LIGHT]))
        here.clusters = [GuardedCluster(Queue.LIGHT, here.worker.name, process=process)]
        wait_for(lambda: number_in(tmp_path / "pid"))
        return here, process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("state", [Worker.DRAINING, Worker.BLOCKED])
def test_the_clusters_of_a_machine_that_is_drained_or_blocked_end_and_come_back_when_it_is_readmitted(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(workers, "HEARTBEAT_SECONDS", -1.0)
    here, process = start(POLITE)
    (cluster,) = here.clusters
    again: list[None] = []
    monkeypatch.setattr(cluster, "start", lambda: again.append(None))
    Worker.objects.update(state=state)
    here._beat()
    assert process.wait(60) == 0
    assert (tmp_path / "finished").exists()
    cluster.tend()
    here._beat()
    assert cluster.process is None
    assert not again
    Worker.objects.update(state=Worker.ACTIVE)
    here._beat()
    assert len(again) == 1


def test_a_storage_that_hangs_keeps_nobody_from_guarding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep of strays and the notes of heads ask the storage."""
    begun, release = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        begun.release()
        assert release.wait(60), "who looks after the clusters waited for it"

    monkeypatch.setattr(sweeping, "sweep_strays", hang)
    monkeypatch.setattr(supervisor, "STRAYS_EVERY_SECONDS", -1.0)
    strays = Supervisor(queues=[Queue.LIGHT])._strays
    for _ in range(3):
        strays.tend()
    assert begun.acquire(timeout=60)
    assert not begun.acquire(blocking=False), "one at a time"
    release.set()
    strays.thread.join()
    strays.tend()
    strays.thread.join()
    assert begun.acquire(blocking=False), "the next one when it is over"


def test_what_runs_may_finish(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 60.0)
    here, process = start(POLITE)
    here._end()
    assert (tmp_path / "finished").exists()
    assert process.returncode == 0
    assert Worker.objects.get().ended_at is not None


def test_what_takes_longer_than_the_bound_goes_with_all_that_it_started(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.0)
    here, process = start(STUBBORN)
    here._end()
    assert process.returncode == -9
    wait_for(lambda: is_gone(number_in(tmp_path / "pid")))
    assert Worker.objects.get().ended_at is not None


def test_a_cluster_that_was_asked_to_stop_begins_nothing_more(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers are forks of forks of it, and have tickets at hand."""
    monkeypatch.setattr(queue, "_stopping", mmap.mmap(-1, 1))
    move(make_job(batch), "start")
    here, there = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.read(here, 1)
        os._exit(queue.is_stopping())
    queue._end(Mock(), os.getppid(), signal.SIGTERM, None)
    os.write(there, b"1")
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 1
    tasks.work()
    assert not Attempt.objects.exists()


def test_a_cluster_that_missed_the_death_of_its_supervisor_finds_that_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was frozen then may get the signal in a thread that wakes nobody."""
    parents, alarms = [10, 10, 1], []

    class Sentinel:
        living = True

        def is_alive(self) -> bool:
            return self.living

        def join(self, seconds: float) -> None:
            assert seconds < 5

    class Cluster:
        sentinel = Sentinel()

        def start(self) -> None: ...

        def sig_handler(self, number: int, frame: object) -> None:
            assert number == signal.SIGTERM
            self.sentinel.living = False

    for name in ("spare_forks_what_is_here", "_tie_forks_to_their_parents", "stage_server"):
        monkeypatch.setattr(queue, name, lambda: None)
    monkeypatch.setattr(queue, "Cluster", Cluster)
    monkeypatch.setattr(queue, "_stopping", bytearray(1))
    monkeypatch.setattr(queue.signal, "signal", lambda *_: None)
    monkeypatch.setattr(queue.signal, "alarm", alarms.append)
    monkeypatch.setattr(queue.os, "getppid", lambda: parents.pop(0) if len(parents) > 1 else parents[0])
    queue.run_cluster(lambda: None)
    assert parents == [1]
    assert alarms == [queue.ORPHAN_SECONDS]
