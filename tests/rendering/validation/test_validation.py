"""rendering.validation.validate: which findings keep a project from being deployed."""

from __future__ import annotations

import pytest

from rendering.aftereffects.project import read_project
from rendering.validation import validate
from tests.rendering.validation.projects import comp, footage, layer, project, style


def nothing_installed(name):
    return False


def everything_installed(name):
    return True


def test_a_sound_project_is_clean_and_says_nothing():
    sound = project(comp(layer(text=style())), items=(footage("/a/b.png"),), fonts=("Sans-Bold",))
    report = validate(sound, installed=everything_installed)
    assert (report.findings, report.clean) == ((), True)


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        ("no_render_comp", project()),
        ("missing_footage", project(comp(), items=(footage("/a/b.png", found=False),))),
        ("layered_footage", project(comp(), items=(footage("/a/b.psd"),))),
        ("renderer", project(comp(renderer="ADBE Ernst"))),
        ("all_caps", project(comp(layer(text=style(all_caps=True))))),
    ],
)
def test_a_critical_finding_keeps_the_project_from_being_deployed(code, broken):
    report = validate(broken, installed=everything_installed)
    assert [finding.code for finding in report.findings] == [code]
    assert not report.clean


@pytest.mark.parametrize(
    ("code", "passable"),
    [("missing_font", project(comp(layer(text=style())))), ("non_ascii_name", project(comp(name="Größe")))],
)
def test_a_warning_is_told_and_does_not_block(code, passable):
    report = validate(passable, installed=nothing_installed)
    assert [finding.code for finding in report.findings] == [code]
    assert report.clean


def test_every_finding_names_object_evidence_and_cure():
    wrong = project(
        comp(layer("é", text=style(all_caps=True)), renderer="ADBE Calder"),
        items=(footage("/a/b.psd", found=False), footage("/a/c.jsx", found=False, references=0)),
        render_comp_id=9,
    )
    findings = validate(wrong, installed=nothing_installed).findings
    assert len({finding.code for finding in findings}) == 7
    for finding in findings:
        assert all((finding.object, finding.message, finding.cure, finding.evidence)), finding


def test_player_card_has_exactly_its_true_findings(shared_data):
    report = validate(read_project(shared_data / "aepx" / "player-card.aepx"), installed=nothing_installed)
    told = sorted((finding.code, finding.object) for finding in report.findings)
    layers = ("BEN FORMAN", "Background", "ELOISE GRACE", "EMMA LOUISE", "cutout", "green_yellow_bg")
    assert told == [
        *(("layered_footage", f"{name}/test-photoshop-doc.psd") for name in layers),
        ("missing_font", "RUSHFLOW"),
        ("missing_footage", "cutout.png"),
        ("missing_footage", "green_yellow_bg.png"),
        ("missing_footage", "test-photoshop-doc.psd"),
    ]
    assert not report.clean


def test_the_empty_project_has_no_render_comp_and_nothing_else(shared_data):
    report = validate(read_project(shared_data / "aepx" / "empty.aepx"), installed=nothing_installed)
    assert [finding.code for finding in report.findings] == ["no_render_comp"]
