"""Errors with one meaning each. Pages and the API turn them into 403, 409 and 422."""

from __future__ import annotations


class NotAllowed(Exception):
    """The person lacks the role for this verb."""


class Conflict(Exception):
    """The job is not (or no longer) where the verb expects it. Nothing happened. ``facts`` are told with it."""

    def __init__(
        self, message: str, *, state: str = "", allowed: tuple[str, ...] = (), facts: dict[str, int] | None = None
    ) -> None:
        super().__init__(message)
        self.state = state
        self.allowed = allowed
        self.facts = facts or {}


class Invalid(Exception):
    """What the person sent cannot be used; ``field`` names the part."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class LeaseLost(Exception):
    """The lease of a stage run is no longer ours: it lapsed, or the job was cancelled or held."""


class RateLimited(Exception):
    """Somebody else's limit is reached. Again after ``retry_after_seconds``, where they say so."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
