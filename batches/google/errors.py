"""What goes wrong with a Google Sheet, by who can do something about it.

``Invalid``: a person, with the address, the range or the sheet; ``NotShared``: whoever owns the sheet; ``KeyRefused``:
whoever runs us; ``Unreachable``: time, and it is tried again as every failure of the network is;
``jobs.errors.RateLimited``: time, as Google tells it.
"""

from __future__ import annotations

from jobs.errors import Invalid


class NotShared(Invalid):
    """The sheet is there, or may be, and we are not let in."""


class KeyRefused(Invalid):
    """Our own key is not one that Google takes."""


class Unreachable(OSError):
    """Google does not answer, not in time, or not with what it should. It may pass."""
