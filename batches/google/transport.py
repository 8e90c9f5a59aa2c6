"""One request to Google, and what its failures mean. Neither keys nor tokens are in any message."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from django.conf import settings

from batches.google.errors import Unreachable
from jobs.errors import Invalid, RateLimited
from jobs.outbound import Refused, Reply, TooLarge, exchange, retry_after_seconds

SECONDS = 25.0
"""For one request with its answer: less than a lease, which is extended before each."""
READ_SECONDS, WRITE_SECONDS = 60.0, 300.0
"""After so long no further request is begun for the same reading or writing."""
TOO_MANY, REQUEST_TIMEOUT, SERVER_ERROR = 429, 408, 500

Hold = Callable[[], object]
"""Called before every request: whoever holds a lease extends it there."""


def within(seconds: float, hold: Hold | None) -> Hold:
    """``hold`` for requests that together may take about ``seconds``: then it raises Unreachable."""
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() >= until:
            raise Unreachable(f"Google took more than {seconds:g} s for one sheet.")
        if hold is not None:
            hold()

    return check


def ask(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, hold: Hold | None = None
) -> Reply:
    """The whole answer, of any status below 500 but 429.

    Raises RateLimited, Unreachable, and Invalid where it is larger than a sheet may be.
    """
    if hold is not None:
        hold()
    host = urlsplit(url).hostname
    try:
        reply = exchange(
            method,
            url,
            headers={"User-Agent": "aeproject", **headers},
            body=body,
            seconds=SECONDS,
            most_bytes=settings.MAX_SHEET_BYTES,
        )
    except TooLarge:
        most = settings.MAX_SHEET_BYTES / 2**20
        raise Invalid(f"The sheet has more than {most:,.0f} MB. Name a smaller range.", field="range") from None
    except Refused as error:
        raise Unreachable(f"{host} is not asked: {error}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{host} does not answer: {type(error).__name__}: {error}"[:300]) from None
    if reply.status == TOO_MANY:
        raise RateLimited(
            "Google takes no more requests from us for the moment.",
            retry_after_seconds=retry_after_seconds(reply.headers),
        )
    if reply.status >= SERVER_ERROR or reply.status == REQUEST_TIMEOUT:
        raise Unreachable(f"{host} is out of order: it answered {reply.status}.")
    return reply
