"""Which failures are tried again, when, and how often. The only retry policy there is."""

from __future__ import annotations

import random
from dataclasses import dataclass

from jobs.states import Queue

MOST_ASKED_SECONDS = 3600.0
"""For somebody else's limit to pass, whatever they say."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """``attempts`` counts the first one. The delay grows by ``factor`` up to ``most_seconds``, with jitter.

    A ``counted`` False failure takes no attempt away. ``queue`` is where the next attempt is made; None: the same.
    """

    attempts: int
    first_seconds: float = 1.0
    factor: float = 3.0
    most_seconds: float = 60.0
    counted: bool = True
    queue: Queue | None = None

    def delay_seconds(self, attempt: int) -> float:
        """How long to wait after the ``attempt``-th failure (from 1), seconds."""
        delay = min(self.first_seconds * self.factor ** (attempt - 1), self.most_seconds)
        return delay * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret

    def wait_seconds(self, attempt: int, *, asked: float | None) -> float:
        """The delay, or what the other side asks for."""
        return min(asked, MOST_ASKED_SECONDS) if asked else self.delay_seconds(attempt)

    def tries_again(self, attempt: int) -> bool:
        """Whether the ``attempt``-th failure (from 1) is followed by another attempt."""
        return not self.counted or attempt < self.attempts


POLICIES = {
    # A person must change something first.
    "file": Policy(attempts=1),
    # I/O, network, database; a worker that was killed.
    "transient": Policy(attempts=5),
    "worker": Policy(attempts=5),
    # Somebody else's limit was reached: again when they allow it.
    "rate": Policy(attempts=1, first_seconds=60.0, counted=False),
    "memory": Policy(attempts=2, queue=Queue.HEAVY),
    "time": Policy(attempts=2, queue=Queue.HEAVY),
    # The stage's own process died (a crash in C code), or our code is wrong.
    "crash": Policy(attempts=3),
    "bug": Policy(attempts=2),
}
