"""Addresses of Google Sheets and ranges in them, as people copy and type them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from batches.intake.grid import column_letters, column_number
from batches.intake.table import shown, unprintable
from jobs.errors import Invalid

HOST = "docs.google.com"
ID = re.compile(r"[A-Za-z0-9_-]{20,128}")
PATH = re.compile(r"/(?:a/[^/]+/)?spreadsheets/(?:u/\d+/)?d/([^/]+)(?:/.*)?")
RANGE = re.compile(r"([A-Z]{0,3})(\d{0,8}):([A-Z]{0,3})(\d{0,8})")
CELL = re.compile(r"[A-Z]{1,3}\d{1,8}")
MOST_ROWS = 10_000_000
"""More than a Google Sheet has cells."""
MOST_COLUMNS = 18_278
"""ZZZ, the last column a Google Sheet may have."""
MOST_GID = 2**31 - 1
MOST_TAB_CHARACTERS = 100
HOW_RANGE = "Write A1:H, A:F or 'My tab'!B2:F90, or leave it empty for the whole tab."
HOW_URL = "Open the sheet in the browser and copy its address: https://docs.google.com/spreadsheets/d/…/edit#gid=0."


@dataclass(frozen=True, kw_only=True)
class Area:
    """Rows and columns from 0, the ends included; an end is None where the range is open."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None

    @property
    def notation(self) -> str:
        bottom = "" if self.bottom is None else f"{self.bottom + 1}"
        if self.right is None:
            return f"{self.top + 1}:{bottom}"
        top = f"{self.top + 1}" if self.top or bottom else ""
        return f"{column_letters(self.left)}{top}:{column_letters(self.right)}{bottom}"


@dataclass(frozen=True, kw_only=True)
class SheetAddress:
    """A spreadsheet and what of it: the tab by ``gid`` or by its title ``tab`` (with neither, the first visible one),
    and its ``range`` such as ``A1:H``, without the tab; empty for all of it."""

    spreadsheet_id: str
    gid: int | None = None
    tab: str = ""
    range: str = ""

    @property
    def url(self) -> str:
        """Where people see it."""
        tab = "" if self.gid is None else f"#gid={self.gid}"
        return f"https://{HOST}/spreadsheets/d/{self.spreadsheet_id}/edit{tab}"

    @property
    def area(self) -> Area:
        return _area(self.range) if self.range else Area()

    @property
    def notation(self) -> str:
        """Tab and range as Google and people write them: ``'My tab'!A1:H``. Empty when neither is named."""
        return "!".join(part for part in (quoted(self.tab) if self.tab else "", self.range) if part)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SheetAddress:
        return cls(**data)


def parse(url_or_id: str, range_: str = "") -> SheetAddress:
    """The sheet behind an address from the browser, or an id alone. Raises Invalid (field ``url`` or ``range``).

    A range is ``A1:H``, ``A:F`` or ``2:90``, with or without a tab before it (``'My tab'!A1:H``), or a tab alone. What
    is named in the range goes before what is in the address.
    """
    spreadsheet_id, gid, linked = _sheet(url_or_id.strip())
    tab, cells = _range(range_.strip()) if range_.strip() else ("", linked)
    return SheetAddress(spreadsheet_id=spreadsheet_id, gid=None if tab else gid, tab=tab, range=cells)


def quoted(tab: str) -> str:
    """A tab's title as it stands before the ``!`` of a range."""
    return "'" + tab.replace("'", "''") + "'"


