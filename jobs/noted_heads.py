"""Heads of the chains of the history, noted outside of the database: what finds a cut end, or a chain written anew.

A note is a small file of the storage "heads" whose name says it all, so that a listing reads them. A noted head proves
all that came before it. One an hour is kept for good. The newest is noted every few seconds in a folder of its own, and
goes when a later one stands there and it is in the chain itself: one that is not stays, as evidence.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress

from django.db.models import Max

from jobs import clock
from jobs.history_chain import Head, last_head
from jobs.models import Seal, Team
from jobs.storage import HEADS, storage_named

NEWEST = "newest"
"""The folder, below a team's, of notes that later ones replace."""
_NAME = re.compile(rf"(?P<team>\d+)/(?:{NEWEST}/)?(?P<position>\d{{1,18}})-(?P<digest>[0-9a-f]{{64}})")
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
    heads = ((team_id, last_head(team_id)) for team_id in Team.objects.values_list("pk", flat=True))
    return sum(_note(str(team_id), head) for team_id, head in heads if head.position)


def _note(folder: str, head: Head) -> bool:
    """Whether it was new."""
    with suppress(FileExistsError):
        name = f"{folder}/{head.position}-{head.digest}"
        storage_named(HEADS).put_if_absent(name, io.BytesIO(f"{head}\n".encode("ascii")))
        return True
    return False


class Newest:
    """Notes the newest heads, time after time, and asks next to nothing while nothing was sealed."""

    def __init__(self) -> None:
        self._number = 0

    def note(self) -> int:
        """Notes the heads of the chains that went on since the last time. Returns how many. Raises OSError."""
        number = Seal.objects.aggregate(last=Max("number"))["last"] or 0
        if number == self._number:
            return 0
        teams = Team.objects.all()
        if 0 < self._number < number:
            teams = teams.filter(pk__in=Seal.objects.filter(number__gt=self._number).values("team_id"))
        noted = sum(self._note(team) for team in teams)
        self._number = number
        return noted

    def _note(self, team: Team) -> bool:
        head, folder = last_head(team.pk), f"{team.pk}/{NEWEST}"
        if not head.position:
            return False
        is_new = _note(folder, head)
        for name in list(storage_named(HEADS).names_below(folder)):
            before = _read(name)
            if before is not None and before.position < head.position and _is_in_chain(team, before):
                storage_named(HEADS).delete(name)
        return is_new


def _is_in_chain(team: Team, head: Head) -> bool:
    return Seal.objects.filter(team=team, position=head.position, digest=head.digest).exists()


def _read(name: str) -> Head | None:
    found = _NAME.fullmatch(name)
    return Head(int(found["position"]), found["digest"]) if found else None


def noted_heads(team: Team) -> list[Head]:
    """Every head of the team's chain that was noted, in the order of the chain. Raises OSError."""
    heads = set(map(_read, storage_named(HEADS).names_below(str(team.pk)))) - {None}
    return sorted((head for head in heads if head is not None), key=lambda head: head.position)
