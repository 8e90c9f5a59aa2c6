"""The Google Sheets API v4, as far as we need it: developers.google.com/sheets/api/reference/rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings

from batches.google import account
from batches.google.addresses import HOW_RANGE, HOW_URL, SheetAddress
from batches.google.errors import KeyRefused, NotShared, Unreachable
from batches.google.snapshot import Snapshot
from batches.google.transport import Hold, ask
from batches.intake.table import shown
from jobs.errors import Invalid, RateLimited
from jobs.outbound import Reply

TOO_OFTEN = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
SWITCHED_OFF = frozenset({"SERVICE_DISABLED", "accessNotConfigured"})
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, BAD_REQUEST = 401, 403, 404, 400
GRID = "GRID"


@dataclass(frozen=True, kw_only=True)
class Spreadsheet:
    """What one address is about. ``address`` names the tab by number and title."""

    address: SheetAddress
    title: str


def read(address: SheetAddress, *, hold: Hold | None = None) -> Snapshot:
    """The sheet, cut to the address's range. Raises as ``client.read`` does."""
    found = look_up(address, hold=hold)
    path = f"/values/{quote(found.address.notation, safe='')}"
    asked = {"majorDimension": "ROWS", "valueRenderOption": "FORMATTED_VALUE"}
    values = call(found.address, path, asked, hold=hold).get("values", [])
    area = address.area
    return Snapshot(
        address=replace(found.address, tab=address.tab),
        title=found.title,
        tab=found.address.tab,
        rows=texts(values),
        first_row=area.top + 1,
        first_column=area.left,
    )


def look_up(address: SheetAddress, *, scope: str = account.READ, hold: Hold | None = None) -> Spreadsheet:
    """Finds the tab of an address: by its title, by its number, or the first that people see."""
    fields = "properties.title,sheets.properties(sheetId,title,hidden,sheetType)"
    told = call(address, "", {"fields": fields}, scope=scope, hold=hold)
    try:
        title = str(told["properties"]["title"])
        tabs = [one["properties"] for one in told["sheets"]]
        tab = _tab_of(address, tabs)
        found = replace(address, gid=int(tab.get("sheetId", 0)), tab=str(tab["title"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unreachable("Google's answer does not say which tabs the sheet has.") from None
    return Spreadsheet(address=found, title=title)


def _tab_of(address: SheetAddress, tabs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    tables = [tab for tab in tabs if tab.get("sheetType", GRID) == GRID]
    if address.tab:
        found = [tab for tab in tables if tab["title"] == address.tab]
        wanted, field = shown(address.tab), "range"
    elif address.gid is not None:
        found = [tab for tab in tables if tab.get("sheetId", 0) == address.gid]
        wanted, field = f"with the number {address.gid}", "url"
    else:
        found = [tab for tab in tables if not tab.get("hidden")]
        wanted, field = "that is a table and not hidden", "url"
    if not found:
        listed = ", ".join(shown(str(tab["title"])) for tab in tables[:8]) or "none"
        raise Invalid(f"The Google Sheet has no tab {wanted}. There are: {listed}.", field=field)
    return found[0]


def texts(values: Any) -> tuple[tuple[str, ...], ...]:
    """Rows of cells as the API gives them, as texts. Raises Unreachable for anything else."""
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise Unreachable("Google's answer holds no rows.")
    return tuple(tuple("" if cell is None else str(cell) for cell in row) for row in values)


def call(
    address: SheetAddress,
    path: str,
    asked: Mapping[str, str | Sequence[str]],
    body: Mapping[str, Any] | None = None,
    *,
    scope: str = account.READ,
    hold: Hold | None = None,
) -> dict[str, Any]:
    """One call below the spreadsheet; a POST when there is a body. Raises as ``client.read`` does."""
    url = f"{settings.GOOGLE_SHEETS_URL}/v4/spreadsheets/{address.spreadsheet_id}{path}?{urlencode(asked, doseq=True)}"
    reply = _authorized(url, body, scope, hold)
    told = _json(reply)
    if reply.status != 200:
        raise _failure(reply.status, told, address, scope)
    if told is None:
        raise Unreachable("Google answered with what is not JSON.")
    return told


def _authorized(url: str, body: Mapping[str, Any] | None, scope: str, hold: Hold | None) -> Reply:
    """The answer to a request with our token. One that is not taken any more is replaced, once."""
    content = None if body is None else json.dumps(body).encode()
    for fresh in (False, True):
        headers = {
            "Authorization": f"Bearer {account.token(scope, hold=hold, fresh=fresh)}",
            "Accept": "application/json",
            **({} if content is None else {"Content-Type": "application/json; charset=utf-8"}),
        }
        reply = ask("GET" if content is None else "POST", url, headers=headers, body=content, hold=hold)
        if reply.status != UNAUTHORIZED:
            return reply
    raise KeyRefused(f"Google does not let the service account {account.email()} in, though it gave it a token.")


def _json(reply: Reply) -> dict[str, Any] | None:
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _failure(status: int, told: dict[str, Any] | None, address: SheetAddress, scope: str) -> Exception:
    """What an answer other than 200 means. Its shape: cloud.google.com/apis/design/errors."""
    error = (told or {}).get("error")
    error = error if isinstance(error, dict) else {}
    message = " ".join(str(error.get("message", "")).split())[:300]
    reasons = {
        str(one.get("reason"))
        for key in ("details", "errors")
        for one in (error.get(key) or [])
        if isinstance(one, dict)
    }
    match status:
        case 403 if reasons & TOO_OFTEN:
            return RateLimited("Google takes no more requests from us for the moment.")
        case 403 if reasons & SWITCHED_OFF:
            return KeyRefused(f"The Google Sheets API is not enabled for the service account's project: {message}")
        case 403:
            role = "Editor" if scope == account.WRITE else "Viewer"
            return NotShared(
                f"The Google Sheet is not shared with us: choose Share in it and add {account.email()} as {role}.",
                field="url",
            )
        case 404:
            return Invalid(f"There is no Google Sheet with the id {address.spreadsheet_id}. {HOW_URL}", field="url")
        case 400 if error.get("status") == "FAILED_PRECONDITION":
            return Invalid(
                f"The file is no Google Sheet but an Excel file kept in Google Drive ({message}). Open it and choose"
                " File, Save as Google Sheets.",
                field="url",
            )
        case 400 if "protected" in message:
            return Invalid(
                f"The cells to write are protected: in the sheet choose Data, Protect sheets and ranges, and let"
                f" {account.email()} edit them.",
                field="columns",
            )
        case 400:
            return Invalid(f"Google refuses {shown(address.notation)}: {message} {HOW_RANGE}", field="range")
    return Unreachable(f"Google answered {status}: {message or 'it does not say why'}")
