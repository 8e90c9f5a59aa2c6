"""What a page shows a single time, such as the secret of a new token: kept from the POST that makes it to the next GET.

A reload then repeats the GET, which has nothing left to show, and not the POST. It waits in the person's session on the
server, encrypted as other secrets in the database are; a session in a cookie would hand it back to the browser.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.http import HttpRequest

from jobs import clock
from jobs.encryption import WrongKey, decrypt, encrypt

KEY = "shown_once"
KEPT = timedelta(minutes=10)
"""For the browser to follow; whoever comes back later than that is somebody else, for all we know."""


def keep(request: HttpRequest, address: str, facts: dict[str, Any]) -> None:
    """Keeps ``facts`` (JSON) for the next GET of the page at ``address``, in the place of what was kept before."""
    until = (clock.now() + KEPT).timestamp()
    request.session[KEY] = encrypt(json.dumps({"address": address, "until": until, "facts": facts}))


def take(request: HttpRequest) -> dict[str, Any] | None:
    """What was kept for this page; None when it was shown before, or is too old. It is gone from the session then."""
    if request.method != "GET" or KEY not in request.session:
        return None
    try:
        kept = json.loads(decrypt(request.session[KEY]))
    except WrongKey:
        kept = {"address": request.path}
    if kept["address"] != request.path:
        return None
    del request.session[KEY]
    # Gone before anything is shown: an answer that breaks off shows nothing twice.
    request.session.save()
    return kept["facts"] if kept.get("until", 0) > clock.now().timestamp() else None
