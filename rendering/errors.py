"""The one error this library raises for input that cannot be used, and what is no fault of the input."""

from __future__ import annotations

import errno

_MACHINE = frozenset(
    {
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EROFS,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


class FormatError(Exception):
    """A file is wrong: trying again will not help.

    ``str(error)`` is one line that names the file, the cause and, where there is one, the cure.
    """

    def __init__(self, name: str, cause: str, cure: str = "") -> None:
        self.name = name
        self.cause = cause
        self.cure = cure
        super().__init__(f"{name}: {cause}" + (f" {cure}" if cure else ""))

    def __reduce__(self) -> tuple[type[FormatError], tuple[str, str, str]]:
        return (FormatError, (self.name, self.cause, self.cure))


def is_the_machines(error: Exception) -> bool:
    """Whether what a library raised in the middle of a foreign file says nothing of it: memory or disk are in trouble.

    For damaged content libraries raise OSErrors, too: without a number, or EINVAL for a seek to nowhere.
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _MACHINE)
