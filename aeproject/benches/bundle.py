"""The figures of a ZIP: how fast a batch goes out through the real web server, beside reading and copying its files.

Database, storage and server are of its own, made and removed; the real ones are not touched. Before each figure the
files are put out of the machine's memory, so that each of them is read from the disk.
"""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.test.utils import override_settings
from django.urls import reverse

from aeproject.benches.figures import Clock, Figure, database_of_its_own
from aeproject.benches.web_server import served
from batches.bundles.plan import KINDS, WORKING, plan
from batches.bundles.sharing import share
from batches.models import Batch
from jobs.models import Job, Membership, Team
from jobs.states import Role
from jobs.storage import CHUNK_BYTES
from jobs.store import put_asset

MEGABYTE = 10**6
LARGE, SMALL = 200 * MEGABYTE, MEGABYTE // 2
SMALL_OF_A_JOB = 60
TARGET_MB_PER_SECOND = 200
MOST_GROWTH_MB = 64


def measure(gigabytes: float) -> Iterator[Figure]:
    """Figure by figure. Needs three times so much free disk in ``DATA_DIR``."""
    size = int(gigabytes * 10**9)
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free < 3 * size:
        raise CommandError(f"{settings.DATA_DIR} has {free / 10**9:.1f} GB free; this takes {3 * size / 10**9:.1f} GB.")
    with tempfile.TemporaryDirectory(dir=settings.DATA_DIR, prefix="bench-") as folder:
        storages = {name: dict(options) for name, options in settings.STORAGES.items()}
        for name in ("default", "outputs"):
            storages[name]["BACKEND"] = "jobs.storage.AtomicFileSystemStorage"
            storages[name]["OPTIONS"] = {"location": Path(folder) / name, "base_url": None}
        with override_settings(STORAGES=storages, ALLOWED_HOSTS=["127.0.0.1"]), database_of_its_own():
            yield from _measure(Path(folder), size)


def _measure(folder: Path, size: int) -> Iterator[Figure]:
    user, batch = _batch(folder, size)
    _, token = share(user, batch, kinds=KINDS, days=1)
    files = sorted(path for path in (folder / "default").rglob("*") if path.is_file())
    read = _rate("read the files", lambda: sum(len(chunk) for file in files for chunk in _chunks(file)), files)
    yield read
    yield _rate("copy the files", lambda: _copied(files, folder / "copy"), files)
    bundle = plan(batch)
    yield _rate("make the ZIP", lambda: sum(map(len, bundle.layout.chunks(0, bundle.layout.size_bytes))), files)
    checksum = 0
    for chunk in bundle.layout.chunks(0, bundle.layout.size_bytes):
        checksum = zlib.crc32(chunk, checksum)
    with served(workers=1) as server:
        port, worker = server.port, server.workers[0]
        address = reverse("share_download", args=[token])
        _taken(port, address, start=bundle.layout.size_bytes - 1)
        before = _peak_mb(worker)
        found: list[int] = []

        def over_http() -> int:
            length, crc = _taken(port, address)
            found.append(crc)
            return length

        least = round(min(TARGET_MB_PER_SECOND, read.value * 0.9))
        yield _rate("send the ZIP (gunicorn, HTTP)", over_http, files, least=least)
        if found != [checksum]:
            raise CommandError("What came over HTTP is not the ZIP.")
        growth = _peak_mb(worker) - before
        yield Figure(what="the server's peak memory grows by", value=growth, unit="MB", most=MOST_GROWTH_MB)
        _forget(files)
        with Clock() as clock:
            _taken(port, address, start=bundle.layout.size_bytes - MEGABYTE)
        yield Figure(what="resume for the last MB", value=clock.seconds * 1000, unit="ms", cpu=clock.cpu_seconds * 1000)


def _batch(folder: Path, size: int) -> tuple[User, Batch]:
    """Jobs with a large file and many small ones each, of noise, so that nothing on the way can be spared."""
    team = Team.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("bench")
    Membership.objects.create(team=team, user=user, role=Role.OPERATOR)
    batch = Batch.objects.create(team=team, name="Bench", created_by=user)
    made = number = 0
    while made < size:
        number += 1
        names = {"job_id": f"J{number}", "psd_path": "a.psd", "project_path": "a.aepx", "output_name": f"{number}.aep"}
        job = Job.objects.create(team=team, batch=batch, **names)
        for index, length in enumerate([LARGE] + [SMALL] * SMALL_OF_A_JOB):
            path = folder / "made.bin"
            length = min(length, size - made)
            if length <= 0:
                break
            with path.open("wb") as file:
                for at in range(0, length, CHUNK_BYTES):
                    file.write(os.urandom(min(CHUNK_BYTES, length - at)))
            put_asset(path, team=team, job=job, kind=WORKING, name=f"{index}.bin", stage=1)
            made += length
    path.unlink()
    return user, batch


def _rate(what: str, run: Callable[[], int], files: Iterable[Path], *, least: float | None = None) -> Figure:
    _forget(files)
    with Clock() as clock:
        megabytes = run() / MEGABYTE
    value, cpu = megabytes / clock.seconds, megabytes / clock.cpu_seconds
    return Figure(what=what, value=value, unit="MB/s", cpu=cpu, least=least)


def _forget(files: Iterable[Path]) -> None:
    """Puts files out of the machine's memory."""
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _copied(files: Iterable[Path], folder: Path) -> int:
    """Bytes. The copies are brought to the disk and removed."""
    folder.mkdir()
    size = 0
    for number, path in enumerate(files):
        with path.open("rb") as source, (folder / str(number)).open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
            os.fsync(target.fileno())
        size += path.stat().st_size
    shutil.rmtree(folder)
    return size


# The client -----------------------------------------------------------------------------------------------------------
def _taken(port: int, address: str, *, start: int = 0) -> tuple[int, int]:
    """Downloads, keeping nothing. (bytes, CRC-32)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", address, headers={"Range": f"bytes={start}-"} if start else {})
    response = connection.getresponse()
    size = crc = 0
    while chunk := response.read(CHUNK_BYTES):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
    if response.status not in (200, 206) or size != int(response.headers["Content-Length"]):
        raise CommandError(f"The ZIP did not come: {response.status}, {size} bytes.")
    connection.close()
    return size, crc


def _peak_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise CommandError("The server is gone.")
