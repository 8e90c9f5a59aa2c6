from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rendering.samples import Samples, build_samples
from rendering.samples.building import COLUMNS, STAMP


def rows(samples: Samples) -> list[dict[str, str]]:
    with samples.sheet.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_sheet_has_twelve_jobs_whose_files_are_there(samples: Samples) -> None:
    jobs = rows(samples)
    assert len(jobs) == 12
    assert tuple(jobs[0]) == COLUMNS
    for job in jobs:
        assert (samples.directory / job["psd_path"]).read_bytes()[:4] == b"8BPS"
        assert (samples.directory / job["aepx_path"]).is_file()
        assert Path(job["output_name"]).suffix in (".aep", ".aepx")
        assert job["priority"] in {"urgent", "high", "normal", "medium", "low"}


@pytest.mark.parametrize("column", ["job_id", "output_name", "psd_path"])
def test_no_two_jobs_share_what_must_be_unique(samples: Samples, column: str) -> None:
    values = [job[column] for job in rows(samples)]
    assert len(set(values)) == len(values)


def test_both_project_formats_occur(samples: Samples) -> None:
    assert {Path(job["aepx_path"]).suffix for job in rows(samples)} == {".aep", ".aepx"}


def test_all_of_it_is_small(samples: Samples) -> None:
    assert sum(path.stat().st_size for path in samples.directory.rglob("*") if path.is_file()) < 20_000_000


def test_a_second_build_touches_nothing(samples: Samples) -> None:
    before = {path: path.stat().st_mtime_ns for path in samples.directory.rglob("*")}
    assert build_samples(samples.directory) == samples
    assert {path: path.stat().st_mtime_ns for path in samples.directory.rglob("*")} == before


@pytest.mark.parametrize(
    "name", ["psd/promo-bottle.psd", "templates/player-card.aepx", "templates/footage/card_logo.png"]
)
def test_a_missing_file_is_built_anew_and_is_the_same(samples: Samples, name: str) -> None:
    victim = samples.directory / name
    before = victim.read_bytes()
    victim.unlink()
    build_samples(samples.directory)
    assert victim.read_bytes() == before


@pytest.mark.parametrize("stamp", ["", "another version\njobs.csv"])
def test_a_stamp_of_other_code_builds_all_anew(samples: Samples, stamp: str) -> None:
    template = samples.templates / "player-card.aepx"
    before = template.read_bytes()
    (samples.directory / STAMP).write_text(stamp)
    template.write_bytes(b"")
    build_samples(samples.directory)
    assert template.read_bytes() == before
