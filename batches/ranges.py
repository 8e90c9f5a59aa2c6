"""Ranges of bytes, as HTTP asks for them."""

from __future__ import annotations

import re

ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
MOST_DIGITS = 18


class BeyondTheEnd(Exception):
    """None of the bytes that were asked for is in the file."""


def span_of(header: str, size_bytes: int) -> tuple[int, int] | None:
    """The bytes that were asked for as (start, end), end exclusive. Raises BeyondTheEnd.

    None without a range, with several, or with one that makes no sense: then it is everything, as HTTP has it.
    """
    found = ONE_RANGE.fullmatch(header.strip())
    if found is None or not any(found.groups()) or any(len(digits) > MOST_DIGITS for digits in found.groups()):
        return None
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        start, end = int(first), int(last) + 1 if last else size_bytes
    else:
        start, end = size_bytes - min(int(last), size_bytes), size_bytes
    if start >= size_bytes:
        raise BeyondTheEnd
    return start, min(end, size_bytes)
