"""What workers call: one-liners."""

from __future__ import annotations

from jobs import pipeline


def work() -> None:
    """One ticket: the most urgent queued work, whatever it is."""
    pipeline.work_once()
