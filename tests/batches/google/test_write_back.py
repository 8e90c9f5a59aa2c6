"""batches.google.write_back: into the named columns beside the right rows, and nowhere else."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from batches.google import account, write_back
from batches.google.addresses import Area, parse
from batches.google.client import read
from batches.google.errors import KeyRefused, NotShared, Unreachable
from batches.google.write_back import Skipped, Written
from jobs.errors import Invalid, RateLimited
from tests.batches.google.fake import EMAIL, ID, Literal, Spilled, Tab, cut, google, hang_up, refusal, status, told

HEADER = ["Job ID", "psd_path", "State", "Link", "Error"]
STATE, LINK = ("A-1", "State"), ("A-1", "Link")


@pytest.fixture
def sheet(settings):
    with google(settings, key=True) as fake:
        fake.tabs = [
            Tab("Notes", 0, [["Nothing here"]]),
            Tab(
                "Jobs",
                7,
                [
                    ["Spring 2026"],
                    list(HEADER),
                    ["A-1", "a.psd", "", "", ""],
                    ["A-2", "=HYPERLINK(1)", "queued", "=LINK(A4)", ""],
                    [" A-3 ", "c.psd"],
                    ["A-4", "d.psd", "done", Spilled("x"), ""],
                ],
                shown={"=HYPERLINK(1)": "b.psd", "=LINK(A4)": "a link"},
            ),
        ]
        yield fake


def write(cells: dict[tuple[str, str], str], range_: str = "Jobs", key: str = "job_id", **more) -> Written:
    return write_back.write_back(parse(ID, range_), key=key, cells=cells, **more)


def writes(fake) -> int:
    return sum(":batchUpdate" in path for path in fake.paths())


def test_cells_are_written_beside_their_keys_and_every_other_cell_stays(sheet):
    rows = copy.deepcopy(sheet.tabs[1].rows)
    done = write({STATE: "deployed", LINK: "https://x/1", ("A-2", "state"): "failed", ("A-3", "State"): "running"})
    assert done == Written(written=4, unchanged=0, skipped=())
    rows[2][2:4] = ["deployed", "https://x/1"]
    rows[3][2] = "failed"
    rows[4].append("running")
    assert sheet.tabs[1].rows == rows
    assert sheet.tabs[0].rows == [["Nothing here"]]
    assert writes(sheet) == 1


def test_a_formula_and_what_it_fills_are_left_alone_and_told(sheet):
    before = copy.deepcopy(sheet.tabs[1].rows)
    done = write({("A-2", "Link"): "https://x/2", ("A-4", "Link"): "https://x/4", ("A-4", "State"): "done"})
    assert done == Written(
        written=0,
        unchanged=1,
        skipped=(
            Skipped(key="A-2", column="Link", reason="holds a formula"),
            Skipped(key="A-4", column="Link", reason="holds a formula"),
        ),
    )
    assert sheet.tabs[1].rows == before
    assert writes(sheet) == 0


def test_what_is_written_twice_is_sent_once(sheet):
    cells = {STATE: "deployed", LINK: ""}
    assert write(cells) == Written(written=1, unchanged=1, skipped=())
    assert write(cells) == Written(written=0, unchanged=2, skipped=())
    assert write({STATE: ""}) == Written(written=1, unchanged=0, skipped=())
    assert sheet.tabs[1].rows[2][2] == ""
    assert writes(sheet) == 2


def test_rows_that_moved_since_they_were_read_are_found_again(sheet):
    read(parse(ID, "Jobs"))
    rows = sheet.tabs[1].rows
    rows.insert(0, ["A line above"])
    rows[3], rows[6] = rows[6], rows[3]
    for row in rows:
        row.insert(1, "")
    rows[2][1] = "inserted"
    write({STATE: "deployed"})
    assert next(row for row in rows if row[0] == "A-1")[:4] == ["A-1", "", "a.psd", "deployed"]
    assert [row[3] for row in rows if len(row) > 3 and row[0] != "A-1"] == ["State", "done", "queued"]


def test_a_header_far_down_is_found_near_where_it_stood(sheet):
    rows = sheet.tabs[1].rows
    rows[:1] = [["Job ID", "State"]] + [[f"Line {number}"] for number in range(39)]
    cells = {STATE: "deployed", LINK: "https://x/1"}
    with pytest.raises(Invalid, match="no column called “Link”"):
        write(cells)
    assert write(cells, header_row=41) == Written(written=2, unchanged=0, skipped=())
    assert rows[41] == ["A-1", "a.psd", "deployed", "https://x/1", ""]
    # Of two rows with these titles the one where it stood is meant, not the one on top.
    assert write({STATE: "done"}, header_row=41).written == 1
    assert rows[41][2] == "done"
    rows[1:8] = []
    assert write({STATE: "failed"}, header_row=41).written == 1
    assert rows[34][2] == "failed"


def test_rows_that_are_gone_or_there_twice_are_told(sheet):
    sheet.tabs[1].rows.append(["A-1"])
    del sheet.tabs[1].rows[3]
    done = write({STATE: "x", ("A-2", "State"): "x", ("A-3", "State"): "x"})
    assert (done.written, [(one.key, one.reason) for one in done.skipped]) == (
        1,
        [("A-1", "has a key that stands in rows 3 and 6"), ("A-2", "has a key that no row has any more")],
    )


@pytest.mark.parametrize("text", ["=IMPORTXML(1)", "+1", "-1", "@x", "\t=1", " =1", "\u00a0=1"])
def test_what_a_spreadsheet_would_calculate_is_guarded(sheet, text):
    write({STATE: text})
    cell = sheet.tabs[1].rows[2][2]
    assert (cell, isinstance(cell, Literal)) == (f"'{text}", True)
    assert write({STATE: text}).unchanged == 1
    assert sheet.bodies[0]["valueInputOption"] == "RAW"


def test_a_text_that_somebody_put_there_raw_is_no_formula(sheet):
    sheet.tabs[1].rows[2][2] = Literal("=1+1")
    assert write({STATE: "deployed"}).written == 1


def test_a_long_text_is_cut(sheet):
    write({("A-1", "Error"): "x" * 60_000})
    cell = sheet.tabs[1].rows[2][4]
    assert (len(cell), cell[-2:]) == (5000, "x…")


def test_columns_are_found_under_any_spelling_and_outside_the_range(sheet):
    sheet.tabs[1].rows[1] = ["JOB-ID", "psd", "The State ", "", "Error"]
    assert write({("A-1", "the_state"): "x"}, range_="Jobs!A2:B", key="Job Id").written == 1
    assert sheet.tabs[1].rows[2][2] == "x"


@pytest.mark.parametrize(
    ("cells", "key", "words"),
    [
        ({("A-1", "Status"): "x"}, "job_id", "“Jobs” has no column called “Status” in its header. Add it"),
        ({("A-1", "Status"): "x", ("A-1", "When"): "x"}, "job_id", "called “Status” and “When” in"),
        ({STATE: "x"}, "id", "no column called “id”"),
        ({("A-1", "Job ID"): "x"}, "job_id", "“job_id” tells rows apart"),
    ],
)
def test_a_column_that_cannot_be_written_is_told(sheet, cells, key, words):
    with pytest.raises(Invalid) as caught:
        write(cells, key=key)
    assert words in str(caught.value)
    assert caught.value.field == "columns"
    assert writes(sheet) == 0


def test_two_columns_of_one_title_are_told(sheet):
    sheet.tabs[1].rows[1][4] = "state"
    with pytest.raises(Invalid, match="two columns called “State”"):
        write({STATE: "x"})


def test_columns_that_move_between_the_two_readings_are_noticed(sheet):
    rows, calls = sheet.tabs[1].rows, []

    def hold() -> None:
        calls.append(1)
        if len(calls) == 4:  # sign-in, tabs, header; now come the cells
            rows[1][2], rows[1][3] = rows[1][3], rows[1][2]

    with pytest.raises(Unreachable, match="Somebody moves the columns of “Jobs”"):
        write({STATE: "x"}, hold=hold)
    assert writes(sheet) == 0
    assert write({STATE: "x"}).written == 1
    assert rows[2][3] == "x"


def test_the_scope_is_that_of_writing_and_only_then(sheet):
    read(parse(ID))
    write({STATE: "x"})
    assert [scope for _, scope in sheet.tokens.values()] == [account.READ, account.WRITE]


def test_who_may_only_look_is_told_to_ask_for_more(sheet):
    sheet.shared = {EMAIL: "reader"}
    with pytest.raises(NotShared, match=f"add {EMAIL} as Editor"):
        write({STATE: "x"})


def test_without_a_key_nothing_is_written(sheet, settings):
    settings.GOOGLE_SERVICE_ACCOUNT_KEY = {}
    with pytest.raises(KeyRefused, match="takes a service account"):
        write({STATE: "x"})
    assert sheet.requests == []


def test_protected_cells_are_told_with_who_must_be_let_in(sheet):
    sheet.tabs[1].protected = True
    with pytest.raises(Invalid, match=f"protected.* let {EMAIL} edit") as caught:
        write({STATE: "x"})
    assert caught.value.field == "columns"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refusal(429, "RESOURCE_EXHAUSTED", Retry_After="5"), RateLimited),
        (status(503), Unreachable),
        (hang_up, Unreachable),
        (cut(), Unreachable),
    ],
)
@pytest.mark.parametrize("where", ["/token", "/values/", "ranges=", ":batchUpdate"])
def test_after_any_failure_it_may_be_called_again(sheet, where, fault, kind):
    sheet.faults_at[where] = [fault]
    with pytest.raises(kind):
        write({STATE: "deployed"})
    assert write({STATE: "deployed"}) == Written(written=1, unchanged=0, skipped=())


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"sheets": []},
        {"sheets": [{"data": 1}]},
        {"sheets": [{"data": [{"startColumn": 9, "rowData": []}]}]},
        {"sheets": [{"data": [{"rowData": [{"values": ["x"]}]}]}]},
        {"sheets": [{"data": []}]},
    ],
)
def test_cells_that_are_none_are_not_believed(sheet, answer):
    sheet.faults_at["ranges="] = [told(answer)]
    with pytest.raises(Unreachable):
        write({STATE: "x"})


def test_nothing_to_write_asks_nobody(sheet):
    assert write({}) == Written(written=0, unchanged=0, skipped=())
    assert sheet.requests == []


def test_many_rows_take_few_requests_and_ranges(sheet):
    sheet.tabs[1].rows = [list(HEADER), *([f"A-{n}", "x.psd"] for n in range(900))]
    cells = {(f"A-{n}", title): f"{title} {n}" for n in range(900) if n != 450 for title in ("State", "Link")}
    assert write(cells).written == 1798
    (body,) = sheet.bodies
    assert [one["range"] for one in body["data"]] == ["'Jobs'!C2:D451", "'Jobs'!C453:D901"]
    assert sheet.tabs[1].rows[900] == ["A-899", "x.psd", "State 899", "Link 899"]


def test_what_is_too_much_for_a_request_is_sent_in_several(sheet, monkeypatch):
    monkeypatch.setattr(write_back, "MOST_REQUEST_CHARACTERS", 1000)
    sheet.tabs[1].rows = [list(HEADER), *([f"A-{n}"] for n in range(100))]
    assert write({(f"A-{n}", "State"): f"state {n}" for n in range(100)}).written == 100
    assert writes(sheet) == 7
    assert [row[2] for row in sheet.tabs[1].rows[1:]] == [f"state {n}" for n in range(100)]


places = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 6)))


@given(places)
def test_rectangles_hold_every_place_once_and_no_other(places):
    held = [
        (row, column)
        for area in write_back._areas(places)
        for row in range(area.top, area.bottom + 1)
        for column in range(area.left, area.right + 1)
    ]
    assert sorted(held) == sorted(places)


def test_a_full_rectangle_is_one():
    assert write_back._areas({(row, column) for row in range(3, 9) for column in (4, 5)}) == [
        Area(top=3, bottom=8, left=4, right=5)
    ]


typed = st.sampled_from(["", "", "text", "=F(1)", "'=x", " "]) | st.builds(Spilled, st.just("spilled"))
keys = st.sampled_from(["A-1", "A-2", "A-3", " A-4", "", "=K(2)"])


@examples(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=st.lists(st.tuples(keys, typed, typed, typed), max_size=8),
    titles=st.permutations(["job_id", "State", "Link", "Mine"]),
    cells=st.dictionaries(
        st.tuples(st.sampled_from(["A-1", "A-2", "A-3", "A-4", "A-5"]), st.sampled_from(["State", "Link"])),
        st.sampled_from(["deployed", "=evil()", "", "text"]),
    ),
)
def test_whatever_the_sheet_holds_only_plain_cells_of_the_named_columns_change(sheet, rows, titles, cells):
    tab = sheet.tabs[1]
    order = [titles.index(title) for title in ("job_id", "State", "Link", "Mine")]
    tab.rows = [list(titles), *([row[order.index(place)] for place in range(4)] for row in rows)]
    before = copy.deepcopy(tab.rows)
    done = write(cells)
    assert done.written + done.unchanged + len(done.skipped) == len(cells)
    changed = [
        (row, column)
        for row, now in enumerate(tab.rows)
        for column, cell in enumerate(now)
        if cell != before[row][column]
    ]
    assert len(changed) == done.written
    for row, column in changed:
        was = before[row][column]
        assert row > 0
        assert not tab.is_formula(was)
        assert not isinstance(was, Spilled)
        name = before[row][order[0]].strip()
        assert cells[name, titles[column]] in (tab.rows[row][column], tab.rows[row][column][1:])
