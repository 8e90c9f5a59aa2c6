"""Reads a team's history beside its seals and says what does not fit: the proof that nothing was touched.

It changes nothing and keeps a page of rows in memory. What it can find, and what not, is in docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import Coalesce, Lag

from jobs import history_guards
from jobs.history_chain import COLUMNS, Head, digest_of
from jobs.models import Event, Job, Seal, Unsealed

if TYPE_CHECKING:
    from jobs.models import Team

PAGE = 1_000
LATE = timedelta(minutes=10)
"""An event so much older than what was sealed before it was hardly written when it says: clocks differ by less."""
LEAST_DIGITS = 12
PLACE = ("number", "team_id", "position", "sealed_at", "previous")
SEAL = (*PLACE, "event_id", "digest")
UNREADABLE = (ValueError, TypeError, AttributeError)
"""What Django raises for a value that cannot stand in its column; SQLite keeps such values."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, and with which row.

    ``kind``: edited, reordered, deleted, missing (seals), inserted, late, cut (at its end), unguarded (no trigger).
    """

    kind: str
    message: str
    team: str = ""
    position: int | None = None
    event: int | None = None


@dataclass
class Reading:
    """What a check has seen so far. ``head`` is the last seal, ``waiting`` counts events that will be sealed soon."""

    head: Head = field(default_factory=lambda: Head(0, ""))
    waiting: int = 0
    met: bool = False
    """Whether the expected head was there."""
    reached: datetime | None = None
    """Until when the history was surely written, by what is sealed so far."""
    on_page: Callable[[int], None] = lambda position: None


def verify(
    team: Team,
    *,
    since: int = 0,
    expect: Head | None = None,
    noted: Collection[Head] = (),
    reading: Reading | None = None,
) -> Iterator[Finding]:
    """Checks the team's chain after position ``since``, whose seal is believed. Yields what is wrong, in order.

    ``expect`` is a head that was noted elsewhere, with its digest or the first ``LEAST_DIGITS`` of it at least.
    ``noted`` are heads that we noted ourselves (``jobs.noted_heads``); they must all be in the chain.
    From the beginning, the jobs are asked too: each must have the event of its last move.
    ``reading`` is brought up to date on the way.
    """
    reading = reading or Reading()
    check = _Check(team=team, expect=expect, noted=_by_position(noted), reading=reading)
    if since:
        yield from check.start_at(since)
    for seal, event in _rows(team.pk, since, reading.on_page):
        yield from check.judge(seal, event)
    yield from _without_seal(team)
    if not since:
        yield from _moves_without_event(team)
    reading.waiting = Unsealed.objects.filter(team=team).count()
    yield from check.expectation()
    yield from check.notes()


def _by_position(heads: Collection[Head]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for head in heads:
        found.setdefault(head.position, set()).add(head.digest)
    return found


@dataclass
class _Check:
    team: Team
    expect: Head | None
    noted: dict[int, set[str]]
    reading: Reading
    strange: int | None = None
    """The first place at which another head was noted than is there."""

    def start_at(self, since: int) -> Iterator[Finding]:
        believed = Seal.objects.filter(team=self.team, position=since).values_list("position", "digest").first()
        self.reading.head = Head(*believed) if believed else Head(since, "")
        if believed is None:
            yield self._finding("missing", f"there is no seal {since} to start at", position=since)
        self._compare()

    def judge(self, seal: dict[str, Any], event: dict[str, Any] | Exception | None) -> Iterator[Finding]:
        """What is wrong with a seal, its place and its event."""
        try:
            yield from self._place(seal)
            yield from self._content(seal, event)
        except UNREADABLE as error:
            yield self._finding("edited", f"the seal cannot be read any more: {error}", **_where(seal))

    def _place(self, seal: dict[str, Any]) -> Iterator[Finding]:
        position, before = seal["position"], self.reading.head
        gone = position - before.position - 1
        self.reading.head = Head(position, seal["digest"])
        self._compare()
        first = before.position + 1
        if gone == 1:
            yield self._finding("missing", f"seal {first} is gone", position=first)
        elif gone:
            yield self._finding("missing", f"seals {first} to {position - 1} are gone", position=first)
        elif seal["previous"] != before.digest:
            words = f"seal {position} does not follow seal {before.position}: one was changed, replaced or moved"
            yield self._finding("reordered", words, **_where(seal))

    def _content(self, seal: dict[str, Any], event: dict[str, Any] | Exception | None) -> Iterator[Finding]:
        reached = self.reading.reached
        if event is None:
            yield self._finding("deleted", "the event was deleted", **_where(seal))
        elif isinstance(event, Exception):
            yield self._finding("edited", f"the event cannot be read any more: {event}", **_where(seal))
        elif digest_of(event, **{name: seal[name] for name in PLACE}) != seal["digest"]:
            yield self._finding("edited", f"the event ({event['verb']}) or its seal was changed", **_where(seal))
        else:
            at = event["at"]
            if reached is not None and at < reached - LATE:
                words = (
                    f"the event ({event['verb']}) says {at:%Y-%m-%d %H:%M:%S}, but was sealed after what happened at"
                )
                words += f" {reached:%Y-%m-%d %H:%M:%S}: it was put in afterwards, or a clock was wrong"
                yield self._finding("late", words, **_where(seal))
            written = min(at, seal["sealed_at"])
            self.reading.reached = max(reached or written, written)

    def _compare(self) -> None:
        here = self.reading.head
        if self.expect is not None and here.position == self.expect.position:
            noted = self.expect.digest
            self.reading.met = len(noted) >= LEAST_DIGITS and here.digest.startswith(noted)
        if self.strange is None and self.noted.get(here.position, {here.digest}) != {here.digest}:
            self.strange = here.position

    def expectation(self) -> Iterator[Finding]:
        """Whether the head that was noted elsewhere is in the chain."""
        if self.expect is None or self.reading.met or self.expect == Head(0, ""):
            return
        end, noted = self.reading.head.position, self.expect.position
        if end < noted:
            yield self._finding("cut", f"the chain ends at {end}, but it once reached {noted}", position=noted)
        else:
            words = f"the seal at {noted} is not the one that was noted: the chain was written anew"
            yield self._finding("edited", words, position=noted)

    def notes(self) -> Iterator[Finding]:
        """Whether the heads that we noted ourselves are in the chain."""
        end, last = self.reading.head.position, max(self.noted, default=0)
        if end < last:
            words = f"the chain ends at {end}, but its head was noted at {last}: its end was cut off"
            yield self._finding("cut", words, position=last)
        if self.strange is not None:
            words = f"the seal at {self.strange} is not the one that was noted: the chain was written anew"
            yield self._finding("edited", words, position=self.strange)

    def _finding(self, kind: str, message: str, **where: Any) -> Finding:
        return Finding(kind=kind, message=message, team=self.team.slug, **where)


def _where(seal: dict[str, Any]) -> dict[str, Any]:
    return {"position": seal["position"], "event": seal["event_id"]}


def _rows(
    team_id: int, since: Any, on_page: Callable[[int], None]
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | Exception | None]]:
    """Every seal after ``since`` with its event."""
    chain = Seal.objects.filter(team_id=team_id).order_by("position")
    # A position that is no number cannot be counted on from; it sorts last.
    while isinstance(since, int):
        page = _readable(chain.filter(position__gt=since), SEAL)
        if not page:
            return
        events = _events([seal["event_id"] for seal in page])
        for seal in page:
            yield seal, events.get(seal["event_id"])
        since = page[-1]["position"]
        on_page(since)


def _readable(chain: QuerySet[Seal], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """A page of seals. Where a time cannot be read, it is left out, which the digest tells."""
    try:
        return list(chain.values(*columns)[:PAGE])
    except UNREADABLE:
        timeless = [name for name in columns if name != "sealed_at"]
        return [{**row, "sealed_at": None} for row in chain.values(*timeless)[:PAGE]]


def _events(ids: list[int]) -> dict[int, dict[str, Any] | Exception]:
    """The events by id. One that cannot be read is told as the error that it makes."""
    try:
        return {row["id"]: row for row in Event.objects.filter(pk__in=ids).order_by().values(*COLUMNS)}
    except UNREADABLE as error:
        if len(ids) == 1:
            return {ids[0]: error}
    return {pk: row for one in ids for pk, row in _events([one]).items()}


def _without_seal(team: Team) -> Iterator[Finding]:
    """Events without a seal in their team's chain, and notes without their event. What is noted will be sealed soon."""
    strange = Event.objects.filter(team=team, unsealed__isnull=True).filter(
        Q(seal__isnull=True) | ~Q(seal__team_id=F("team_id"))
    )
    for pk, verb in _by_keys(strange, "verb"):
        words = f"the event ({verb}) has no seal in the chain and waits for none: it was put in past us"
        yield Finding(kind="inserted", team=team.slug, event=pk, message=words)
    lost = Unsealed.objects.filter(~Exists(Event.objects.filter(pk=OuterRef("pk"))), team=team)
    for pk, _ in _by_keys(lost, "team_id"):
        words = "the event was deleted before it was sealed"
        yield Finding(kind="deleted", team=team.slug, event=pk, message=words)


