"""jobs.sandbox: a stage cannot take more than its limits, and ends with its worker and with its server."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from psd_tools import PSDImage

from jobs import sandbox
from jobs import stage_server as stage_server_module
from jobs.errors import LeaseLost
from jobs.sandbox import StageFailed, run_stage, stage_server
from jobs.stage_server import AGAIN_SECONDS, SPARES
from jobs.stages.base import Inputs, Limits, Outcome
from tests.jobs import odd_stages
from tests.jobs.odd_stages import name_of

LIMITS = Limits(seconds=120, memory_bytes=8 * 2**30, file_bytes=2**20)


def nothing(step: str, percent: float) -> None:
    return


def run(stage, inputs: Inputs, *, limits: Limits = LIMITS, beat=nothing) -> Outcome:
    return run_stage(name_of(stage), inputs, limits=limits, beat=beat)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(
        job_id="J1",
        psd=tmp_path / "a.psd",
        project=tmp_path / "a.aepx",
        psd_name="a.psd",
        project_name="a.aepx",
        workdir=tmp_path,
        search=(),
        font_dirs=(),
        system_fonts=False,
        output_name="out.aep",
        render_comp_id=None,
        matches=(),
        results={},
        match_threshold=50,
        preview_max_seconds=1,
        forced_reason="",
        row_line=2,
        slot_cells={},
    )


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


def number_in(path: Path) -> int:
    """0 until somebody wrote it."""
    return int(path.read_text() or 0) if path.exists() else 0


# What comes back ------------------------------------------------------------------------------------------------------
def test_an_outcome_comes_back_with_its_progress(inputs):
    heard: list[tuple[str, float]] = []
    result = run(odd_stages.half, inputs, beat=lambda step, percent: heard.append((step, percent))).result
    assert ("half", 50) in heard
    assert result["pid"] == result["group"] != os.getpid()


def test_every_stage_has_a_process_of_its_own_that_has_loaded_no_django(inputs):
    pids = {run(odd_stages.half, inputs).result["pid"] for _ in range(4)}
    assert len(pids) == 4
    modules = set(run(odd_stages.loaded, inputs).result["modules"])
    assert {"psd_tools", "skia", "av"} <= modules
    assert not modules & {"django", "jobs.models", "jobs.queue", "rest_framework"}


def test_a_stage_holds_no_socket_but_the_one_to_its_worker(inputs):
    """Beside another that runs meanwhile, whose worker it could otherwise speak to."""
    beside = replace(inputs, workdir=inputs.workdir / "beside")
    beside.workdir.mkdir()
    found: list[Outcome] = []

    def beat(step: str, percent: float) -> None:
        if step == "waiting" and not found:
            for _ in range(SPARES + 1):  # also a process that was forked while the other was at work
                found.append(run(odd_stages.open_sockets, inputs))
            (beside.workdir / "go").touch()

    run(odd_stages.wait_for_go, beside, beat=beat)
    assert {len(outcome.result["sockets"]) for outcome in found} == {1}


@pytest.mark.parametrize(
    ("stage", "error_class", "message"),
    [
        (odd_stages.wrong_file, "file", "a.psd: is empty."),
        (odd_stages.out_of_memory, "memory", "memory"),
        (odd_stages.disk_trouble, "transient", "disk"),
        (odd_stages.bug, "bug", "KeyError"),
        (odd_stages.segfault, "crash", "SIGSEGV"),
        (odd_stages.just_exit, "crash", "without an outcome"),
        (odd_stages.unwritable_outcome, "transient", "could not write its outcome"),
        (odd_stages.huge_file, "memory", "1048576 bytes"),
        (odd_stages.huge_memory, "memory", "memory"),
        (odd_stages.encode_with_little_memory, "memory", "more memory than the"),
        (odd_stages.map_more_than_there_may_be, "memory", "more memory than the"),
        (odd_stages.bug_near_the_limit, "memory", "more memory than the"),
    ],
)
def test_errors_keep_their_meaning(inputs, stage, error_class, message):
    with pytest.raises(StageFailed, match=message) as failed:
        run(stage, inputs)
    assert failed.value.error_class == error_class


def test_a_design_that_finds_no_memory_is_not_accused(inputs):
    PSDImage.new("RGB", (2000, 2000)).save(inputs.psd)
    with pytest.raises(StageFailed, match="more memory than the") as failed:
        run(odd_stages.draw_a_design_with_little_memory, inputs)
    assert failed.value.error_class == "memory"


def test_what_a_library_says_when_it_is_refused_memory_is_in_the_log(inputs):
    with pytest.raises(StageFailed) as failed:
        run(odd_stages.bug_near_the_limit, inputs)
    assert "RuntimeError: Generic error in an external library" in failed.value.log


def test_a_bug_keeps_its_traceback(inputs):
    with pytest.raises(StageFailed) as failed:
        run(odd_stages.bug, inputs)
    assert "Traceback" in failed.value.log


def test_a_stage_that_cannot_be_found_is_a_crash(inputs):
    with pytest.raises(StageFailed, match="without an outcome"):
        run_stage("jobs.stages.nothing:there", inputs, limits=LIMITS, beat=nothing)


def test_a_request_that_cannot_be_written_says_so(inputs):
    with pytest.raises(OSError, match="No such file"):
        run(odd_stages.quiet, replace(inputs, workdir=inputs.workdir / "gone"))


def test_temporary_files_of_a_stage_lie_in_its_work_directory(inputs):
    result = run(odd_stages.temporary_files, inputs).result
    assert {Path(name).parent for name in result.values()} == {inputs.workdir}


def test_a_full_collection_leaves_alone_what_was_there_before(inputs):
    """Otherwise it would copy every page with an object on it. Counted in copied pages, by the kernel."""
    copied = run(odd_stages.collect, inputs).result
    assert copied["alone"] < copied["all"] / 4


def test_a_log_line_longer_than_a_message_is_cut(inputs, caplog):
    run(odd_stages.log_a_long_line, inputs)
    assert set(caplog.records[-1].getMessage()) == {"\N{SNOWMAN}"}


# What ends it ---------------------------------------------------------------------------------------------------------
def processes_of(inputs: Inputs) -> list[int]:
    """The stage's process and the program it started, when both are there."""
    found = [number_in(inputs.workdir / name) for name in ("pid", "child")]
    return found if all(found) else []


