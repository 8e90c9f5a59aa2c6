"""The one error this library raises for input that cannot be used."""

from __future__ import annotations


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
