"""batches.intake.table"""

from __future__ import annotations

import pytest

from batches.intake.table import BY_NAME, Repeats, cell_faults

GOOD = {"job_id": "J1", "psd_path": "a.psd", "aepx_path": "b/a.aepx", "output_name": "o.aep"}


def faults(**cells):
    return [(fault.column, fault.message) for fault in cell_faults({**GOOD, **cells})]


def test_a_row_with_the_required_cells_has_no_fault():
    assert faults() == []


@pytest.mark.parametrize("column", ["job_id", "psd_path", "aepx_path", "output_name"])
def test_a_required_cell_must_not_be_empty(column):
    assert faults(**{column: ""}) == [(column, "is empty.")]


@pytest.mark.parametrize("text", ["A", "a-b_C9", "x" * 50])
def test_a_job_id_of_the_pattern_is_good(text):
    assert faults(job_id=text) == []


@pytest.mark.parametrize("text", ["a b", "a.b", "ä", "x" * 51, "a/b", "=1", "a\nb", "a\n"])
def test_a_job_id_outside_the_pattern_is_a_fault(text):
    assert [column for column, _ in faults(job_id=text)] == ["job_id"]


@pytest.mark.parametrize("text", ["o.aep", "o.AEPX", "Größe 1.aep", "a.b.aepx", "日本.aep"])
def test_an_output_name_that_is_a_plain_project_name_is_good(text):
    assert faults(output_name=text) == []


@pytest.mark.parametrize(
    "text",
    [
        "o.psd",
        "o",
        ".aep",
        "../o.aep",
        "a/o.aep",
        "a\\o.aep",
        "C:o.aep",
        "o?.aep",
        "con.aep",
        "LPT1.x.aep",
        "o .aep",
        "o\n.aep",
        "o\u2028.aep",
        "x" * 200 + ".aep",
    ],
)
def test_an_output_name_with_a_path_or_odd_characters_is_a_fault(text):
    assert [column for column, _ in faults(output_name=text)] == ["output_name"]


@pytest.mark.parametrize(("column", "text"), [("psd_path", "a.png"), ("aepx_path", "a.psd"), ("psd_path", "a\tb.psd")])
def test_a_path_must_have_the_ending_of_its_kind(column, text):
    assert [fault[0] for fault in faults(**{column: text})] == [column]


@pytest.mark.parametrize("text", ["urgent", "High", "NORMAL", "medium", "low", ""])
def test_the_known_priorities_are_good(text):
    assert faults(priority=text) == []


def test_another_priority_is_told_the_choices():
    assert faults(priority="asap") == [("priority", "“asap” must be urgent, high, normal (or medium) or low.")]


def test_a_long_cell_is_a_fault_also_in_an_unknown_column():
    assert [column for column, _ in faults(notes="x" * 10_001, colour="y" * 10_001)] == ["notes", "colour"]


def test_a_control_character_is_a_fault_but_a_line_break_in_the_notes_is_not():
    assert [column for column, _ in faults(notes="a\nb", client_name="a\x07b")] == ["client_name"]


def test_every_fault_of_a_row_is_told():
    assert len(faults(job_id="?", psd_path="", aepx_path="x.txt", output_name="o", priority="z")) == 5


def repeated(values, column):
    repeats = Repeats(column)
    return {line: fault for line, text in values if (fault := repeats.fault(line, text))}


def test_a_repeated_value_names_the_line_of_the_first():
    found = repeated([(2, "a"), (3, "b"), (5, "a")], "job_id")
    assert found[5].message == "“a” is already used in line 2."
    assert set(found) == {5}


def test_output_names_are_compared_without_case_and_job_ids_with():
    assert set(repeated([(2, "A.aep"), (3, "a.AEP"), (4, "gro\u0308.aep"), (5, "grö.aep")], "output_name")) == {3, 5}
    assert repeated([(2, "A"), (3, "a")], "job_id") == {}


def test_the_examples_of_the_columns_are_good():
    assert cell_faults({name: column.example for name, column in BY_NAME.items()}) == []
