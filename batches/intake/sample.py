"""Sample sheets: our columns, and with a template a column for each of its slots, where a row may name its layer."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import xlsxwriter
from django.conf import settings

from batches.intake.table import COLUMNS, MOST_COLUMNS, PROJECT_SUFFIXES, shown
from jobs import csv_files
from jobs.errors import Invalid
from jobs.models import StageRun, Team
from jobs.parentage import child_environment
from jobs.slot_columns import titles
from jobs.states import Stage
from jobs.storage import CHUNK_BYTES

if TYPE_CHECKING:
    from batches.intake.upload import Readable

READ_SECONDS = 60
READ_MEMORY_BYTES = 2 * 2**30
MOST_KNOWN = 200
MOST_WIDTH = 40
"""Of a workbook's column, in characters."""
SLOT_HINT = (
    "The layer of the design that fills the slot: Title, or with its group Front/Title; - keeps what the template has."
    " Left empty, the layer is found by the matching."
)
FORMS = ("csv", "xlsx")
Form = Literal["csv", "xlsx"]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A project with its slots, as ``inspect`` tells them. ``key`` finds it again among ``known_templates``."""

    name: str
    slots: tuple[Mapping[str, Any], ...]
    key: int = 0


def sample(template: Template | None = None, *, form: Form = "csv") -> bytes:
    """A sheet with every column and two example rows.

    The cells of slots are empty: where nobody names a layer, the matching finds one. No more slots than a sheet may
    have columns for.
    """
    header = [column.name for column in COLUMNS]
    hints = [column.explanation for column in COLUMNS]
    examples = [column.example for column in COLUMNS]
    second = [example.replace("001", "002") for example in examples]
    if template is not None:
        place = header.index("aepx_path")
        examples[place] = second[place] = template.name
        slots = titles((slot["name"], slot["kind"]) for slot in template.slots)[: MOST_COLUMNS - len(header)]
        header += slots
        hints += [SLOT_HINT] * len(slots)
        examples += [""] * len(slots)
        second += [""] * len(slots)
    rows = [header, examples, second]
    return csv_files.write(rows) if form == "csv" else _workbook(rows, hints)


def sample_name(template: Template | None, *, form: Form = "csv") -> str:
    """The file name of its sample sheet."""
    return f"{PurePosixPath(template.name).stem} - sample.{form}" if template else f"sample.{form}"


def _workbook(rows: list[list[str]], hints: list[str]) -> bytes:
    """An XLSX whose cells are texts, also those that are filled in later: nothing becomes a date or a formula.

    The first row stays in sight, and has the hints as notes.
    """
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Jobs")
        text = workbook.add_format({"num_format": "@"})
        title = workbook.add_format({"num_format": "@", "bold": True})
        for place, hint in enumerate(hints):
            cells = [row[place].encode("utf-8", "backslashreplace").decode() for row in rows]
            sheet.set_column(place, place, min(MOST_WIDTH, max(map(len, cells)) + 2), text)
            sheet.write_string(0, place, cells[0], title)
            sheet.write_comment(0, place, hint, {"x_scale": 2.5, "author": ""})
            for line, cell in enumerate(cells[1:], 1):
                sheet.write_string(line, place, cell, text)
        sheet.freeze_panes(1, 0)
    return out.getvalue()


def known_templates(team: Team) -> list[Template]:
    """Templates that a job of the team was made with, newest first, each content once; their slots were read then."""
    runs = StageRun.objects.filter(
        job__team=team, stage=Stage.INGESTION, state=StageRun.DONE, job__project__isnull=False
    )
    newest: dict[str, tuple[int, str]] = {}
    found = runs.order_by("-id").values_list("pk", "job__project__sha256", "job__project__name")
    for pk, sha256, name in found[: MOST_KNOWN * 10]:
        newest.setdefault(sha256, (pk, name))
    chosen = dict(list(newest.values())[:MOST_KNOWN])
    results = StageRun.objects.filter(pk__in=chosen).order_by("-id").values_list("pk", "result")
    return [Template(key=pk, name=chosen[pk], slots=tuple(result.get("slots", ()))) for pk, result in results]


def known_template(team: Team, name: str) -> Template:
    """The newest of the team's templates that is called so. Raises Invalid (field ``template``)."""
    known = known_templates(team)
    for template in known:
        if template.name == name:
            return template
    names = ", ".join(shown(one) for one in list(dict.fromkeys(template.name for template in known))[:8])
    there = f"There are: {names}." if names else "None was used yet: open a job with one."
    raise Invalid(f"The team knows no template {shown(name)}. {there}", field="template")


def read_template(name: str, file: Readable) -> Template:
    """The slots of a project that somebody sends, read by a process with little memory and time.

    Raises Invalid (field ``template``).
    """
    plain = PurePosixPath(name.replace("\\", "/")).name
    if PurePosixPath(plain).suffix.lower() not in PROJECT_SUFFIXES:
        raise Invalid(f"{shown(plain)} must end in {' or '.join(PROJECT_SUFFIXES)}.", field="template")
    with TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="template-") as directory:
        path = Path(directory) / f"template{PurePosixPath(plain).suffix.lower()}"
        size_bytes = 0
        with path.open("wb") as target:
            while chunk := file.read(CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > settings.MAX_PROJECT_BYTES:
                    most = settings.MAX_PROJECT_BYTES / 2**20
                    raise Invalid(f"{shown(plain)} has more than {most:,.1f} MB.", field="template")
                target.write(chunk)
        content = _inspected(plain, path)
    if "slots" not in content:
        raise Invalid(f"{shown(plain)} is not an After Effects project.", field="template")
    return Template(name=plain, slots=tuple(content["slots"]))


def _inspected(name: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "inspect", str(path), "--json"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and command, a path of ours
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (READ_MEMORY_BYTES, READ_MEMORY_BYTES))
        try:
            out, error = process.communicate(timeout=READ_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Invalid(f"{shown(name)} could not be read within {READ_SECONDS} s.", field="template") from None
    if process.returncode != 0:
        told = error.decode("utf-8", "replace").strip().splitlines()
        cause = told[-1].replace(str(path), name) if told else "the process that reads it ended"
        raise Invalid(f"{shown(name)} cannot be read: {cause[:300]}", field="template")
    content: dict[str, Any] = json.loads(out)
    return content
