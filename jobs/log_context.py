"""The ids that every log line carries: of the request, the job, its stage run and the attempt.

They live in a context variable: whatever is logged below ``bound``, by any module, carries them; what a stage's process
logs is logged by its worker. Work that is queued keeps the request that it began with (``bound_request``), and whoever
does it binds that again: one id leads from a click to all that machines did about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

NAMES = ("request", "job", "run", "attempt")

_ids: ContextVar[Mapping[str, str]] = ContextVar("log_ids")


def bound_ids() -> Mapping[str, str]:
    """The ids of the work that is done now, by the names of ``NAMES``."""
    return _ids.get({})


def bound_request() -> str:
    """The id of the request that is answered now, or whose work is done now; empty when there is none."""
    return bound_ids().get("request", "")


@contextmanager
def bound(**ids: object) -> Iterator[None]:
    """Adds ids to every line that is logged in the body; afterwards it is as it was. An empty one is not added."""
    before = _ids.set({**bound_ids(), **{name: str(value) for name, value in ids.items() if value != ""}})
    try:
        yield
    finally:
        _ids.reset(before)


def bind(**ids: object) -> None:
    """Adds ids until the surrounding ``bound`` ends: for what is found out on the way."""
    _ids.set({**bound_ids(), **{name: str(value) for name, value in ids.items()}})
