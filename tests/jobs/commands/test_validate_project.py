"""manage.py validate_project: the verdict as JSON and as an exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Shell = Callable[..., tuple[int, str, str]]


def test_a_clean_project_leaves_with_0(shell: Shell, template: Path, font_folder: Path) -> None:
    code, out, err = shell("validate_project", template, "--json", "--fonts", font_folder)
    assert (code, err) == (0, "")
    assert json.loads(out) == {"project": "card.aepx", "clean": True, "findings": []}


def test_a_project_that_is_not_clean_leaves_with_1_and_its_findings(shell: Shell, template: Path) -> None:
    elsewhere = template.parent / "elsewhere"
    (template.parent / "footage").rename(elsewhere)
    code, out, err = shell("validate_project", template, "--json")
    assert (code, err) == (1, "")
    assert not json.loads(out)["clean"]
    assert "missing_footage" in {finding["code"] for finding in json.loads(out)["findings"]}
    assert shell("validate_project", template, "--footage", elsewhere)[0] == 0


def test_people_read_which_object_is_at_fault(shell: Shell, template: Path) -> None:
    (template.parent / "footage" / "tiny_photo.png").unlink()
    code, out, _ = shell("validate_project", template)
    assert code == 1
    assert "critical, tiny_photo.png:" in out
