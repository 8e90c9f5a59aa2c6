"""Stages that tests run in a stage's process, which imports them from here: this module must know no Django."""

from __future__ import annotations

import faulthandler
import gc
import itertools
import logging
import mmap
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jobs.errors import RateLimited
from jobs.stages.base import Inputs, Outcome, Report
from rendering.errors import FormatError
from rendering.photoshop import open_document
from rendering.video_files import VideoWriter

PREPARED = {"matches": []}


def name_of(stage: Callable[[Inputs, Report], Outcome]) -> str:
    """As ``jobs.pipeline.PREPARE`` names it."""
    return f"{stage.__module__}:{stage.__qualname__}"


def half(inputs, report):
    report("half", 50)
    return Outcome(result={"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp()})


def loaded(inputs, report):
    return Outcome(result={"modules": sorted(sys.modules)})


# What goes wrong ------------------------------------------------------------------------------------------------------
def wrong_file(inputs, report):
    raise FormatError("a.psd", "is empty.")


def out_of_memory(inputs, report):
    raise MemoryError


def disk_trouble(inputs, report):
    raise OSError("disk")


def limited(inputs, report):
    raise RateLimited("The font service's limit is reached.", retry_after_seconds=300)


def limited_until_who_knows(inputs, report):
    raise RateLimited("The font service's limit is reached.")


def bug(inputs, report):
    os.write(1, b"on the way\n")
    raise KeyError("slot")


def segfault(inputs, report):
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def just_exit(inputs, report):
    os._exit(0)


def unwritable_outcome(inputs, report):
    (inputs.workdir / "outcome.pickle.tmp").mkdir()  # what no outcome can be written to
    return Outcome(result={})


def fill_the_disk(inputs, report):
    """Leaves not one byte free where the work directory lies."""
    print("a line of the log before")
    with (inputs.workdir / "ballast").open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    print("a line of the log that finds no room")
    return Outcome(result=PREPARED)


def huge_file(inputs, report):
    with (inputs.workdir / "huge").open("wb") as file:
        file.write(b"x" * 2**21)


def huge_memory(inputs, report):
    return Outcome(result={"length": len(bytearray(16 * 2**30))})


def leave_little_memory():
    """What is loaded stays usable, what is decoded or encoded from now on finds no room."""
    held_bytes = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (held_bytes + 2**20,) * 2)


def draw_a_design_with_little_memory(inputs, report):
    document = open_document(inputs.psd)
    leave_little_memory()
    document.composite(inputs.workdir / "flat.png")


def encode_with_little_memory(inputs, report):
    leave_little_memory()
    black = np.zeros((1080, 1920, 4), np.uint8)
    with VideoWriter(inputs.workdir / "a.mp4", frame_rate=25, width_px=1920, height_px=1080) as writer:
        writer.add(black)


def map_more_than_there_may_be(inputs, report):
    leave_little_memory()
    mmap.mmap(-1, 2**30)


def bug_near_the_limit(inputs, report):
    leave_little_memory()
    raise RuntimeError("Generic error in an external library")


# What takes long, or leaves something behind --------------------------------------------------------------------------
def start_a_program(inputs):
    child = subprocess.Popen(["sleep", "1000"])
    (inputs.workdir / "child").write_text(str(child.pid))
    (inputs.workdir / "pid").write_text(str(os.getpid()))
    return child


def hang(inputs, report):
    # A C call that no Python signal handler interrupts, and a child of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
    start_a_program(inputs).wait()


def hang_in_c(inputs, report):
    """Holds the interpreter for longer than anybody waits."""
    start_a_program(inputs)
    re.match(r"(a+)+$", "a" * 60 + "b")


def leave_a_program(inputs, report):
    start_a_program(inputs)
    return Outcome(result=PREPARED)


def leave_a_program_and_crash(inputs, report):
    start_a_program(inputs)
    segfault(inputs, report)


def wait_for_go(inputs, report):
    """Until somebody writes the file ``go``."""
    (inputs.workdir / "pid").write_text(str(os.getpid()))
    for tick in itertools.count():
        if (inputs.workdir / "go").exists():
            return Outcome(result=PREPARED)
        report("waiting", tick % 100)
        signal.sigtimedwait((), 0.02)


# What it says ---------------------------------------------------------------------------------------------------------
def talkative(inputs, report):
    report("reading the PSD", 5)
    report("reading the PSD", 6)
    print("printed by Python")
    os.write(2, b"printed by a C library\n")
    print("complained by Python", file=sys.stderr, flush=True)
    logging.getLogger("psd_tools").warning("logged for %s", inputs.job_id)
    logging.getLogger("psd_tools").info("not asked for")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("rendering").exception("went wrong")
    return Outcome(result=PREPARED)


def flood(inputs, report):
    os.write(1, b"first line\n" + b"x" * 300_000 + b"\nlast line\n")
    return Outcome(result=PREPARED)


def flood_and_fail(inputs, report):
    flood(inputs, report)
    raise KeyError("slot")


def log_a_long_line(inputs, report):
    logging.getLogger("rendering").warning("%s", "\N{SNOWMAN}" * 2**20)
    return Outcome(result=PREPARED)


def binary(inputs, report):
    os.write(1, b"\xff\x00 caf\xc3\xa9\n")
    return Outcome(result=PREPARED)


def quiet(inputs, report):
    return Outcome(result=PREPARED)


# What it is made of ---------------------------------------------------------------------------------------------------
def temporary_files(inputs, report):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        child = subprocess.run(["mktemp"], capture_output=True, text=True, check=True)
        return Outcome(result={"ours": file.name, "childs": child.stdout.strip()})


def collect(inputs, report):
    """How many pages a full garbage collection copies, with and without what was there before."""

    def copied():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    alone = copied()
    gc.unfreeze()
    return Outcome(result={"alone": alone, "all": copied()})


def open_sockets(inputs, report):
    """Which sockets the process holds."""
    with os.scandir("/proc/self/fd") as entries:
        links = [os.readlink(entry.path) for entry in entries]
    return Outcome(result={"sockets": sorted(link for link in links if link.startswith("socket:"))})


def tell_what_is_loaded(inputs: Inputs, report: Report) -> Outcome:
    """Whether large libraries are loaded: before anything of them is used, and after; and whether they work then."""
    import av
    from scipy import interpolate

    before = [name for name in ("av._core", "scipy.special") if name in sys.modules]
    works = [av.VideoFrame(4, 2, "rgb24").width, float(interpolate.PchipInterpolator([0, 1], [0, 2])(0.5))]
    return Outcome(result={"before": before, "works": works})
