"""The table of troubles: what is broken, how often, and how it is made good again."""

from __future__ import annotations

import math
import random
import signal
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from aeproject.chaos.disks import SmallDisk
from aeproject.chaos.hosts import processes, send
from aeproject.chaos.network import Cable
from aeproject.chaos.servers import Postgres, RedisServer


@dataclass(kw_only=True)
class Target:
    """What can be broken. What cannot is None, with the reason in ``missing`` by the trouble's name."""

    data: Path
    lease_seconds: float
    postgres: Postgres | None = None
    redis: RedisServer | None = None
    disk: SmallDisk | None = None
    cable: Cable | None = None
    spared: set[int] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Strike:
    """A trouble that was caused. ``end`` makes it good again, ``seconds`` later; None: it does not last."""

    seconds: float = 0.0
    end: Callable[[], object] | None = None


class Trouble(ABC):
    """One way to break things. ``share`` is how often it comes among all troubles that can be caused.

    ``overlaps``: it may be caused again while it lasts.
    """

    name: ClassVar[str]
    share: ClassVar[int]
    overlaps: ClassVar[bool] = False

    def __init__(self, target: Target) -> None:
        self.target = target

    @abstractmethod
    def strike(self, dice: random.Random) -> Strike | None:
        """Causes it; None when there was nothing to hit."""


class Kill(Trouble):
    """SIGKILL to any process: supervisor, cluster, sentinel, pusher, monitor, worker, stage server,
    stage or courier."""

    name, share = "killed", 8

    def strike(self, dice: random.Random) -> Strike | None:
        victim = _choose(dice, self.target)
        return Strike() if victim and send(victim, signal.SIGKILL) else None


class Freeze(Trouble):
    """SIGSTOP to any process, for longer than its lease: it wakes as a worker whose work was given to another."""

    name, share, overlaps = "frozen and woken", 3, True

    def strike(self, dice: random.Random) -> Strike | None:
        victim = _choose(dice, self.target)
        if not victim or not send(victim, signal.SIGSTOP):
            return None
        return Strike(self.target.lease_seconds * 1.5, partial(send, victim, signal.SIGCONT))


class DatabaseRestart(Trouble):
    """PostgreSQL crashes, is away for up to twice the lease, and recovers from its log."""

    name, share = "database restarted", 1

    def strike(self, dice: random.Random) -> Strike | None:
        assert self.target.postgres is not None
        self.target.postgres.crash()
        return Strike(dice.uniform(0.0, 2.0) * self.target.lease_seconds, self.target.postgres.start)


class BrokerRestart(Trouble):
    """Redis crashes and comes back empty: every ticket is lost."""

    name, share = "broker restarted", 1

    def strike(self, dice: random.Random) -> Strike | None:
        assert self.target.redis is not None
        self.target.redis.crash()
        return Strike(dice.uniform(0.0, 2.0) * self.target.lease_seconds, self.target.redis.start)


class DiskFull(Trouble):
    """Not one byte is free where a machine keeps its files; with SQLite the database lies there too."""

    name, share = "disk filled", 1

    def strike(self, dice: random.Random) -> Strike | None:
        assert self.target.disk is not None
        self.target.disk.fill()
        return Strike(dice.uniform(0.5, 2.0) * self.target.lease_seconds, self.target.disk.free)


class NetworkCut(Trouble):
    """One machine reaches nothing, for less or more than its leases, and does not know why."""

    name, share = "network cut", 2

    def strike(self, dice: random.Random) -> Strike | None:
        assert self.target.cable is not None
        self.target.cable.cut()
        return Strike(dice.uniform(0.5, 3.0) * self.target.lease_seconds, self.target.cable.heal)


TROUBLES: tuple[type[Trouble], ...] = (Kill, Freeze, DatabaseRestart, BrokerRestart, DiskFull, NetworkCut)


@dataclass
class Attacker:
    """Causes one trouble after the other at random moments, about every ``every_seconds``; a seed chooses alike.

    Troubles come from a shuffled deck in which each lies ``share`` times, so that a run of some length meets all of
    them. ``most`` ends it after so many.
    """

    troubles: Sequence[Trouble]
    dice: random.Random
    every_seconds: float
    most: int | None = None
    caused: Counter[str] = field(default_factory=Counter)
    _deck: list[Trouble] = field(default_factory=list)
    _lasting: list[tuple[float, Trouble, Callable[[], object]]] = field(default_factory=list)
    _next: float = 0.0

    def look(self) -> None:
        """Ends what has lasted long enough, and causes the next trouble when its moment has come."""
        now = time.monotonic()
        self._end(until=now)
        if now < self._next or self.caused.total() == self.most:
            return
        self._next = now + self.every_seconds * self.dice.uniform(0.5, 1.5)
        trouble = self._draw()
        if not trouble.overlaps and any(other is trouble for _, other, _ in self._lasting):
            return
        strike = trouble.strike(self.dice)
        if strike is None:
            self._deck.append(trouble)  # so that a run meets it all the same
            return
        self.caused[trouble.name] += 1
        if strike.end is not None:
            self._lasting.append((time.monotonic() + strike.seconds, trouble, strike.end))

    def relent(self) -> None:
        """Makes everything good again, now."""
        self._end(until=math.inf)

    def _end(self, *, until: float) -> None:
        for one in [one for one in self._lasting if one[0] <= until]:
            self._lasting.remove(one)
            one[2]()

    def _draw(self) -> Trouble:
        if not self._deck:
            self._deck = [trouble for trouble in self.troubles for _ in range(trouble.share)]
            self.dice.shuffle(self._deck)
        return self._deck.pop()


def _choose(dice: random.Random, target: Target) -> int | None:
    found = processes(target.data, spared=target.spared)
    return dice.choice(found) if found else None
