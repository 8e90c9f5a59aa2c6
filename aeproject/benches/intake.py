"""The figures of intake: rows a second from the sheet to the jobs, beside django-import-export on the same rows.

It happens in a database and folders of its own, made and removed as the tests' are; the real ones are not touched.
django-import-export is a library of the tests, not of the product: where it is missing, its figures are left out.
"""

from __future__ import annotations

import csv
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.storage import storages
from django.db import connection, transaction
from django.test import override_settings

from aeproject.benches.figures import Clock, Figure, database_of_its_own
from batches.intake import opening
from batches.intake.judging import CHUNK
from batches.models import Batch, Upload
from jobs import errands
from jobs.models import Job, Team

ROWS = 10_000
MANY_ROWS = 100_000
FILES = 1_000
MOST_MB = 300
TIMES_FASTER = 5
COLUMNS = ("job_id", "psd_path", "aepx_path", "output_name", "client_name", "project_name", "priority", "notes")


@dataclass(frozen=True)
class Way:
    """A way to use django-import-export.

    ``validated``: with its ``clean_model_instances``. ``bulk``: with what it recommends for many rows (``use_bulk``,
    ``skip_diff``, and batches as large as our own chunks). A validated way is the same work as ours, or less: ours
    judges every row, uniqueness included, looks whether its files are there, keeps the verdicts, and makes the jobs.
    """

    name: str
    validated: bool
    bulk: bool


WAYS = (
    Way("as it comes, every row validated", validated=True, bulk=False),
    Way("in bulk, every row validated", validated=True, bulk=True),
    Way("as it comes, nothing validated", validated=False, bulk=False),
    Way("in bulk, nothing validated", validated=False, bulk=True),
)


SHORT_WAYS = tuple(way for way in WAYS if not (way.validated and way.bulk))
"""Without the second validated way, which takes two minutes and shows what the first one does."""


def measure(rows: int = ROWS, many_rows: int = MANY_ROWS, ways: tuple[Way, ...] = WAYS) -> Iterator[Figure]:
    """Figure by figure. ``many_rows`` are judged and opened in a child process, for its memory."""
    with database_of_its_own(), _folders() as folder:
        person = User.objects.create_superuser("bench")
        yield from _memory(person, _sheet(folder, many_rows))
        sheet = _sheet(folder, rows)
        ours = _ours(person, sheet, rows)
        yield ours
        if find_spec("import_export") is None:
            return
        others = {way: _theirs(person, sheet, rows, way) for way in ways}
        yield from others.values()
        for way, other in others.items():
            least = TIMES_FASTER if way.validated else None
            what = f"intake is faster than django-import-export, {way.name}"
            yield Figure(what=what, value=ours.value / other.value, cpu=ours.cpu / other.cpu, unit="x", least=least)


@contextmanager
def _folders() -> Iterator[Path]:
    """Storage and an asset root with designs and a template, for as long as it is measured."""
    with TemporaryDirectory(prefix="bench-intake-") as name:
        folder = Path(name)
        local = {"BACKEND": "jobs.storage.AtomicFileSystemStorage", "OPTIONS": {"location": folder / "store"}}
        roots = folder / "assets"
        (roots / "designs").mkdir(parents=True)
        for number in range(FILES):
            header = b"8BPS\0\1" + bytes(6) + b"\0\3" + b"\0\0\0\x08" * 2 + b"\0\x08\0\3"
            (roots / "designs" / f"{number}.psd").write_bytes(header + bytes(14))
        (roots / "card.aepx").write_text("<AfterEffectsProject></AfterEffectsProject>")
        with override_settings(STORAGES={**settings.STORAGES, "default": local}, ASSET_ROOTS=[roots]):
            storages._storages.clear()  # type: ignore[attr-defined]
            yield folder


def _sheet(folder: Path, rows: int) -> Path:
    path = folder / f"{rows}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for n in range(rows):
            cells = (f"{rows}-{n}", f"designs/{n % FILES}.psd", "card.aepx", f"out-{n}.aep")
            writer.writerow((*cells, "Northwind", "Spring campaign", "high", f"Look twice at number {n}"))
    return path


# Ours -----------------------------------------------------------------------------------------------------------------
def _ours(person: User, sheet: Path, rows: int) -> Figure:
    clock = Clock()
    with clock:
        jobs = _take_in(person, sheet)
    figure = _rate("intake: judged, shown row by row, opened", clock, rows)
    assert jobs == rows, f"{jobs} of {rows} rows became jobs"
    return figure


def _take_in(person: User, sheet: Path) -> int:
    """From the sheet to the jobs; what a worker would do is done here. How many jobs there are."""
    team = Team.objects.create(name=sheet.name, slug=sheet.stem)
    with sheet.open("rb") as file:
        upload = opening.preview_upload(person, team, sheet_name=sheet.name, sheet_file=file)
    _work(upload)
    batch = opening.commit_all(person, upload)
    _work(upload)
    return batch.jobs.count()


def _work(upload: Upload) -> None:
    held = errands.claim("bench")
    if held is not None:
        errands.perform(held)
    upload.refresh_from_db()


def _memory(person: User, sheet: Path) -> Iterator[Figure]:
    """The largest memory of a process that judges and opens a large sheet, and how fast it does."""
    rows = int(sheet.stem)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock = Clock()
    connection.close()
    with clock:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if _take_in(person, sheet) == rows else 1
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status, usage = os.wait4(pid, 0)
    assert status == 0, f"the child that judged {rows:,} rows failed"
    yield _rate(f"intake of {rows:,} rows in a worker", clock, rows)
    what = f"its memory at most ({before_mb:,.0f} MB before it began)"
    yield Figure(what=what, value=usage.ru_maxrss / 1024, unit="MB", most=MOST_MB)


# Theirs ---------------------------------------------------------------------------------------------------------------
def _theirs(person: User, sheet: Path, rows: int, way: Way) -> Figure:
    """As its admin does it: a dry run to look at, then the import."""
    import tablib
    from import_export import fields, resources

    with transaction.atomic():
        team = Team.objects.create(name=way.name, slug=f"theirs-{WAYS.index(way)}")
        batch = Batch.objects.create(team=team, name="Theirs", created_by=person)

    class JobResource(resources.ModelResource):  # type: ignore[misc]
        project_path = fields.Field(attribute="project_path", column_name="aepx_path")

        class Meta:
            model = Job
            fields = ("job_id", "psd_path", "project_path", "output_name", "client_name", "project_name", "notes")
            import_id_fields: tuple[str, ...] = ()
            clean_model_instances = way.validated
            use_bulk = way.bulk
            skip_diff = way.bulk
            batch_size = CHUNK
            force_init_instance = True

        def before_save_instance(self, instance: Any, row: Any, **options: Any) -> None:
            instance.team, instance.batch = team, batch

        def import_instance(self, instance: Any, row: Any, **options: Any) -> None:
            instance.team, instance.batch = team, batch
            super().import_instance(instance, row, **options)

    clock = Clock()
    with clock:
        with sheet.open(encoding="utf-8") as file:
            data = tablib.Dataset().load(file.read(), format="csv")
        for dry_run in (True, False):
            JobResource().import_data(data, dry_run=dry_run, raise_errors=True, use_transactions=True)
    figure = _rate(f"django-import-export: {way.name}", clock, rows)
    assert batch.jobs.count() == rows
    return figure


def _rate(what: str, clock: Clock, rows: int) -> Figure:
    return Figure(what=what, value=rows / clock.seconds, cpu=rows / max(clock.cpu_seconds, 0.01), unit="rows/s")
