"""Which failures are tried again, when, and how often. The only retry policy there is."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Policy:
    """``attempts`` counts the first one. The delay grows by ``factor`` up to ``most_seconds``, with jitter."""

    attempts: int
    first_seconds: float = 1.0
    factor: float = 3.0
    most_seconds: float = 60.0

    def delay_seconds(self, attempt: int) -> float:
        """How long to wait after the ``attempt``-th failure (from 1), seconds."""
        delay = min(self.first_seconds * self.factor ** (attempt - 1), self.most_seconds)
        return delay * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret


POLICIES = {
    "file": Policy(attempts=1),
    "transient": Policy(attempts=5),
    "crash": Policy(attempts=3),
    "bug": Policy(attempts=2),
    "memory": Policy(attempts=2),
    "time": Policy(attempts=2),
}
