"""manage.py convert_project: both ways, never over anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rendering.samples import tiny_project

Shell = Callable[..., tuple[int, str, str]]


def test_there_and_back_every_byte_is_the_same(shell: Shell, tmp_path: Path) -> None:
    source = tiny_project(tmp_path / "card.aep")
    assert shell("convert_project", source, tmp_path / "there.aepx")[0] == 0
    code, out, err = shell("convert_project", tmp_path / "there.aepx", tmp_path / "back.aep")
    assert (code, err) == (0, "")
    assert "back.aep" in out
    assert (tmp_path / "back.aep").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("source", "destination", "cause"),
    [
        ("card.aepx", "other.aepx", "AEPX file already"),
        ("card.aep", "other.AEP", "AEP file already"),
        ("card.aepx", "taken.aep", "exists already"),
        ("card.aepx", "gone/other.aep", "there is no folder"),
        ("card.aepx", "other.txt", ".aep or .aepx"),
        ("note.aepx", "other.aep", "not an After Effects project"),
        ("note.aepx", "other.aepx", "not an After Effects project"),
        ("empty.aep", "other.aepx", "not an After Effects project"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    shell: Shell, tmp_path: Path, source: str, destination: str, cause: str
) -> None:
    tiny_project(tmp_path / "card.aep")
    tiny_project(tmp_path / "card.aepx")
    (tmp_path / "taken.aep").write_bytes(b"mine")
    (tmp_path / "note.aepx").write_text("hello")
    (tmp_path / "empty.aep").touch()
    before = sorted(tmp_path.iterdir())
    code, out, err = shell("convert_project", tmp_path / source, tmp_path / destination)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert cause in err
    assert (tmp_path / "taken.aep").read_bytes() == b"mine"
    assert sorted(tmp_path.iterdir()) == before


def test_a_dangling_link_counts_as_taken(shell: Shell, tmp_path: Path, template: Path) -> None:
    (tmp_path / "out.aep").symlink_to(tmp_path / "nowhere.aep")
    code, _, err = shell("convert_project", template, tmp_path / "out.aep")
    assert code == 2
    assert "exists already" in err
