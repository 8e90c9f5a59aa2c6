"""Sample sheets: our columns, and with a template a column for each of its slots."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from django.conf import settings

from batches.intake import csv_source
from batches.intake.table import COLUMNS, PROJECT_SUFFIXES, shown, tidy_name
from jobs.errors import Invalid
from jobs.models import StageRun, Team
from jobs.parentage import child_environment
from jobs.states import Stage
from jobs.storage import CHUNK_BYTES

if TYPE_CHECKING:
    from batches.intake.upload import Readable

SLOT = "slot: "
"""What titles of slot columns begin with: a slot called Client must not be taken for our column."""
READ_SECONDS = 60
READ_MEMORY_BYTES = 2 * 2**30
MOST_KNOWN = 200


@dataclass(frozen=True, kw_only=True)
class Template:
    """A project with its slots, as ``inspect`` tells them. ``key`` finds it again among ``known_templates``."""

    name: str
    slots: tuple[Mapping[str, Any], ...]
    key: int = 0


def sample(template: Template | None = None) -> bytes:
    """A CSV with every column and two example rows; the texts of slots are the template's own."""
    titles = [column.name for column in COLUMNS]
    examples = [column.example for column in COLUMNS]
    second = [example.replace("001", "002") for example in examples]
    if template is not None:
        place = titles.index("aepx_path")
        examples[place] = second[place] = template.name
        slots = slot_columns(template.slots)
        titles += [title for title, _ in slots]
        examples += [text for _, text in slots]
        second += [text for _, text in slots]
    return csv_source.write([titles, examples, second])


def slot_columns(slots: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(title, text of the template) for each slot in reading order; titles that repeat are numbered."""
    seen: dict[str, int] = {}
    columns = []
    for slot in slots:
        name = " ".join(str(slot["name"]).split())[:150] or "unnamed"
        title = f"{SLOT}{name}" if slot["kind"] == "text" else f"{SLOT}{name} ({slot['kind']})"
        count = seen[tidy_name(title)] = seen.get(tidy_name(title), 0) + 1
        text = str(slot.get("text") or "") if slot["kind"] == "text" else ""
        columns.append((title if count == 1 else f"{title} {count}", text))
    return columns


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
