"""jobs.csv_files: what is written opens in a spreadsheet as text, and comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest

from jobs.csv_files import guarded, unguarded, write


def read(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        " =1",
        "\u00a0=1",
        "\u200b=1",
        "\u2007@x",
    ],
)
def test_a_cell_that_a_spreadsheet_would_calculate_is_guarded(cell):
    assert read(write([["notes"], [cell]]))[1][0] == "'" + cell
    assert unguarded(guarded(cell)) == cell


@pytest.mark.parametrize("cell", ["", "plain", "'", "'quoted'", "a=b", "名前"])
def test_other_cells_stay_as_they_are(cell):
    assert read(write([["x", cell]]))[0][1] == cell
    assert unguarded(guarded(cell)) == cell


def test_half_a_surrogate_pair_becomes_its_escape():
    assert read(write([["a\ud800"]])) == [["a\\ud800"]]
