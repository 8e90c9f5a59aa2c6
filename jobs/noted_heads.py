"""Heads of the chains of the history, noted outside of the database: what finds a cut end, or a chain written anew.

A note is a small file of the storage "heads" whose name says it all, so that a listing reads them. None is changed or
removed by us. A noted head proves all that came before it: the hour since the last note is proved by what else left the
house (e-mails, manifests).
"""

from __future__ import annotations

import io
import re
from contextlib import suppress

from jobs import clock
from jobs.history_chain import Head, last_head
from jobs.models import Team
from jobs.storage import HEADS, storage_named

_NAME = re.compile(r"(?P<team>\d+)/(?P<position>\d{1,18})-(?P<digest>[0-9a-f]{64})")
_done: set[str] = set()
"""The hour in which this process noted last."""


def note_hourly() -> int:
    """Notes the heads when this process has not done so in this hour. Returns how many. Raises OSError."""
    hour = f"{clock.now():%Y-%m-%dT%H}"
    if hour in _done:
        return 0
    noted = note_heads()
    _done.clear()
    _done.add(hour)
    return noted


def note_heads() -> int:
    """Notes the head of every chain that went on since the last note. Returns how many. Raises OSError."""
    noted = 0
    for team_id in Team.objects.values_list("pk", flat=True):
        head = last_head(team_id)
        if head.position:
            with suppress(FileExistsError):
                name = f"{team_id}/{head.position}-{head.digest}"
                storage_named(HEADS).put_if_absent(name, io.BytesIO(f"{head}\n".encode("ascii")))
                noted += 1
    return noted


def noted_heads(team: Team) -> list[Head]:
    """Every head of the team's chain that was noted, in the order of the chain. Raises OSError."""
    names = map(_NAME.fullmatch, storage_named(HEADS).names_below(str(team.pk)))
    heads = [Head(int(found["position"]), found["digest"]) for found in names if found]
    return sorted(heads, key=lambda head: head.position)
