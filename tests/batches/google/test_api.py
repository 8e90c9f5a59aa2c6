"""batches.google.api and account: a shared sheet, read with a key that nobody sees."""

from __future__ import annotations

import json
import logging
import threading
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.views.debug import SafeExceptionReporterFilter

from batches.google import account, transport
from batches.google.addresses import SheetAddress, parse
from batches.google.client import read, service_account_email
from batches.google.errors import KeyRefused, NotShared, Unreachable
from jobs.errors import Invalid, RateLimited
from tests.batches.google.fake import (
    EMAIL,
    ID,
    NO_PERMISSION,
    Tab,
    account_key,
    cut,
    drip,
    google,
    hang_up,
    page,
    refusal,
    status,
    told,
)

URL = f"https://docs.google.com/spreadsheets/d/{ID}/edit"
HEADER = ["Job ID", "psd_path", "aepx_path", "output_name"]


@pytest.fixture
def sheet(settings):
    with google(settings, key=True) as fake:
        fake.public = False
        fake.tabs = [
            Tab("Chart", 1, [], kind="OBJECT"),
            Tab("Secret", 2, [["hidden"]], hidden=True),
            Tab("Jobs", 7, [HEADER, ["A-1", "größe 🎬.psd", "=B2", "a.aep", ""], [], [""]], shown={"=B2": "#REF!"}),
            Tab("It's, really!", 0, [["other"]]),
        ]
        yield fake


@pytest.mark.parametrize(
    ("url", "range_", "tab", "gid"),
    [
        (ID, "", "Jobs", 7),
        (f"{URL}#gid=7", "", "Jobs", 7),
        (f"{URL}#gid=0", "", "It's, really!", 0),
        (f"{URL}#gid=7", "'It''s, really!'", "It's, really!", 0),
        (f"{URL}#gid=2", "", "Secret", 2),
        (ID, "Secret!A:B", "Secret", 2),
    ],
)
def test_the_tab_is_found_by_title_by_number_or_as_the_first_that_people_see(sheet, url, range_, tab, gid):
    address = parse(url, range_)
    snapshot = read(address)
    assert (snapshot.title, snapshot.tab, snapshot.address.gid) == ("Spring", tab, gid)
    assert snapshot.address.tab == address.tab
    assert read(snapshot.address).digest == snapshot.digest


def test_cells_are_as_people_see_them_and_errors_are_faults(sheet):
    snapshot = read(parse(ID))
    assert snapshot.rows == (tuple(HEADER), ("A-1", "größe 🎬.psd", "#REF!", "a.aep"))
    *_, row = snapshot.records()
    assert row.faults == ((2, "is a formula that shows #REF!. Correct it in the sheet."),)
    asked = parse_qs(urlsplit(sheet.requests[-1][1]).query)
    assert asked["valueRenderOption"] == ["FORMATTED_VALUE"]


def test_a_range_cuts_it_and_keeps_the_places(sheet):
    snapshot = read(parse(ID, "Jobs!B2:C"))
    assert (snapshot.rows, snapshot.first_row, snapshot.first_column) == ((("größe 🎬.psd", "#REF!"),), 2, 1)
    assert unquote(urlsplit(sheet.requests[-1][1]).path).endswith("/values/'Jobs'!B2:C")


def test_an_empty_tab_has_no_rows(sheet):
    sheet.tabs = [Tab("Jobs", 0, [])]
    assert read(parse(ID)).rows == ()


def test_the_token_is_asked_for_once_and_only_for_reading(sheet):
    read(parse(ID))
    read(parse(ID))
    assert sheet.paths().count("POST /token") == 1
    assert {scope for _, scope in sheet.tokens.values()} == {account.READ}
    assert service_account_email() == EMAIL


def test_a_token_that_google_takes_no_more_is_replaced_once(sheet):
    read(parse(ID))
    sheet.tokens.clear()
    assert read(parse(ID)).rows
    assert sheet.paths().count("POST /token") == 2
    sheet.faults_at["/v4/"] = [refusal(401, "UNAUTHENTICATED")] * 2
    with pytest.raises(KeyRefused, match=f"does not let the service account {EMAIL} in"):
        read(parse(ID))