@pytest.mark.parametrize("stage", [odd_stages.hang, odd_stages.hang_in_c])
def test_a_stage_that_hangs_is_killed_with_its_children(inputs, stage, monkeypatch):
    hung_seconds = 0.0

    def monotonic() -> float:
        """From when the stage hangs on, each look at the clock is two minutes after the one before."""
        nonlocal hung_seconds
        hung_seconds += 120.0 if processes_of(inputs) else 0.0
        return time.monotonic() + hung_seconds

    monkeypatch.setattr(sandbox, "time", SimpleNamespace(monotonic=monotonic))
    with pytest.raises(StageFailed, match="longer than 100 s") as failed:
        run(stage, inputs, limits=replace(LIMITS, seconds=100))
    assert failed.value.error_class == "time"
    assert len(processes_of(inputs)) == 2
    wait_for(lambda: all(is_gone(pid) for pid in processes_of(inputs)))


@pytest.mark.parametrize("stage", [odd_stages.hang, odd_stages.hang_in_c])
def test_a_lost_lease_ends_the_stage_at_once(inputs, stage, monkeypatch):
    monkeypatch.setattr(sandbox, "END_SECONDS", 60.0)

    def beat(step: str, percent: float) -> None:
        if processes_of(inputs):
            raise LeaseLost

    with pytest.raises(LeaseLost):
        run(stage, inputs, beat=beat)
    assert is_gone(processes_of(inputs)[0])
    wait_for(lambda: is_gone(processes_of(inputs)[1]))