def _sheet(text: str) -> tuple[str, int | None, str]:
    """Id, gid and range of an address."""
    if ID.fullmatch(text):
        return text, None, ""
    if not text:
        raise Invalid(f"The address of the sheet is empty. {HOW_URL}", field="url")
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        is_google = (parts.scheme, parts.hostname) == ("https", HOST) and parts.port in (None, 443)
    except ValueError:
        raise Invalid(f"{shown(text)} is no address. {HOW_URL}", field="url") from None
    if not is_google or "@" in parts.netloc:
        raise Invalid(f"{shown(text)} is no address below https://{HOST}/. {HOW_URL}", field="url")
    found = PATH.fullmatch(parts.path)
    if found is None:
        raise Invalid(f"{shown(text)} is not the address of a Google Sheet. {HOW_URL}", field="url")
    if found.group(1) == "e":
        raise Invalid(
            f"{shown(text)} is a copy “published to the web”, which lags behind and does not tell its sheet. {HOW_URL}",
            field="url",
        )
    if not ID.fullmatch(found.group(1)):
        raise Invalid(f"{shown(found.group(1))} is not the id of a Google Sheet. {HOW_URL}", field="url")
    told = {**parse_qs(parts.query), **parse_qs(parts.fragment)}
    return found.group(1), _gid(told.get("gid", [""])[-1]), _linked_range(told.get("range", [""])[-1])


def _gid(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > MOST_GID:
        raise Invalid(f"gid={shown(text)} in the address is not the number of a tab. {HOW_URL}", field="url")
    return int(text)


def _linked_range(text: str) -> str:
    """The range in a link to it. A single cell is where somebody's cursor was, and no range."""
    return _tidy(text) if ":" in text else ""


def _range(text: str) -> tuple[str, str]:
    """Title of the tab, and the cells, of a range as typed; either may be empty."""
    if text.startswith("'"):
        title = re.match(r"'((?:[^']|'')*)'(?:!(.*))?$", text, re.DOTALL)
        if title is None:
            raise Invalid(f"{shown(text)}: the title of the tab does not end. {HOW_RANGE}", field="range")
        tab, cells = title.group(1).replace("''", "'"), title.group(2) or ""
    elif "!" in text:
        tab, _, cells = text.rpartition("!")
    elif ":" in text or CELL.fullmatch(text.upper().replace("$", "")):
        return "", _tidy(text)
    else:
        tab, cells = text, ""
    if not tab.strip() or len(tab) > MOST_TAB_CHARACTERS or unprintable(tab):
        raise Invalid(f"{shown(text)} does not begin with the title of a tab. {HOW_RANGE}", field="range")
    return tab, _tidy(cells) if cells else ""


def _tidy(text: str) -> str:
    """Cells in one spelling: ``$a$1:h90`` is ``A1:H90``."""
    cells = text.strip().replace("$", "").upper()
    if CELL.fullmatch(cells):
        raise Invalid(
            f"{shown(text)} is a single cell, not a table. {HOW_RANGE} A tab of that name is {quoted(cells)}.",
            field="range",
        )
    return _area(cells, text).notation


def _area(cells: str, typed: str = "") -> Area:
    typed = typed or cells
    found = RANGE.fullmatch(cells) if cells.isascii() else None
    if found is None:
        raise Invalid(f"{shown(typed)} is no range of cells. {HOW_RANGE}", field="range")
    left, top, right, bottom = found.groups()
    if bool(left) != bool(right) or not (left or (top and bottom)):
        raise Invalid(f"{shown(typed)} is no range of cells. {HOW_RANGE}", field="range")
    area = Area(
        top=_row(top, typed) if top else 0,
        left=column_number(left) if left else 0,
        bottom=_row(bottom, typed) if bottom else None,
        right=column_number(right) if right else None,
    )
    if (area.right is not None and area.right < area.left) or (area.bottom is not None and area.bottom < area.top):
        raise Invalid(f"{shown(typed)} ends before it begins. {HOW_RANGE}", field="range")
    return area


def _row(text: str, typed: str) -> int:
    if not 1 <= int(text) <= MOST_ROWS:
        raise Invalid(
            f"{shown(typed)} names row {text}; a sheet has rows 1 to {MOST_ROWS:,}. {HOW_RANGE}", field="range"
        )
    return int(text) - 1
