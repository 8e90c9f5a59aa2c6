"""How often people may ask: so many requests in any minute, so many on one project. Counted in the database.

The counts are shared by all processes and by the database's clock. Each is one row, changed by conditional UPDATE: of
two requests at the same time one counts first, and the other sees it.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from django.conf import settings
from django.db.models import DateTimeField, ExpressionWrapper, F, Max, QuerySet
from django.db.models.functions import Now

from jobs.models import RequestWindow, TokenBucket

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Row = TypeVar("Row", RequestWindow, TokenBucket)
WINDOW_SECONDS = 60.0
TRIES = 50
LOG_IN = "log-in:"
ACCOUNTS_OF_AN_ADDRESS = 6
"""From one address whole offices log in."""
FULL_AFTER_SECONDS = 2 * 3600.0
logger = logging.getLogger("aeproject.log_ins")


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
        _until_nobody_was_faster(lambda: _take_token(key, limit, f"This project takes {limit} requests a minute."))


def count_file_request(user: User) -> None:
    """Takes a token for a request of a person that sends a part of a file. Raises TooMany, and then takes nothing."""
    limit = settings.FILE_REQUESTS_PER_MINUTE
    if limit:
        _until_nobody_was_faster(
            lambda: _take_token(f"files:{user.pk}", limit, f"For files you may send {limit} requests a minute.")
        )


def count_log_in(name: str, address: str) -> None:
    """Counts a try to log in, at an account (whether there is one or not) and from an address. Raises TooMany.

    After LOG_IN_TRIES an account takes one a minute more; an address has as many for six accounts. Whoever succeeds
    says so with ``forgive_log_in``.
    """
    limit = settings.LOG_IN_TRIES
    if not limit:
        return
    account, from_address = _log_in_keys(name, address)
    many = ACCOUNTS_OF_AN_ADDRESS
    try:
        _until_nobody_was_faster(
            lambda: _take_token(from_address, limit * many, "Too many tries from your address.", each_minute=many)
        )
        _until_nobody_was_faster(
            lambda: _take_token(account, limit, "Too many tries to log in to this account.", each_minute=1)
        )
    except TooMany as refusal:
        logger.warning("log-in refused to %.60r from %s: %s", name, address, refusal)
        raise


def forgive_log_in(name: str, address: str) -> None:
    """The right password was given: what was tried before at this account is forgotten."""
    account, from_address = _log_in_keys(name, address)
    TokenBucket.objects.filter(key=account).delete()
    TokenBucket.objects.filter(key=from_address).update(tokens=F("tokens") + 1.0, version=F("version") + 1)


def _log_in_keys(name: str, address: str) -> tuple[str, str]:
    # Names are of any length, and of no concern to whoever reads the table.
    digest = hashlib.sha256(name.casefold().encode("utf-8", "replace")).hexdigest()
    return f"{LOG_IN}account:{digest[:40]}", f"{LOG_IN}address:{address[:40]}"


def refused_log_ins() -> int:
    """How many accounts and addresses may not be tried at present."""
    rows = TokenBucket.objects.filter(key__startswith=LOG_IN, tokens__lt=1.0)
    now = ExpressionWrapper(Now(), output_field=DateTimeField())
    return sum(row.now.timestamp() - row.filled_at < WINDOW_SECONDS for row in rows.annotate(now=now))


def forget_full() -> int:
    """Deletes the buckets that nobody took from for hours: they are full. Returns how many."""
    newest = TokenBucket.objects.aggregate(at=Max("filled_at"))["at"] or 0.0
    return TokenBucket.objects.filter(filled_at__lt=newest - FULL_AFTER_SECONDS).delete()[0]


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


def _take_token(key: str, limit: int, message: str, *, each_minute: float = 0.0) -> bool:
    """A bucket of ``limit`` tokens, which fills in a minute unless it is told how many come ``each_minute``."""
    row, now = _read(TokenBucket.objects.filter(key=key), TokenBucket(key=key, tokens=float(limit), filled_at=0.0))
    each_second = (each_minute or limit) / 60.0
    tokens = min(float(limit), row.tokens + max(0.0, now - row.filled_at) * each_second)
    if tokens < 1.0:
        wait = _whole((1.0 - tokens) / each_second)
        raise TooMany(message, retry_after_seconds=wait)
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
