"""Reads a sheet that everybody may see who has the link, by its CSV export. It takes no key.

``/export?format=csv`` gives every cell as it is shown. The other public way, ``/gviz/tq?tqx=out:csv``, guesses one type
for each column and leaves the texts out of one that it takes for numbers.
"""

from __future__ import annotations

import csv
import io
from urllib.parse import urlencode, urljoin, urlsplit

from django.conf import settings

from batches.google.addresses import HOW_URL, SheetAddress
from batches.google.errors import NotShared, Unreachable
from batches.google.snapshot import Snapshot
from batches.google.transport import Hold, ask
from jobs.errors import Invalid
from jobs.outbound import Reply

MOST_REDIRECTS = 5
OF_CONTENT = ".googleusercontent.com"
"""Where exports come from."""
OF_LOG_INS = "accounts.google.com"
REDIRECTS = (301, 302, 303, 307, 308)


def read(address: SheetAddress, *, hold: Hold | None = None) -> Snapshot:
    """The sheet, cut to the address's range. Raises as ``client.read`` does."""
    if address.tab:
        raise Invalid(
            "Without a service account a tab cannot be found by its title. Open the tab in the browser and copy the"
            " address from there: it ends in #gid= and the tab's number.",
            field="range",
        )
    asked = {"format": "csv", **({} if address.gid is None else {"gid": str(address.gid)})}
    sheet = f"{settings.GOOGLE_DOCS_URL}/spreadsheets/d/{address.spreadsheet_id}"
    reply = _followed(f"{sheet}/export?{urlencode(asked)}", hold)
    _check(reply, address)
    area = address.area
    bottom, right = (None if end is None else end + 1 for end in (area.bottom, area.right))
    rows = _rows(reply.body)[area.top : bottom]
    return Snapshot(
        address=address,
        title=(reply.headers.get_filename() or "").removesuffix(".csv"),
        tab="",
        rows=tuple(tuple(row[area.left : right]) for row in rows),
        first_row=area.top + 1,
        first_column=area.left,
    )


def _followed(url: str, hold: Hold | None) -> Reply:
    """The answer at the end of the redirects, which lead only where Google keeps exports."""
    for _ in range(MOST_REDIRECTS):
        reply = ask("GET", url, headers={"Accept": "text/csv"}, hold=hold)
        if reply.status not in REDIRECTS:
            return reply
        there = urlsplit(url := urljoin(url, reply.headers.get("Location", "")))
        home = urlsplit(settings.GOOGLE_DOCS_URL)
        host = (there.hostname or "").lower()
        if host == OF_LOG_INS:
            raise _not_public()
        if (there.scheme, there.netloc) != (home.scheme, home.netloc) and not (
            there.scheme == "https" and host.endswith(OF_CONTENT)
        ):
            raise Unreachable(f"Google redirects to {host[:100]}, where no sheets are.")
    raise Unreachable("Google redirects in a circle.")


def _check(reply: Reply, address: SheetAddress) -> None:
    if reply.status in (401, 403) or (reply.status == 200 and reply.headers.get_content_type() == "text/html"):
        raise _not_public()
    if reply.status == 404:
        raise Invalid(f"There is no Google Sheet with the id {address.spreadsheet_id}. {HOW_URL}", field="url")
    if reply.status == 400 and address.gid is not None:
        raise Invalid(f"The Google Sheet has no tab with the number {address.gid}. {HOW_URL}", field="url")
    if reply.status != 200 or reply.headers.get_content_type() != "text/csv":
        raise Unreachable(f"Google answered {reply.status} ({reply.headers.get_content_type()[:60]}) instead of a CSV.")


def _not_public() -> NotShared:
    return NotShared(
        "Google asks for a log-in instead of giving the sheet: it is not public. In the sheet choose Share, General"
        " access, Anyone with the link.",
        field="url",
    )


def _rows(body: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreachable(f"What Google sent is not the CSV that it says: {error}"[:300]) from None
