"""batches.google.public: a sheet that everybody may see, from a server that answers as Google does."""

from __future__ import annotations

import socket
import threading

import pytest

from batches.google import transport
from batches.google.addresses import parse
from batches.google.client import read
from batches.google.errors import NotShared, Unreachable
from jobs.errors import Invalid, RateLimited
from tests.batches.google.fake import ID, LOGIN_PAGE, Tab, cut, drip, google, hang_up, page, status

HEADER = ["Job ID", "psd_path", "aepx_path", "output_name"]


@pytest.fixture
def sheet(settings):
    with google(settings) as fake:
        fake.tabs = [
            Tab("Notes", 0, [["Nothing here"]]),
            Tab("Jobs", 7, [HEADER, ["A-1", "größe, \n.psd", "=B2", "a.aep"]], shown={"=B2": "t.aepx"}),
        ]
        yield fake


def test_the_first_tab_or_that_of_the_address_is_read(sheet):
    assert read(parse(ID)).rows == (("Nothing here",),)
    snapshot = read(parse(f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=7"))
    assert snapshot.rows == (tuple(HEADER), ("A-1", "größe, \n.psd", "t.aepx", "a.aep"))
    assert (snapshot.title, snapshot.first_row, snapshot.first_column) == ("Spring - Jobs", 1, 0)
    assert sheet.requests[-2:] == [
        ("GET", f"/spreadsheets/d/{ID}/export?format=csv&gid=7"),
        ("GET", "/content/7"),
    ]


def test_a_range_cuts_it_and_keeps_the_places(sheet):
    snapshot = read(parse(f"{ID}", "B2:C9"))
    assert snapshot.rows == ()
    sheet.tabs.pop(0)
    snapshot = read(parse(f"{ID}", "B2:C9"))
    assert (snapshot.rows, snapshot.first_row, snapshot.first_column) == ((("größe, \n.psd", "t.aepx"),), 2, 1)


def test_a_tab_by_its_title_takes_a_key(sheet):
    with pytest.raises(Invalid, match="a tab cannot be found by its title") as caught:
        read(parse(ID, "Jobs!A:D"))
    assert caught.value.field == "range"
    assert sheet.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        page(302, "", Location="https://accounts.google.com/v3/signin?continue=x"),
        page(200, LOGIN_PAGE),
        page(401, LOGIN_PAGE),
        page(403, LOGIN_PAGE),
    ],
)
def test_a_private_sheet_is_told_as_such_however_google_says_it(sheet, fault):
    sheet.faults = [fault]
    with pytest.raises(NotShared, match=r"not public. In the sheet choose Share.*Anyone with the link") as caught:
        read(parse(ID))
    assert caught.value.field == "url"


def test_what_is_not_there_is_told(sheet):
    with pytest.raises(Invalid, match="There is no Google Sheet with the id") as caught:
        read(parse("x" * 44))
    assert caught.value.field == "url"
    with pytest.raises(Invalid, match="has no tab with the number 99"):
        read(parse(f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=99"))


def test_too_many_requests_tell_when_to_come_back(sheet):
    sheet.faults = [status(429, Retry_After="30"), status(429)]
    waits = []
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            read(parse(ID))
        waits.append(caught.value.retry_after_seconds)
    assert waits == [30, None]


@pytest.mark.parametrize(
    "fault",
    [
        status(500),
        status(503, "later"),
        status(408),
        hang_up,
        cut(),
        page(200, "[]", "application/json"),
        page(418, "x", "text/plain"),
        page(200, 'a,"b', "text/csv"),
    ],
)
def test_what_may_pass_is_told_as_such(sheet, fault):
    sheet.faults = [fault]
    with pytest.raises(Unreachable):
        read(parse(ID))
    assert read(parse(ID)).rows


@pytest.mark.parametrize(
    "there",
    [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/",
        "https://example.com/x.csv",
        "https://googleusercontent.com.example.com/",
        "http://doc-0.googleusercontent.com/",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "//example.com/",
    ],
)
def test_a_redirect_leads_only_where_google_keeps_exports(sheet, there):
    sheet.faults = [page(302, "", Location=there)]
    with pytest.raises(Unreachable, match="where no sheets are"):
        read(parse(ID))
    assert len(sheet.requests) == 1


def test_a_name_of_google_that_stands_for_an_address_inside_is_not_asked(sheet, settings, monkeypatch):
    settings.GOOGLE_DOCS_URL = "https://docs.google.com"
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: inside)
    with pytest.raises(Unreachable, match=r"docs.google.com is not asked: 10.0.0.1 is not an address on the internet"):
        read(parse(ID))


def test_redirects_end(sheet):
    sheet.faults = [page(307, "", Location=f"/content/{number}") for number in range(9)]
    with pytest.raises(Unreachable, match="in a circle"):
        read(parse(ID))


def test_an_answer_that_never_ends_is_hung_up_on(sheet, monkeypatch):
    monkeypatch.setattr(transport, "SECONDS", 0.3)
    over = threading.Event()
    sheet.faults = [drip(over)]
    with pytest.raises(Unreachable, match=r"more than 0.3 s"):
        read(parse(ID))
    over.set()


def test_more_than_a_sheet_may_be_is_refused(sheet, settings):
    settings.MAX_SHEET_BYTES = 20
    with pytest.raises(Invalid, match=r"more than 0 MB. Name a smaller range"):
        read(parse(f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=7"))
    settings.MAX_SHEET_BYTES = 10_000
    settings.MAX_SHEET_ROWS = 3
    sheet.tabs = [Tab("Jobs", 0, [[f"A-{n}"] for n in range(23)] + [[""]] * 5)]
    assert len(read(parse(ID)).rows) == 28
    sheet.tabs[0].rows[-1] = ["one more"]
    with pytest.raises(Invalid, match="more than 3 rows"):
        read(parse(ID))
    sheet.tabs = [Tab("Jobs", 0, [[*[""] * 200, "x"], ["A-1"]])]
    with pytest.raises(Invalid, match=r"201 columns; at most 200 are allowed. Name a range"):
        read(parse(ID))
    assert read(parse(ID, "A:H")).rows[1][0] == "A-1"


def test_an_empty_sheet_has_no_rows(sheet):
    sheet.tabs = [Tab("Jobs", 0, [])]
    assert read(parse(ID)).rows == ()


def test_whoever_holds_a_lease_is_asked_before_every_request(sheet):
    held = []
    read(parse(ID), hold=lambda: held.append(len(sheet.requests)))
    assert held == [0, 1]
