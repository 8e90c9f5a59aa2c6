"""The chain of the history: every event gets a seal that proves it, its place, and all that happened before it.

Events are written without a lock; they are sealed a moment later, by the sweep (``seal_pending``, every second) and by
whoever needs the head at once (``head``). The order of a chain is the order of sealing: on PostgreSQL an event may be
committed after one with a higher id, and is sealed then. Between writing and sealing nothing proves an event.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from jobs.models import Event, Seal, Unsealed

if TYPE_CHECKING:
    from jobs.models import Team

CHUNK = 500
"""Seals of one transaction."""
SWEEP_SECONDS = 0.5
"""How long one sweep seals, which has other things to do too: after that no further chunk is begun."""
MOST_TRIES = 20
COLUMNS = (
    "id", "team_id", "batch_id", "job_id", "version", "verb", "actor_id", "from_stage", "from_state", "to_stage",
    "to_state", "reason", "data", "at",
)  # fmt: skip
"""All columns of an event, which its digest covers. With another column, old seals still cover these alone."""


@dataclass(frozen=True)
class Head:
    """The end of a team's chain. ``digest`` is 64 hexadecimal digits, and empty at position 0: nothing happened yet."""

    position: int
    digest: str

    def __str__(self) -> str:
        return f"{self.position}:{self.digest}"


def digest_of(
    event: Mapping[str, Any], *, number: int, team_id: int, position: int, sealed_at: datetime, previous: str
) -> str:
    """SHA-256 of the canonical JSON of a seal and its event (``COLUMNS``), with the digest of the seal before it."""
    sealed = {
        "number": number,
        "team_id": team_id,
        "position": position,
        "sealed_at": sealed_at,
        "previous": previous,
        "event": {column: event[column] for column in COLUMNS},
    }
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"), default=_moment)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _moment(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no canonical form")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


# Sealing --------------------------------------------------------------------------------------------------------------
def seal_pending() -> int:
    """Seals what waits, oldest first, for ``SWEEP_SECONDS``, unless another machine is at it. Returns how many."""
    sealed, until = 0, time.monotonic() + SWEEP_SECONDS
    while True:
        try:
            done = _seal(Unsealed.objects.all())
        except IntegrityError:
            return sealed
        sealed += done
        if done < CHUNK or time.monotonic() >= until:
            return sealed


def head(team: Team) -> Head:
    """The head of the team's chain, after everything that waits in the team was sealed.

    Not for the inside of a long transaction: nobody else can seal until that ends.
    """
    waiting = Unsealed.objects.filter(team=team)
    tries = 0
    while True:
        try:
            if _seal(waiting) < CHUNK:
                return last_head(team.pk)
        except IntegrityError:
            # Somebody else sealed in this moment. To lose this often in a row is no race but a broken chain.
            tries += 1
            if tries == MOST_TRIES:
                raise


def last_head(team_id: int) -> Head:
    """The head of the team's chain as it stands, without what waits for its seal."""
    last = Seal.objects.filter(team_id=team_id).order_by("-position").values_list("position", "digest").first()
    return Head(*last) if last else Head(0, "")


def _seal(waiting: QuerySet[Unsealed]) -> int:
    """Seals the oldest of what waits, up to ``CHUNK``, in one transaction. Returns how many.

    Raises IntegrityError when somebody else sealed meanwhile: the next number and the next position can be had once.
    """
    ids = list(waiting.order_by("event_id").values_list("event_id", flat=True)[:CHUNK])
    if not ids:
        return 0
    with transaction.atomic():
        sealed = set(Seal.objects.filter(event_id__in=ids).values_list("event_id", flat=True))
        due = Event.objects.filter(pk__in=ids).exclude(pk__in=sealed).order_by("pk")
        events = list(due.values(*COLUMNS, now=Now()))
        heads = {team_id: last_head(team_id) for team_id in {event["team_id"] for event in events}}
        number = Seal.objects.aggregate(last=Max("number"))["last"] or 0
        seals = []
        for event in events:
            team_id = event["team_id"]
            number += 1
            before = heads[team_id]
            place: dict[str, Any] = {
                "number": number,
                "team_id": team_id,
                "position": before.position + 1,
                "sealed_at": event["now"],
                "previous": before.digest,
            }
            digest = digest_of(event, **place)
            heads[team_id] = Head(before.position + 1, digest)
            seals.append(Seal(event_id=event["id"], digest=digest, **place))
        Seal.objects.bulk_create(seals)
        Unsealed.objects.filter(pk__in=[event["id"] for event in events] + list(sealed)).delete()
    return len(seals)
