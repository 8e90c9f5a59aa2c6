"""Figures and the clock that they are read from; databases that are measured in, and filled quickly."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from django.db import connection
from django.db.models import Model

from jobs.sandbox import stage_server


@dataclass(frozen=True, kw_only=True)
class Figure:
    """``most`` and ``least`` are what the figure must stay within, in its unit; without them it stands beside another.

    ``cpu`` is the processor time of this process, the stage server and the stages. (That of a PostgreSQL server is not
    in it.) The server forks the next stage's process while this one works, so ``cpu`` may be more than ``value``.
    """

    what: str
    value: float
    unit: str
    cpu: float = 0.0
    most: float | None = None
    least: float | None = None

    @property
    def target(self) -> str:
        return f"≤ {self.most:,g}" if self.most is not None else f"≥ {self.least:,g}" if self.least is not None else ""

    @property
    def is_missed(self) -> bool:
        return (self.most is not None and self.value > self.most) or (
            self.least is not None and self.value < self.least
        )


@dataclass
class Clock:
    """Adds up the seconds of what it is laid around: ``with clock: ...``. ``cpu_seconds``: see Figure."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __enter__(self) -> Self:
        self.seconds -= time.perf_counter()
        self.cpu_seconds -= _computed()
        return self

    def __exit__(self, *trouble: object) -> None:
        self.seconds += time.perf_counter()
        self.cpu_seconds += _computed()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **options: Any) -> Any:
            with self:
                return function(*args, **options)

        return measured


def _computed() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime + _computed_by_stages()


def _computed_by_stages() -> float:
    """By the stage server and the stages that ended (proc(5): utime, stime, cutime and cstime are fields 14 to 17)."""
    if not stage_server.cache_info().currsize:
        return 0.0  # a clock starts none
    server = stage_server().pid
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


@contextmanager
def database_of_its_own() -> Iterator[None]:
    real = str(connection.settings_dict["NAME"])
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(real, verbosity=0)


@contextmanager
def silent_console() -> Iterator[None]:
    """Log lines are made and written as ever, but to nowhere: they would stand between the figures."""
    console = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, ExitStack() as afterwards:
        for handler in console:
            afterwards.callback(handler.setStream, handler.stream)
            handler.setStream(nowhere)
        yield


def copy_rows(cursor: Any, model: type[Model], other: dict[str, str], source: str) -> None:
    """Copies a row many times; ``other`` are the columns that differ."""
    columns = [str(field.column) for field in model._meta.local_concrete_fields if not field.primary_key]
    values = ", ".join(other.get(column, f"t.{column}") for column in columns)
    # Names of our own columns, and numbers.
    cursor.execute(f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) {source.format(values)}")
