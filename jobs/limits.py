"""How often people may ask: so many requests in any minute, so many on one project. Counted in the database.

The counts are shared by all processes and by the database's clock. Each is one row, changed by conditional UPDATE: of
two requests at the same time one counts first, and the other sees it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from django.conf import settings
from django.db.models import DateTimeField, ExpressionWrapper, QuerySet
from django.db.models.functions import Now

from jobs.models import RequestWindow, TokenBucket

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Row = TypeVar("Row", RequestWindow, TokenBucket)
WINDOW_SECONDS = 60.0
TRIES = 50


class TooMany(Exception):
    """The limit is reached. ``retry_after_seconds`` (whole, at least 1): when the next request is let through."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def count_request(user: User) -> None:
    """Counts a request of a person, in a sliding window. Raises TooMany, and then counts nothing."""
    limit = settings.USER_REQUESTS_PER_MINUTE
    if limit:
        _until_nobody_was_faster(lambda: _count_in_window(user, limit))


def count_for_project(key: str) -> None:
    """Takes a token of a project's bucket, which fills steadily. Raises TooMany, and then takes nothing.

    ``key`` names the project: ``batch:12``.
    """
    limit = settings.PROJECT_REQUESTS_PER_MINUTE
    if limit:
        _until_nobody_was_faster(lambda: _take_token(key, limit, "This project takes"))


def count_file_request(user: User) -> None:
    """Takes a token for a request of a person that sends a part of a file. Raises TooMany, and then takes nothing."""
    limit = settings.FILE_REQUESTS_PER_MINUTE
    if limit:
        _until_nobody_was_faster(lambda: _take_token(f"files:{user.pk}", limit, "For files you may send"))


def _until_nobody_was_faster(attempt: Callable[[], bool]) -> None:
    for _ in range(TRIES):
        if attempt():
            return
    raise TooMany("Too many requests at the same time.", retry_after_seconds=1)


def _count_in_window(user: User, limit: int) -> bool:
    row, now = _read(RequestWindow.objects.filter(user=user), RequestWindow(user=user))
    recent = [stamp for stamp in row.stamps if now - WINDOW_SECONDS < stamp <= now]
    if len(recent) >= limit:
        free_again = recent[-limit] + WINDOW_SECONDS
        raise TooMany(f"You may send {limit} requests a minute.", retry_after_seconds=_whole(free_again - now))
    seen = RequestWindow.objects.filter(user=user, version=row.version)
    return bool(seen.update(stamps=[*recent, now], version=row.version + 1))


def _take_token(key: str, limit: int, words: str) -> bool:
    row, now = _read(TokenBucket.objects.filter(key=key), TokenBucket(key=key, tokens=float(limit), filled_at=0.0))
    each_second = limit / 60.0
    tokens = min(float(limit), row.tokens + max(0.0, now - row.filled_at) * each_second)
    if tokens < 1.0:
        wait = _whole((1.0 - tokens) / each_second)
        raise TooMany(f"{words} {limit} requests a minute.", retry_after_seconds=wait)
    seen = TokenBucket.objects.filter(key=key, version=row.version)
    return bool(seen.update(tokens=tokens - 1.0, filled_at=now, version=row.version + 1))


def _read(rows: QuerySet[Row], new: Row) -> tuple[Row, float]:
    """The row (made as ``new`` when there is none) and the time in seconds since the epoch, both by the database."""
    timed = rows.annotate(now=ExpressionWrapper(Now(), output_field=DateTimeField()))
    row = timed.first()
    if row is None:
        type(new).objects.bulk_create([new], ignore_conflicts=True)
        row = timed.get()
    now: datetime = row.now
    return row, now.timestamp()


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
