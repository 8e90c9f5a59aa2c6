"""batches.google.addresses: what people copy and type."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batches.google.addresses import Area, SheetAddress, parse
from jobs.errors import Invalid
from tests.batches.google.fake import ID

SHEET = f"https://docs.google.com/spreadsheets/d/{ID}"


@pytest.mark.parametrize(
    ("text", "gid"),
    [
        (ID, None),
        (f"  {ID}\n", None),
        (SHEET, None),
        (f"{SHEET}/", None),
        (f"{SHEET}/edit", None),
        (f"{SHEET}/edit#gid=0", 0),
        (f"{SHEET}/edit?gid=12#gid=12", 12),
        (f"{SHEET}/edit?gid=7", 7),
        (f"{SHEET}/edit?usp=sharing", None),
        (f"{SHEET}/view#gid=2147483647", 2147483647),
        (f"{SHEET}/htmlview?pli=1#", None),
        (SHEET.replace("/d/", "/u/0/d/") + "/edit#gid=3", 3),
        (SHEET.replace("/spreadsheets", "/a/example.com/spreadsheets"), None),
        (SHEET.replace("docs", "DOCS").replace(".com", ".com:443"), None),
        (SHEET.removeprefix("https://"), None),
    ],
)
def test_every_usual_form_names_the_sheet(text, gid):
    assert parse(text) == SheetAddress(spreadsheet_id=ID, gid=gid)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("Spring jobs", "is no address below"),
        (SHEET.replace("https", "http"), "is no address below"),
        (SHEET.replace("docs.google.com", "docs.google.com.example.com"), "is no address below"),
        (SHEET.replace("docs.google.com", "evil@docs.google.com"), "is no address below"),
        (SHEET.replace("docs.google.com", "docs.google.com:8443"), "is no address below"),
        (SHEET.replace("docs.google.com", "169.254.169.254"), "is no address below"),
        (SHEET.replace("docs.google.com", "[::1"), "is no address"),
        (SHEET.replace("docs.google.com", "docs.google.com:x"), "is no address"),
        (f"file:///spreadsheets/d/{ID}", "is no address below"),
        (f"https://drive.google.com/open?id={ID}", "is no address below"),
        (SHEET.replace("spreadsheets", "document"), "is not the address of a Google Sheet"),
        ("https://docs.google.com/spreadsheets/", "is not the address of a Google Sheet"),
        ("https://docs.google.com/spreadsheets/d/e/2PACX-1vQx/pubhtml", "published to the web"),
        ("https://docs.google.com/spreadsheets/d/../export", "is not the id"),
        (f"{SHEET}%2f..%2fx/edit", "is not the id"),
        (f"{SHEET}/edit#gid=one", "is not the number of a tab"),
        (f"{SHEET}/edit#gid=-1", "is not the number of a tab"),
        (f"{SHEET}/edit#gid=2147483648", "is not the number of a tab"),
        (f"{SHEET}/edit#gid=٣", "is not the number of a tab"),
    ],
)
def test_anything_else_is_refused_with_a_cure(text, words):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.field == "url"
    assert words in str(caught.value)
    assert "copy its address: https://docs.google.com/spreadsheets/d/" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "tab", "cells", "area"),
    [
        ("A1:H90", "", "A1:H90", Area(bottom=89, right=7)),
        ("a1:h", "", "A:H", Area(right=7)),
        ("A:F", "", "A:F", Area(right=5)),
        ("$B$3:$F", "", "B3:F", Area(top=2, left=1, right=5)),
        ("A:F90", "", "A1:F90", Area(bottom=89, right=5)),
        ("2:90", "", "2:90", Area(top=1, bottom=89)),
        ("C:C", "", "C:C", Area(left=2, right=2)),
        ("AA1:ZZZ2", "", "AA1:ZZZ2", Area(left=26, bottom=1, right=18277)),
        ("Jobs!A1:H", "Jobs", "A:H", Area(right=7)),
        ("'My tab'!B2:F90", "My tab", "B2:F90", Area(top=1, left=1, bottom=89, right=5)),
        ("My tab!B:C", "My tab", "B:C", Area(left=1, right=2)),
        ("'It''s, really!'!A:B", "It's, really!", "A:B", Area(right=1)),
        ("Jobs", "Jobs", "", Area()),
        ("Jobs!", "Jobs", "", Area()),
        ("'Q1'", "Q1", "", Area()),
        ("Größe 2026", "Größe 2026", "", Area()),
    ],
)
def test_a_range_names_tab_and_cells(text, tab, cells, area):
    address = parse(SHEET, text)
    assert (address.tab, address.range, address.area) == (tab, cells, area)


@pytest.mark.parametrize(
    "text",
    [
        *("A1", "$C$7", "Jobs!A1", "A1:H9;", "A:", ":H", ":", "1:", ":9", "A1:9", "A0:B9", "H1:A9", "A9:B1"),
        *("A1:B2:C3", "AAAA1:B2", "A1:B10000001", "A1:B99999999", "Ä1:B2", "A1:B²", "'open", "''!A1:B2", "!A1:B2"),
        *("'a'b!A1:B2", "x" * 101 + "!A:B", "a\0b!A:B", "' '!A:B", "A1:B9999999999"),
    ],
)
def test_a_range_that_is_none_is_refused_with_an_example(text):
    with pytest.raises(Invalid) as caught:
        parse(SHEET, text)
    assert caught.value.field == "range"
    assert "Write A1:H, A:F or 'My tab'!B2:F90" in str(caught.value)


def test_what_is_named_in_the_range_goes_before_the_address():
    linked = f"{SHEET}/edit#gid=5&range=B2:D9"
    assert parse(linked) == SheetAddress(spreadsheet_id=ID, gid=5, range="B2:D9")
    assert parse(linked, "A:C") == SheetAddress(spreadsheet_id=ID, gid=5, range="A:C")
    assert parse(linked, "Jobs!A:C") == SheetAddress(spreadsheet_id=ID, tab="Jobs", range="A:C")
    assert parse(f"{SHEET}/edit#gid=5&range=C7").range == ""


def test_an_address_is_written_for_people_and_kept_as_json():
    address = parse(f"{SHEET}/edit?usp=sharing#gid=5", "A:C")
    assert address.url == f"{SHEET}/edit#gid=5"
    assert address.notation == "A:C"
    assert parse(ID, "'It''s'!a2:c").notation == "'It''s'!A2:C"
    assert SheetAddress.from_json(address.as_json()) == address
    assert parse(ID).url == f"{SHEET}/edit"


areas = st.builds(
    lambda top, left, high, wide: Area(
        top=top, left=left, bottom=None if high is None else top + high, right=left + wide
    ),
    st.integers(0, 9_000_000),
    st.integers(0, 9_000),
    st.none() | st.integers(0, 900_000),
    st.integers(0, 9_000),
)


@given(area=areas, tab=st.text(min_size=1, max_size=100))
def test_what_is_written_is_read_again(area, tab):
    assume(tab.strip() and tab.isprintable())
    written = SheetAddress(spreadsheet_id=ID, tab=tab, range=area.notation)
    assert parse(ID, written.notation) == written
    assert written.area == area


def parsed(url: str, range_: str) -> SheetAddress | Invalid:
    try:
        return parse(url, range_)
    except Invalid as error:
        return error


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_is_an_address_or_invalid(text, range_):
    for url in (text, f"{SHEET}/{text}", f"{SHEET}/edit#gid={text}", f"https://docs.google.com/spreadsheets/d/{text}"):
        found = parsed(url, range_)
        if isinstance(found, Invalid):
            assert found.field in {"url", "range"}
            assert str(found)
        else:
            assert parse(found.url, found.notation) == found