@pytest.mark.parametrize(
    ("url", "range_", "words", "field"),
    [
        ("x" * 44, "", f"no Google Sheet with the id {'x' * 44}", "url"),
        (f"{URL}#gid=99", "", "no tab with the number 99. There are: “Secret”, “Jobs”, “It's, really!”", "url"),
        (f"{URL}#gid=1", "", "no tab with the number 1.", "url"),
        (ID, "jobs!A:B", "no tab “jobs”. There are: “Secret”, “Jobs”", "range"),
        (ID, "Jobs!A5000:B", "exceeds grid limits. Max rows: 1000", "range"),
    ],
)
def test_what_is_not_there_is_told_with_what_there_is(sheet, url, range_, words, field):
    with pytest.raises(Invalid) as caught:
        read(parse(url, range_))
    assert words in str(caught.value)
    assert caught.value.field == field


def test_a_sheet_with_nothing_to_read_is_told(sheet):
    sheet.tabs = sheet.tabs[:2]
    with pytest.raises(Invalid, match=r"no tab that is a table and not hidden. There are: “Secret”"):
        read(parse(ID))


def test_a_sheet_that_is_not_shared_says_with_whom_to_share_it(sheet):
    sheet.shared = {}
    with pytest.raises(NotShared, match=f"choose Share in it and add {EMAIL} as Viewer") as caught:
        read(parse(ID))
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (refusal(403, "PERMISSION_DENIED", "It was not used before", "SERVICE_DISABLED"), KeyRefused, "not enabled"),
        (refusal(403, "PERMISSION_DENIED", "Slow down", "rateLimitExceeded"), RateLimited, "no more requests"),
        (NO_PERMISSION, NotShared, "not shared"),
        (page(403, "<html>"), NotShared, "not shared"),
        (refusal(400, "FAILED_PRECONDITION", "This operation is not supported"), Invalid, "Save as Google Sheets"),
        (status(400), Invalid, "Google refuses"),
        (refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded"), RateLimited, "no more requests"),
        (refusal(500, "INTERNAL"), Unreachable, "answered 500"),
        (page(503, "<html>busy</html>"), Unreachable, "answered 503"),
        (page(302, "", Location="https://example.com/"), Unreachable, "answered 302"),
        (page(200, "<html>captive portal</html>"), Unreachable, "not JSON"),
        (page(200, "[1]", "application/json"), Unreachable, "not JSON"),
        (told({}), Unreachable, "which tabs"),
        (told({"properties": {"title": "x"}, "sheets": [{}]}), Unreachable, "which tabs"),
        (told({"properties": {"title": "x"}, "sheets": "x"}), Unreachable, "which tabs"),
        (hang_up, Unreachable, "does not answer"),
        (cut(b'{"properties"'), Unreachable, "IncompleteRead"),
    ],
)
def test_every_failure_of_the_api_has_its_meaning_and_the_next_reading_works(sheet, fault, kind, words):
    sheet.faults_at["/v4/"] = [fault]
    with pytest.raises(Exception, match=words) as caught:
        read(parse(ID))
    assert type(caught.value) is kind
    assert read(parse(ID)).rows


def test_rows_that_are_none_are_not_believed(sheet):
    for values in ("x", [1], {"a": 1}, [["a"], "b"]):
        sheet.faults_at["/values/"] = [told({"values": values})]
        with pytest.raises(Unreachable, match="no rows"):
            read(parse(ID))
    sheet.faults_at["/values/"] = [told({"values": [[1, True, None, "x"]]})]
    assert read(parse(ID)).rows == (("1", "True", "", "x"),)


def test_google_says_when_to_come_back(sheet):
    sheet.faults_at["/values/"] = [refusal(429, "RESOURCE_EXHAUSTED", Retry_After="17")]
    with pytest.raises(RateLimited) as caught:
        read(parse(ID))
    assert caught.value.retry_after_seconds == 17


def test_a_slow_answer_is_hung_up_on(sheet, monkeypatch):
    read(parse(ID))
    monkeypatch.setattr(transport, "SECONDS", 0.3)
    over = threading.Event()
    sheet.faults_at["/values/"] = [drip(over)]
    with pytest.raises(Unreachable, match=r"more than 0.3 s"):
        read(parse(ID))
    over.set()


