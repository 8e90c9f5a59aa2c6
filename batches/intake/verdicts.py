"""The verdict on every row of a table, as JSON that the preview shows and the commit reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batches.intake import table
from batches.intake.checks import Finder
from batches.intake.table import Fault, Row, Table, cell_faults, repeated, shown
from jobs.models import Asset, Job, Team

IDS_PER_QUERY = 500


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found about one row. ``psd`` and ``project`` name files that were sent along; empty for asset roots."""

    line: int
    values: tuple[str, ...]
    errors: tuple[Fault, ...]
    psd: str
    project: str

    @property
    def good(self) -> bool:
        return not self.errors


def judge(sheet: Table, *, team: Team, uploaded: Mapping[str, Asset]) -> dict[str, Any]:
    """Checks every row of a table. The answer is what ``Upload.verdicts`` holds."""
    faults = {row.line: _row_faults(sheet, row) for row in sheet.rows}
    for column in ("job_id", "output_name"):
        named = [(row.line, sheet.cells(row)[column]) for row in sheet.rows if sheet.cells(row)[column]]
        for line, fault in repeated(named, column).items():
            faults[line].append(fault)
    _add_open_jobs(sheet, faults, team)
    finder = Finder(team, uploaded)
    rows = [_verdict(sheet, row, faults[row.line], finder) for row in sheet.rows]
    return {
        "header": list(sheet.header),
        "names": list(sheet.names),
        "encoding": sheet.encoding,
        "delimiter": sheet.delimiter,
        "rows": rows,
        "good": sum(not row["errors"] for row in rows),
        "bad": sum(bool(row["errors"]) for row in rows),
        "kept": [title for title, name in zip(sheet.header, sheet.names, strict=True) if name not in table.BY_NAME],
    }


def verdicts_of(verdicts: Mapping[str, Any]) -> Iterator[Verdict]:
    """The rows of what ``judge`` answered."""
    for row in verdicts.get("rows", ()):
        yield Verdict(
            line=row["line"],
            values=tuple(row["values"]),
            errors=tuple(Fault(column=error["column"], message=error["message"]) for error in row["errors"]),
            psd=row["psd"],
            project=row["project"],
        )


def _row_faults(sheet: Table, row: Row) -> list[Fault]:
    faults = cell_faults(sheet.cells(row))
    if row.surplus:
        faults.append(
            Fault(
                column="",
                message=f"has more cells than the header ({shown(row.surplus[0], 30)}):"
                " a text that holds the separator needs quotation marks.",
            )
        )
    return faults


def taken_ids(team: Team, job_ids: list[str]) -> set[str]:
    """Those of the ids that open jobs of the team have."""
    taken: set[str] = set()
    for start in range(0, len(job_ids), IDS_PER_QUERY):
        part = job_ids[start : start + IDS_PER_QUERY]
        taken |= set(Job.objects.open().filter(team=team, job_id__in=part).values_list("job_id", flat=True))
    return taken


def _add_open_jobs(sheet: Table, faults: dict[int, list[Fault]], team: Team) -> None:
    ids = {row.line: sheet.cells(row)["job_id"] for row in sheet.rows}
    taken = taken_ids(team, sorted({text for text in ids.values() if table.JOB_ID.fullmatch(text)}))
    for line, text in ids.items():
        if text in taken:
            faults[line].append(Fault(column="job_id", message=f"{shown(text)} is the id of an open job of the team."))


def _verdict(sheet: Table, row: Row, faults: list[Fault], finder: Finder) -> dict[str, Any]:
    cells = sheet.cells(row)
    bad = {fault.column for fault in faults}
    sent: dict[str, str] = {}
    for column in ("psd_path", "aepx_path"):
        if column in bad:
            continue
        found = finder.find(cells[column])
        sent[column] = found.uploaded
        if found.problem:
            faults.append(Fault(column=column, message=found.problem))
    return {
        "line": row.line,
        "values": list(row.values),
        "errors": [{"column": fault.column, "message": fault.message} for fault in faults],
        "psd": sent.get("psd_path", ""),
        "project": sent.get("aepx_path", ""),
    }


def row_data(verdicts: Mapping[str, Any], values: tuple[str, ...]) -> dict[str, str]:
    """The cells of the unknown columns, by the sheet's own names."""
    return {
        unicodedata.normalize("NFC", title or name): value
        for title, name, value in zip(verdicts["header"], verdicts["names"], values, strict=True)
        if name not in table.BY_NAME
    }
