"""jobs.orphans: what a killed worker's stage had started is ended; what belongs to a living cluster is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.orphans import Orphans
from jobs.parentage import PARENT_VARIABLE, child_environment
from jobs.workers import NAME_VARIABLE

START_A_PROGRAM = (
    "import subprocess, sys; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True)"
)
STAY = "; sys.stdin.read()"


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


def state(pid: int) -> str:
    """The letter that the kernel shows for it; raises OSError when it is gone."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_alive(pid: int) -> bool:
    try:
        return state(pid) != "Z"
    except OSError:
        return False


@pytest.fixture
def machine() -> str:
    return f"m{uuid.uuid4().hex}"


@pytest.fixture
def start(machine: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python with the machine's mark; ``words`` end its command line."""
    started = []

    def start(code: str, *words: str, session: bool = False, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env={**child_environment(**{NAME_VARIABLE: f"{machine}:1"}), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=session,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_program_whose_worker_is_gone_is_ended_at_the_second_look(machine, start):
    worker = start(START_A_PROGRAM)
    program = int(worker.stdout.readline())
    worker.wait()
    orphans = Orphans(machine)
    assert orphans.look() == 0
    assert is_alive(program)
    assert orphans.look() == 1
    wait_for(lambda: not is_alive(program))
    assert orphans.look() == 0


def test_what_a_living_cluster_runs_is_left_alone(machine, start):
    cluster = start(START_A_PROGRAM + STAY, "cluster", session=True)
    program = int(cluster.stdout.readline())
    orphans = Orphans(machine)
    assert [orphans.look() for _ in range(3)] == [0, 0, 0]
    assert is_alive(program)
    os.kill(cluster.pid, signal.SIGKILL)
    cluster.wait()
    assert [orphans.look() for _ in range(2)] == [0, 1]
    wait_for(lambda: not is_alive(program))


@pytest.mark.parametrize("is_left", [True, False])
def test_a_frozen_cluster_hears_that_its_supervisor_is_gone(machine, start, is_left):
    variables = {PARENT_VARIABLE: "1"} if is_left else {}
    cluster = start("import sys; print(flush=True)" + STAY, "cluster", session=True, **variables)
    cluster.stdout.readline()
    os.kill(cluster.pid, signal.SIGSTOP)
    wait_for(lambda: state(cluster.pid) == "T")
    # What the kernel sends when the supervisor dies waits until the process goes on.
    os.kill(cluster.pid, signal.SIGTERM)
    Orphans(machine).look()
    if is_left:
        assert cluster.wait(60) == -signal.SIGTERM
    else:
        assert state(cluster.pid) == "T", "freezing and waking what it guards is the supervisor's own business"


def test_the_programs_of_another_machine_are_not_ours(machine, start):
    worker = start(START_A_PROGRAM)
    program = int(worker.stdout.readline())
    worker.wait()
    other = Orphans(machine + "x")
    assert [other.look() for _ in range(3)] == [0, 0, 0]
    assert is_alive(program)
    os.kill(program, signal.SIGKILL)
