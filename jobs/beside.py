"""What the supervisor does beside its rounds: in a thread, since it asks a storage, which may hang."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connection

logger = logging.getLogger(__name__)


@dataclass
class Beside:
    """Work that is begun every so many seconds, unless it is still at it."""

    name: str
    every_seconds: float
    work: Callable[[], object]
    thread: threading.Thread | None = None
    _at: float = field(default=0.0, repr=False)

    def tend(self) -> None:
        """Begins the work when it is due."""
        if self.thread is not None and self.thread.is_alive():
            return
        if time.monotonic() - self._at > self.every_seconds:
            self._at = time.monotonic()
            # It dies with the process, as others may that do the same: what is left undone is done the next time.
            self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self.thread.start()

    def _run(self) -> None:
        try:
            self.work()
        except Exception:
            # Also a fault of ours: a thread that ends by one says so on no log line.
            logger.exception("%s failed; trying again", self.name)
        finally:
            connection.close()
