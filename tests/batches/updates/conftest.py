"""A batch that a sheet opened, and newer sheets for it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from batches.intake import opening
from batches.models import Batch, Upload
from tests.batches.sheets import both, sheet_of

WIDE = "job_id,psd_path,aepx_path,output_name,client_name,project_name,priority,notes,Colour"
ROW = "J-{0},a.psd,a.aepx,out-{0}.aep,Northwind,Spring,normal,,red"


def wide(count: int = 3, **instead: str) -> list[str]:
    """Rows of J-1, J-2 ...; ``J_1`` puts another in the place of the first."""
    rows = {f"J-{number}": ROW.format(number) for number in range(1, count + 1)}
    return list({**rows, **{name.replace("_", "-"): row for name, row in instead.items()}}.values())


def opened_with(people: Any, team: Any, *rows: str, header: str = WIDE) -> Batch:
    sheet = io.BytesIO(sheet_of(*rows, header=header))
    upload = opening.preview_upload(people.olga, team, sheet_name="spring.csv", sheet_file=sheet, files=both())
    return opening.commit_all(people.olga, upload)


def newer(
    person: Any, batch: Batch, *rows: str, header: str = WIDE, files: Any = (), name: str = "newer.csv"
) -> Upload:
    sheet = io.BytesIO(sheet_of(*rows, header=header))
    return opening.preview_upload(person, batch.team, sheet_name=name, sheet_file=sheet, files=files, updates=batch)


@pytest.fixture
def opened(people: Any, blue: Any) -> Batch:
    """A batch of J-1 to J-3, pending."""
    return opened_with(people, blue, *wide())