def _moves_without_event(team: Team) -> Iterator[Finding]:
    """Jobs that moved on since the last move that their history tells of: a move and its event are one transaction."""
    told = Event.objects.filter(job=OuterRef("pk"), version__isnull=False).order_by("-version").values("version")[:1]
    moved = Job.objects.filter(team=team, version__gt=Coalesce(Subquery(told), 0)).annotate(told=Subquery(told))
    for pk, name, version, last in moved.order_by("pk").values_list("pk", "job_id", "version", "told").iterator(PAGE):
        words = f"job {name} (id {pk}) moved {version} times, but its history ends with move {last or 0}"
        yield Finding(kind="deleted", team=team.slug, message=words)


def _by_keys(rows: QuerySet[Any], column: str) -> Iterator[tuple[int, Any]]:
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", column)[:PAGE]):
        yield from page
        last = page[-1][0]


def holes() -> Iterator[Finding]:
    """Numbers of seals that are gone, over all teams: the cut end of one chain shows once another went on after it."""
    before = Window(Lag("number", default=0), order_by="number")
    steps = Seal.objects.order_by().annotate(before=before).filter(number__gt=F("before") + 1).order_by("number")
    for number, last in steps.values_list("number", "before").iterator(PAGE):
        which = f"number {last + 1}" if number == last + 2 else f"numbers {last + 1} to {number - 1}"
        yield Finding(kind="missing", message=f"the seals with the {which} are gone, of whatever team")


def unguarded() -> Iterator[Finding]:
    """Triggers that should refuse changes and note new events, and are not there."""
    for name in history_guards.missing(connection):
        words = f"the trigger {name} is not in the database: it may have been dropped to change the history"
        yield Finding(kind="unguarded", message=words)