def test_no_request_is_begun_when_the_time_for_all_of_them_is_over(sheet, monkeypatch):
    monkeypatch.setattr(transport, "READ_SECONDS", 0.0)
    with pytest.raises(Unreachable, match="more than 0 s for one sheet"):
        read(parse(ID))
    assert sheet.requests == []


def test_an_answer_larger_than_a_sheet_may_be_is_refused(sheet, settings):
    settings.MAX_SHEET_BYTES = 2000
    sheet.tabs = [Tab("Jobs", 0, [["x" * 3000]])]
    with pytest.raises(Invalid, match=r"Name a smaller range") as caught:
        read(parse(ID))
    assert caught.value.field == "range"


def test_the_lease_is_extended_before_every_request(sheet):
    held = []
    read(parse(ID), hold=lambda: held.append(len(sheet.requests)))
    assert held == [0, 1, 2]


# The key --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (
            page(400, '{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'),
            KeyRefused,
            "Signature",
        ),
        (page(401, '{"error": "invalid_client"}'), KeyRefused, "invalid_client"),
        (page(400, "{}"), KeyRefused, "does not say why"),
        (page(400, '{"error": {"odd": 1}}'), KeyRefused, "odd"),
        (page(400, '{"error": "server_error"}'), Unreachable, "server_error"),
        (page(400, "<html>"), Unreachable, "not JSON"),
        (told({}), Unreachable, "without a token"),
        (told({"access_token": "x", "expires_in": "soon"}), Unreachable, "without a token"),
        (told([]), Unreachable, "not JSON"),
        (status(500), Unreachable, "500"),
        (status(429, Retry_After="9"), RateLimited, "no more requests"),
        (hang_up, Unreachable, "does not answer"),
    ],
)
def test_every_failure_of_the_sign_in_has_its_meaning(sheet, fault, kind, words):
    sheet.faults_at["/token"] = [fault]
    with pytest.raises(Exception, match=words) as caught:
        read(parse(ID))
    assert type(caught.value) is kind
    assert sheet.paths().count("POST /token") == 1
    assert read(parse(ID)).rows


def test_a_key_of_another_account_is_refused_with_the_cause(sheet, settings):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    settings.GOOGLE_SERVICE_ACCOUNT_KEY = account_key(sheet.url, private_key=other.decode(), private_key_id="other")
    with pytest.raises(KeyRefused, match=rf"the key of the service account {EMAIL} \(invalid_grant: Invalid JWT Sig"):
        read(parse(ID))


def test_a_private_key_that_is_none_is_told_without_it(sheet, settings):
    for text in ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "a secret"):
        settings.GOOGLE_SERVICE_ACCOUNT_KEY = account_key(sheet.url, private_key=text, private_key_id=text)
        with pytest.raises(KeyRefused, match="cannot be read") as caught:
            read(parse(ID))
        assert text not in repr(caught.value)


def test_neither_key_nor_token_is_in_any_log_or_error(sheet, settings, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    secret = settings.GOOGLE_SERVICE_ACCOUNT_KEY["private_key"].splitlines()[3]
    errors = []
    faults = [None, status(500), NO_PERMISSION, refusal(400, "INVALID_ARGUMENT", "x"), hang_up, page(200, "x")]
    for where in ("/token", "/v4/", "/values/"):
        for fault in faults:
            sheet.faults_at = {where: [fault] if fault else []}
            account._credentials.clear()
            try:
                read(parse(ID))
            except (Invalid, RateLimited, Unreachable) as error:
                errors.append(repr(error))
    assert len(errors) > 10
    shown = "\n".join([*errors, caplog.text, *capfd.readouterr(), repr(account._credentials), repr(account)])
    for hidden in (secret, "PRIVATE KEY", "a-secret-token", "assertion"):
        assert hidden not in shown


def test_djangos_debug_pages_and_settings_lists_hide_the_key(sheet, settings):
    name = "GOOGLE_SERVICE_ACCOUNT_KEY"
    shown = SafeExceptionReporterFilter().get_safe_settings()[name]
    assert "private_key" not in json.dumps(shown)


def test_the_address_that_is_kept_finds_the_same_tab_after_a_rename(sheet):
    snapshot = read(parse(ID))
    sheet.tabs[2].title = "Renamed"
    sheet.tabs.reverse()
    again = read(SheetAddress.from_json(snapshot.address.as_json()))
    assert (again.tab, again.digest) == ("Renamed", snapshot.digest)