@pytest.mark.parametrize("stage", [odd_stages.leave_a_program, odd_stages.leave_a_program_and_crash])
def test_programs_do_not_outlive_their_stage(inputs, stage):
    with contextlib.suppress(StageFailed):
        run(stage, inputs)
    assert len(processes_of(inputs)) == 2
    wait_for(lambda: all(is_gone(pid) for pid in processes_of(inputs)))


def test_a_stage_that_is_killed_from_outside_accuses_nobody(inputs):
    killed: list[int] = []

    def beat(step: str, percent: float) -> None:
        if processes_of(inputs) and not killed:  # once: nobody may be there any more, or somebody else
            killed.append(processes_of(inputs)[0])
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(StageFailed, match="from outside") as failed:
        run(odd_stages.hang, inputs, beat=beat)
    assert failed.value.error_class == "worker"
    wait_for(lambda: is_gone(processes_of(inputs)[1]))


WORKER = """
import pickle, sys
from jobs.sandbox import run_stage
name, inputs, limits = pickle.loads(bytes.fromhex(sys.argv[1]))
run_stage(name, inputs, limits=limits, beat=lambda step, percent: None)
"""


@pytest.mark.parametrize("stage", [odd_stages.hang, odd_stages.hang_in_c])
@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
def test_a_killed_worker_takes_its_stage_along(inputs, stage, frozen):
    """Also one that holds the interpreter, or that is stopped."""
    asked = pickle.dumps((name_of(stage), inputs, LIMITS)).hex()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, asked])
    wait_for(lambda: processes_of(inputs))
    if frozen:
        os.kill(processes_of(inputs)[0], signal.SIGSTOP)
    worker.kill()
    worker.wait()
    wait_for(lambda: all(is_gone(pid) for pid in processes_of(inputs)))


FORKED_WORKER = """
import os, pickle, sys
from jobs.sandbox import run_stage, stage_server
name, inputs, limits = pickle.loads(bytes.fromhex(sys.argv[1]))
stage_server()
if os.fork() == 0:
    print(os.getpid(), flush=True)
    run_stage(name, inputs, limits=limits, beat=lambda step, percent: None)
os.wait()
print(pickle.dumps(run_stage(sys.argv[2], inputs, limits=limits, beat=lambda step, percent: None)).hex(), flush=True)
"""


def test_a_killed_fork_takes_its_stage_along_and_the_others_work_on(inputs):
    """As the workers of a cluster, which share one server."""
    asked = pickle.dumps((name_of(odd_stages.hang_in_c), inputs, LIMITS)).hex()
    command = [sys.executable, "-c", FORKED_WORKER, asked, name_of(odd_stages.half)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        worker = int(cluster.stdout.readline())
        wait_for(lambda: processes_of(inputs))
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: all(is_gone(pid) for pid in processes_of(inputs)))
        outcome = pickle.loads(bytes.fromhex(cluster.stdout.readline()))
    assert outcome.result["pid"] not in processes_of(inputs)


# The server -----------------------------------------------------------------------------------------------------------
def server_pid() -> int:
    pid = stage_server().pid
    assert pid is not None
    return pid


def spares() -> list[int]:
    """Those that wait for a request: a process that took one has closed the socket of the requests."""
    pid = server_pid()
    requests = os.readlink(f"/proc/self/fd/{stage_server()._far.fileno()}")
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if requests in {os.readlink(fd) for fd in Path(f"/proc/{child}/fd").iterdir()}:
                found.append(int(child))
    return found


def all_spares() -> list[int]:
    """When as many wait as there should be: the server forks no more until somebody asks."""
    wait_for(lambda: len(spares()) == SPARES)
    return spares()


