"""Findings of a project: each true, each once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import py_aep
import pytest

from rendering.aftereffects.findings import findings_of_project
from rendering.aftereffects.model import Footage, Project
from rendering.aftereffects.project import read_project
from rendering.findings import Finding
from tests.rendering.aftereffects.builders import ProjectBuilder, name_layer


@pytest.fixture
def builder(tmp_path: Path) -> ProjectBuilder:
    return ProjectBuilder(tmp_path)


def findings_of(builder: ProjectBuilder) -> tuple[Finding, ...]:
    return findings_of_project(read_project(builder.save()), installed=lambda font: True)


def project_with(*footage: Footage) -> Project:
    return Project(
        file_name="a.aep",
        version="",
        compositions=(),
        footage=footage,
        fonts=(),
        render_comp_id=None,
        render_comp_reason="",
    )


def footage(path: str, *, id: int = 1, found: bool = True, references: int = 1, layer: str | None = None) -> Footage:
    return Footage(
        id=id, name=path, path=path, found=found, width_px=1, height_px=1, references=references, psd_layer=layer
    )


class TestPlayerCard:
    @pytest.mark.parametrize("name", ["player-card.aepx", "player-card.aep"])
    def test_findings_equal_the_ground_truth(self, shared_data: Path, name: str) -> None:
        project = read_project(shared_data / "aepx" / name)
        findings = findings_of_project(project, installed=lambda font: False)
        assert Counter((finding.code, finding.object) for finding in findings) == {
            ("missing_font", "RUSHFLOW"): 1,
            ("missing_footage", "cutout.png"): 1,
            ("missing_footage", "green_yellow_bg.png"): 1,
            ("missing_footage", "test-photoshop-doc.psd"): 1,
            ("layered_footage", "test-photoshop-doc.psd"): 1,
            ("shared_default_text", "player1fullname"): 1,
        }
        said = {(finding.code, finding.object): finding for finding in findings}
        assert "6 references" in said["missing_footage", "test-photoshop-doc.psd"].evidence
        assert "6 layers of" in said["layered_footage", "test-photoshop-doc.psd"].message
        assert "3 text slots" in said["shared_default_text", "player1fullname"].message
        assert "3 text layers" in said["missing_font", "RUSHFLOW"].evidence

    def test_an_installed_font_and_found_files_are_no_findings(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "player-card.aepx", search=[shared_data / "footage"])
        findings = findings_of_project(project, installed=lambda font: font == "RUSHFLOW")
        assert [finding.code for finding in findings] == ["missing_footage", "layered_footage", "shared_default_text"]

    def test_a_stray_unused_file_is_only_told(self, shared_data: Path) -> None:
        project = read_project(shared_data / "aepx" / "player-card-populated.aep")
        findings = findings_of_project(project, installed=lambda font: True)
        (stray,) = [finding for finding in findings if finding.object.endswith(".jsx")]
        assert (stray.code, stray.severity) == ("missing_footage", "info")
        assert "shared_default_text" not in {finding.code for finding in findings}


def test_an_empty_project_has_one_critical_finding(tmp_path: Path) -> None:
    path = tmp_path / "empty.aep"
    py_aep.new().project.save(str(path))
    (finding,) = findings_of_project(read_project(path), installed=lambda font: True)
    assert (finding.code, finding.severity, finding.object) == ("no_composition", "critical", "empty.aep")


def test_a_sound_project_has_no_findings(builder: ProjectBuilder) -> None:
    name_layer(builder.comp.add(builder.add_picture("a.png")), "photo")
    name_layer(builder.comp.add_text("One"), "one")
    name_layer(builder.comp.add_text("Two"), "two")
    assert findings_of(builder) == ()


def test_each_missing_font_is_named_once(builder: ProjectBuilder) -> None:
    builder.comp.add_text("a")
    builder.comp.add_text("b")
    project = read_project(builder.save())
    findings = findings_of_project(project, installed=lambda font: False)
    assert [finding.object for finding in findings] == list(project.fonts)


def test_a_removed_file_is_missing(builder: ProjectBuilder) -> None:
    builder.comp.add(builder.add_picture("a.png"))
    path = builder.save()
    (builder.folder / "footage" / "a.png").unlink()
    (finding,) = findings_of_project(read_project(path), installed=lambda font: True)
    assert (finding.code, finding.severity, finding.object) == ("missing_footage", "warning", "a.png")
    assert "1 reference," in finding.evidence


def test_empty_texts_do_not_share_a_default(builder: ProjectBuilder) -> None:
    name_layer(builder.comp.add_text(" "), "one")
    name_layer(builder.comp.add_text(" "), "two")
    assert findings_of(builder) == ()


def test_slots_of_one_comp_that_share_a_name_are_told(builder: ProjectBuilder) -> None:
    name_layer(builder.comp.add_text("One"), "title")
    name_layer(builder.comp.add_text("Two"), "title")
    (finding,) = findings_of(builder)
    assert (finding.code, finding.object) == ("duplicate_names", "title")


def test_slots_of_two_comps_may_share_a_name(builder: ProjectBuilder) -> None:
    card = builder.add_comp("Card")
    name_layer(card.add_text("One"), "title")
    name_layer(builder.comp.add_text("Two"), "title")
    builder.comp.add(card)
    assert findings_of(builder) == ()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([footage("/a/b.psd", id=1, layer="x"), footage("/a/b.psd", id=2, layer="y")], "2 layers of b.psd are"),
        ([footage("C:\\a\\b.PSD", layer="x")], "1 layer of b.PSD is"),
        ([footage("/a/logo.ai")], "logo.ai is"),
    ],
)
def test_layered_files_are_told_once_per_file(items: list[Footage], message: str) -> None:
    findings = findings_of_project(project_with(*items), installed=lambda font: True)
    (layered,) = [finding for finding in findings if finding.code == "layered_footage"]
    assert layered.message.startswith(message)


def test_two_files_of_one_name_are_two_findings() -> None:
    project = project_with(footage("/a/x.png", found=False), footage("/b/x.png", id=2, found=False))
    findings = findings_of_project(project, installed=lambda font: True)
    assert [finding.code for finding in findings].count("missing_footage") == 2
