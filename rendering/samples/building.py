"""Builds all samples into one folder, once."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rendering.samples.catalog import SAMPLES, Sample
from rendering.samples.documents import build_documents
from rendering.samples.fonts import build_fonts
from rendering.samples.projects import Templates, build_projects

COLUMNS = ("job_id", "psd_path", "aepx_path", "output_name", "client_name", "project_name", "priority", "notes")
STAMP = ".built-by"
# Written by them, so a new release builds anew.
_WRITERS = ("psd-tools", "py-aep", "fonttools", "skia-python", "pillow")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """``sheet`` is the CSV of jobs; its paths are relative to ``directory``, the others are folders in there."""

    directory: Path
    sheet: Path
    fonts: Path
    documents: Path
    templates: Path


def build_samples(directory: Path) -> Samples:
    """Writes fonts/, psd/, templates/ and jobs.csv into ``directory``; does nothing if this code has done so before."""
    directory = directory.resolve()
    samples = Samples(
        directory=directory,
        sheet=directory / "jobs.csv",
        fonts=directory / "fonts",
        documents=directory / "psd",
        templates=directory / "templates",
    )
    stamp, mark = directory / STAMP, _generator_mark(directory)
    if _is_built(stamp, mark):
        return samples
    directory.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    build_fonts(samples.fonts)
    build_documents(samples.documents, fonts=samples.fonts)
    templates = build_projects(samples.templates, fonts=samples.fonts)
    _write_sheet(samples, templates)
    folders = samples.fonts, samples.documents, samples.templates
    files = [samples.sheet, *(path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())]
    stamp.write_text("\n".join([mark, *(path.relative_to(directory).as_posix() for path in files)]))
    return samples


def _is_built(stamp: Path, mark: str) -> bool:
    """The stamp holds the mark and, a line each, every file that was written."""
    if not stamp.is_file():
        return False
    written_by, *files = stamp.read_text().split("\n")
    return written_by == mark and all((stamp.parent / name).is_file() for name in files)


def _generator_mark(directory: Path) -> str:
    """Changes with this package's source, its libraries, and the place: projects record where their footage lies."""
    digest = hashlib.sha256(str(directory).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for name in _WRITERS:
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()


def _write_sheet(samples: Samples, templates: Templates) -> None:
    with samples.sheet.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, sample in enumerate(SAMPLES, start=1):
            writer.writerow(_row(number, sample, samples, templates))


def _row(number: int, sample: Sample, samples: Samples, templates: Templates) -> tuple[str, ...]:
    document = samples.documents / sample.file_name
    template: Path = getattr(templates, sample.template)
    return (
        f"demo-{number:02}",
        document.relative_to(samples.directory).as_posix(),
        template.relative_to(samples.directory).as_posix(),
        f"{document.stem}{template.suffix}",
        sample.client,
        sample.project,
        sample.priority,
        sample.notes,
    )
