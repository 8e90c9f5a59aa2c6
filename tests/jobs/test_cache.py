"""jobs.cache: fetched once, used least recently goes first, safe between processes."""

from __future__ import annotations

import hashlib
import os

import pytest

from jobs.cache import Cache, link_or_copy
from jobs.storage import sweep_parts
from jobs.store import fetch, nothing, put_asset


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path):
    return Cache(folder=tmp_path / "cache", limit_bytes=10)


def fill(cache, data, target, calls=None):
    def write(file):
        if calls is not None:
            calls.append(data)
        file.write(data)

    cache.fill(digest(data), len(data), target, fetch=write, tick=nothing)


def names(cache):
    return {path.name for path in cache.folder.glob("??/*")}


def test_what_was_fetched_is_here_the_next_time(cache, tmp_path):
    calls = []
    for number in range(3):
        fill(cache, b"data", tmp_path / str(number), calls)
        assert (tmp_path / str(number)).read_bytes() == b"data"
    assert calls == [b"data"]
    assert cache.take(digest(b"data"), tmp_path / "x")
    assert not cache.take(digest(b"other"), tmp_path / "y")


def test_the_least_recently_used_goes_first(cache, tmp_path):
    for age, data in ((3, b"aaaa"), (2, b"bbbb")):
        fill(cache, data, tmp_path / data.decode())
        os.utime(cache.folder / digest(data)[:2] / digest(data), ns=(1, 10**9 - age))
    assert cache.take(digest(b"aaaa"), tmp_path / "again")
    fill(cache, b"cccc", tmp_path / "c")
    assert names(cache) == {digest(b"aaaa"), digest(b"cccc")}
    assert (tmp_path / "bbbb").read_bytes() == b"bbbb", "who has it keeps it"


def test_what_is_larger_than_the_cache_is_not_kept_and_drives_nothing_out(cache, tmp_path):
    fill(cache, b"small", tmp_path / "a")
    fill(cache, b"x" * 11, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"x" * 11
    assert names(cache) == {digest(b"small")}


def test_a_cache_of_no_bytes_keeps_nothing(tmp_path):
    cache = Cache(folder=tmp_path / "cache", limit_bytes=0)
    fill(cache, b"x", tmp_path / "a")
    assert not names(cache)


def test_a_fetch_that_breaks_off_leaves_nothing(cache, tmp_path):
    def broken(file):
        file.write(b"half")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.fill(digest(b"x"), 4, tmp_path / "a", fetch=broken, tick=nothing)
    assert not names(cache)
    assert not (tmp_path / "a").exists()
    assert not list((cache.folder / ".parts").iterdir())


def test_what_changed_in_the_cache_is_fetched_anew(s3, tmp_path, blue, settings):
    (tmp_path / "a.psd").write_bytes(b"8BPS")
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="a.psd")
    fetch(asset, tmp_path / "one", name="x")
    cached = settings.CACHE_DIR / asset.sha256[:2] / asset.sha256
    cached.unlink()
    cached.write_bytes(b"8BPX")
    assert fetch(asset, tmp_path / "two", name="x").read_bytes() == b"8BPS"
    assert cached.read_bytes() == b"8BPS"


def test_a_second_fetch_needs_no_storage(s3, tmp_path, blue):
    from jobs.storage import storage_named

    (tmp_path / "a.psd").write_bytes(b"8BPS")
    asset = put_asset(tmp_path / "a.psd", team=blue, kind="psd", name="a.psd")
    fetch(asset, tmp_path / "one", name="x")
    storage_named("default").delete(asset.storage_name)
    assert fetch(asset, tmp_path / "two", name="x").read_bytes() == b"8BPS"


def test_processes_that_want_the_same_fetch_it_once(cache, tmp_path):
    """Eight processes race for one content: one fetches, all have it."""
    go, release = os.pipe()
    (tmp_path / "calls").touch()
    children = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            os.close(release)
            os.read(go, 1)

            def write(file):
                with (tmp_path / "calls").open("ab") as calls:
                    calls.write(b".")
                file.write(b"data")

            try:
                cache.fill(digest(b"data"), 4, tmp_path / f"t{number}", fetch=write, tick=nothing)
            finally:
                os._exit(0 if (tmp_path / f"t{number}").read_bytes() == b"data" else 1)
        children.append(pid)
    os.close(go)
    os.close(release)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    assert (tmp_path / "calls").read_bytes() == b"."


def test_whoever_waits_for_another_keeps_ticking(cache, tmp_path):
    import fcntl

    (cache.folder / ".locks").mkdir(parents=True)
    holder = (cache.folder / ".locks" / digest(b"data")[:3]).open("wb")
    fcntl.flock(holder, fcntl.LOCK_EX)
    ticks = []

    def tick():
        ticks.append(1)
        holder.close()

    cache.fill(digest(b"data"), 4, tmp_path / "a", fetch=lambda file: file.write(b"data"), tick=tick)
    assert ticks


def test_a_copy_is_made_where_links_are_not_possible(tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", cannot)
    (tmp_path / "a").write_bytes(b"data")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"data"


def test_a_cache_that_was_never_used_is_swept_in_peace():
    assert sweep_parts() == 0
