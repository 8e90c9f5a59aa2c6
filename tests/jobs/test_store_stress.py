"""jobs.store under many processes: each content once and whole, whoever comes first, whoever is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import traceback
from collections.abc import Callable

import pytest
from django.db import connections

from jobs.storage import CHUNK_BYTES, storage_named, sweep_parts
from jobs.store import put

pytestmark = pytest.mark.django_db(transaction=True)
PROCESSES = 8
SHARED = [f"shared {number}".encode() * 20_000 for number in range(4)]


@pytest.fixture(params=["local", "bucket"])
def anywhere(request):
    if request.param == "bucket":
        request.getfixturevalue("s3")


def race(work: Callable[[int], None]) -> list[int]:
    """Runs ``work(number)`` in as many processes, let go at the same moment. Returns their wait statuses."""
    connections.close_all()
    go, release = os.pipe()
    children = []
    for number in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(release)
                connections.close_all()  # the parent's
                os.read(go, 1)
                work(number)
                code = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()  # pytest shows what a failed test's children wrote
            finally:
                os._exit(code)
        children.append(pid)
    os.close(go)
    os.close(release)
    return [os.waitpid(pid, 0)[1] for pid in children]


def test_processes_that_store_the_same_and_other_contents_leave_each_once(tmp_path, anywhere):
    def work(number):
        for index, data in enumerate([*SHARED, f"own {number}".encode()]):
            path = tmp_path / f"{number}-{index}.png"
            path.write_bytes(data)
            assert put(path)[1].sha256 == hashlib.sha256(data).hexdigest()

    assert race(work) == [0] * PROCESSES
    storage = storage_named("default")
    names = list(storage.names())
    assert len(names) == len(set(names)) == len(SHARED) + PROCESSES
    for name in names:
        with storage.open(name) as file:
            assert name.partition("/")[2].startswith(hashlib.sha256(file.read()).hexdigest())


def test_a_killed_process_leaves_nothing_under_a_name(tmp_path):
    path = tmp_path / "a.psd"
    path.write_bytes(os.urandom(CHUNK_BYTES * 6))

    def work(number):
        reads = []

        def tick():
            reads.append(1)
            # Six ticks for the hash; then the copy is in its middle.
            if len(reads) == 8 + number % 4:
                os.kill(os.getpid(), signal.SIGKILL)

        put(path, tick=tick)

    assert {os.WTERMSIG(status) for status in race(work)} == {signal.SIGKILL}
    storage = storage_named("default")
    assert list(storage.names()) == []
    assert sweep_parts() == PROCESSES
    name, checksums, _ = put(path)
    assert hashlib.sha256(storage.open(name).read()).hexdigest() == checksums.sha256


def test_a_living_writers_part_is_not_swept(tmp_path):
    path = tmp_path / "a.psd"
    path.write_bytes(os.urandom(CHUNK_BYTES * 3))
    swept = []
    name, checksums, _ = put(path, tick=lambda: swept.append(sweep_parts()))
    assert set(swept) == {0}
    assert hashlib.sha256(storage_named("default").open(name).read()).hexdigest() == checksums.sha256


def test_what_was_cut_off_in_the_storage_is_made_whole_by_its_content(tmp_path, settings):
    path = tmp_path / "a.png"
    path.write_bytes(b"whole")
    name, _, _ = put(path)
    stored = tmp_path / "store" / name
    stored.unlink()
    stored.write_bytes(b"who")
    put(path)
    assert stored.read_bytes() == b"whole"


def test_local_inputs_are_links_that_nobody_may_write(tmp_path, blue):
    from jobs.store import Corrupt, fetch, put_asset

    (tmp_path / "a.psd").write_bytes(b"8BPS")
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="design.psd")
    stored = tmp_path / "store" / asset.storage_name
    fetched = fetch(asset, tmp_path / "work", name="input.psd")
    assert fetched.samefile(stored)
    assert fetched.stat().st_mode & 0o222 == 0
    assert not (tmp_path / "cache").exists()
    stored.chmod(0o644)
    stored.write_bytes(b"8BPX")
    with pytest.raises(Corrupt, match=r"design\.psd"):
        fetch(asset, tmp_path / "work", name="input.psd")
    assert not fetched.exists()