def test_a_killed_server_takes_the_stage_along_and_another_comes(inputs):
    waited: list[int] = []

    def beat(step: str, percent: float) -> None:
        if processes_of(inputs) and not waited:
            waited.extend(all_spares())
            os.kill(server, signal.SIGKILL)

    run(odd_stages.quiet, inputs)
    server = server_pid()
    with pytest.raises(StageFailed, match="server was killed") as failed:
        run(odd_stages.hang_in_c, inputs, beat=beat)
    assert failed.value.error_class == "worker"
    # A spare that is about to die might still take a request along.
    wait_for(lambda: all(is_gone(pid) for pid in (*processes_of(inputs), *waited)))
    assert run(odd_stages.half, inputs).result["parent"] == server_pid() != server


def test_killed_spares_are_replaced(inputs):
    run(odd_stages.quiet, inputs)
    killed = all_spares()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(is_gone(pid) for pid in killed))
    assert run(odd_stages.half, inputs).result["parent"] == server_pid()


def test_spares_that_fail_are_not_forked_on_and_on(monkeypatch):
    """As when a library can no longer be loaded."""
    clock = SimpleNamespace(monotonic=lambda: now, sleep=time.sleep)
    now = 100.0
    monkeypatch.setattr(stage_server_module, "time", clock)
    monkeypatch.setattr(stage_server_module, "await_request", lambda hub, tell: os._exit(1))
    hub, nobody = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with hub, nobody:
        forks = stage_server_module._Forks(hub)

        def turn() -> tuple[int, int | None]:
            """How many were forked, which fail, and in how many milliseconds the server looks again."""
            wait_ms = forks._keep_spares()
            count = len(forks._pids)
            while forks._pids:
                for pidfd, _ in forks._poll.poll():
                    forks._bury(pidfd)
            return count, wait_ms

        assert turn() == (SPARES, None)
        assert turn() == (0, AGAIN_SECONDS * 1_000)
        now += AGAIN_SECONDS
        assert turn() == (SPARES, None)


def test_a_frozen_server_stands_in_nobodys_way(inputs, monkeypatch):
    """Its spares serve without it, the kernel ends what must end, and when nobody is left the stage is tried again."""
    monkeypatch.setattr(sandbox, "END_SECONDS", 0.5)

    def beat(step: str, percent: float) -> None:
        if processes_of(inputs):
            raise LeaseLost

    run(odd_stages.quiet, inputs)
    all_spares()
    server = server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        assert run(odd_stages.half, inputs).result["parent"] == server
        with pytest.raises(LeaseLost):
            run(odd_stages.hang, inputs, beat=beat)
        wait_for(lambda: all(is_gone(pid) for pid in processes_of(inputs)))
        monkeypatch.setattr(sandbox, "START_SECONDS", 0.5)
        with pytest.raises(StageFailed, match="no process took up") as failed:  # not: it took too long
            run(odd_stages.half, inputs, limits=replace(LIMITS, seconds=0))
        assert failed.value.error_class == "worker"
    finally:
        monkeypatch.undo()
        os.kill(server, signal.SIGCONT)
    assert run(odd_stages.half, inputs).result["parent"] == server


def test_what_nobody_waits_for_any_more_is_not_begun(inputs, monkeypatch):
    """A request that was given up while all processes were busy or frozen."""
    monkeypatch.setattr(sandbox, "END_SECONDS", 0.5)
    abandoned = replace(inputs, workdir=inputs.workdir / "abandoned")
    abandoned.workdir.mkdir()
    run(odd_stages.quiet, inputs)
    frozen = all_spares()
    for pid in (server_pid(), *frozen):
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(LeaseLost):
            run(odd_stages.wait_for_go, abandoned, beat=_lost)
    finally:
        for pid in (server_pid(), *frozen):
            os.kill(pid, signal.SIGCONT)
    run(odd_stages.half, inputs)
    assert not (abandoned.workdir / "pid").exists()


def _lost(step: str, percent: float) -> None:
    raise LeaseLost


def test_large_libraries_are_loaded_by_the_stage_that_uses_them(inputs):
    assert run(odd_stages.tell_what_is_loaded, inputs).result == {"before": [], "works": [4, 1.0]}
