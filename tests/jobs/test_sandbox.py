"""jobs.sandbox: a stage cannot take more than its limits, and ends with its parent."""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from jobs.errors import LeaseLost
from jobs.queue import spare_forks_what_is_here
from jobs.sandbox import Limits, StageFailed, run_stage
from jobs.stages.base import Inputs, Outcome
from rendering.errors import FormatError

LIMITS = Limits(seconds=20, memory_bytes=8 * 2**30, file_bytes=2**20)


def nothing(step: str, percent: float) -> None:
    return


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
    )


def test_an_outcome_comes_back_with_its_progress(inputs):
    heard: list[tuple[str, float]] = []

    def stage(inputs, report):
        report("half", 50)
        return Outcome(result={"pid": os.getpid()})

    outcome = run_stage(stage, inputs, limits=LIMITS, beat=lambda step, percent: heard.append((step, percent)))
    assert outcome.result["pid"] != os.getpid()
    assert ("half", 50) in heard


@pytest.mark.parametrize(
    ("error", "error_class", "message"),
    [
        (FormatError("a.psd", "is empty."), "file", "a.psd: is empty."),
        (MemoryError(), "memory", "memory"),
        (OSError("disk"), "transient", "disk"),
        (KeyError("slot"), "bug", "KeyError"),
    ],
)
def test_errors_keep_their_meaning(inputs, error, error_class, message):
    def stage(inputs, report):
        raise error

    with pytest.raises(StageFailed, match=message) as failed:
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)
    assert failed.value.error_class == error_class


def test_a_bug_keeps_its_traceback(inputs):
    def stage(inputs, report):
        raise KeyError("slot")

    with pytest.raises(StageFailed) as failed:
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)
    assert "Traceback" in failed.value.log


def test_a_crash_in_c_code_is_told(inputs):
    def stage(inputs, report):
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(StageFailed, match="SIGSEGV") as failed:
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)
    assert failed.value.error_class == "crash"


def test_a_stage_that_just_exits_is_a_crash(inputs):
    def stage(inputs, report):
        os._exit(0)

    with pytest.raises(StageFailed, match="without an outcome"):
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)


def test_an_outcome_that_cannot_be_written_is_tried_again(inputs):
    def stage(inputs, report):
        (inputs.workdir / "outcome.tmp").mkdir()  # what no outcome can be written to
        return Outcome(result={})

    with pytest.raises(StageFailed, match="could not write its outcome") as failed:
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)
    assert failed.value.error_class == "transient"


def test_temporary_files_of_a_stage_lie_in_its_work_directory(inputs):
    def stage(inputs, report):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            child = subprocess.run(["mktemp"], capture_output=True, text=True, check=True)
            return Outcome(result={"ours": file.name, "childs": child.stdout.strip()})

    result = run_stage(stage, inputs, limits=LIMITS, beat=nothing).result
    assert {Path(name).parent for name in result.values()} == {inputs.workdir}


def hang(inputs, report):
    (inputs.workdir / "pid").write_text(str(os.getpid()))
    # A C call that no Python signal handler interrupts, and a child of its own.
    child = subprocess.Popen(["sleep", "1000"])
    (inputs.workdir / "child").write_text(str(child.pid))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
    child.wait()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_stage_that_hangs_is_killed_with_its_children(inputs):
    limits = Limits(seconds=1, memory_bytes=LIMITS.memory_bytes, file_bytes=LIMITS.file_bytes)
    with pytest.raises(StageFailed, match="longer than 1 s") as failed:
        run_stage(hang, inputs, limits=limits, beat=nothing)
    assert failed.value.error_class == "time"
    assert is_gone(int((inputs.workdir / "pid").read_text()))
    assert is_gone(int((inputs.workdir / "child").read_text()))


def test_a_lost_lease_ends_the_stage_at_once(inputs):
    def beat(step: str, percent: float) -> None:
        if (inputs.workdir / "child").exists():
            raise LeaseLost

    with pytest.raises(LeaseLost):
        run_stage(hang, inputs, limits=LIMITS, beat=beat)
    assert is_gone(int((inputs.workdir / "pid").read_text()))


def test_a_file_that_grows_too_large_ends_the_stage(inputs):
    def stage(inputs, report):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        with (inputs.workdir / "huge").open("wb") as file:
            file.write(b"x" * 2**21)

    with pytest.raises(StageFailed, match="1048576 bytes") as failed:
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)
    assert failed.value.error_class == "memory"


def test_memory_beyond_the_limit_is_refused(inputs):
    def stage(inputs, report):
        return Outcome(result={"length": len(bytearray(16 * 2**30))})

    with pytest.raises(StageFailed) as failed:
        run_stage(stage, inputs, limits=LIMITS, beat=nothing)
    assert failed.value.error_class == "memory"


def test_a_full_collection_in_a_child_leaves_alone_what_was_there_before(inputs):
    """Otherwise it would copy every page with an object on it. Counted in copied pages, by the kernel."""

    def collect(inputs, report):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        gc.collect()
        return Outcome(result={"pages": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before})

    def pages():
        return run_stage(collect, inputs, limits=LIMITS, beat=nothing).result["pages"]

    copied = pages()
    spare_forks_what_is_here()
    try:
        assert pages() < copied / 4
    finally:
        gc.unfreeze()
