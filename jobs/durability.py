"""Transactions that need not be on disk when they are committed."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Func


class SoonOnDisk(Func):
    """A condition that is always true. The commit of the transaction in which a row met it does not wait for the disk.

    For what may be as if it had never happened: all see it at once. Only if the database's server or its machine
    crashes within the next moment (on PostgreSQL three times ``wal_writer_delay``, 0.6 s) it is undone, whole; and any
    later commit that does wait puts it on disk, too (PostgreSQL's manual, "Asynchronous Commit"; ``set_config`` with
    ``true`` is ``SET LOCAL``). As a condition it takes no statement of its own, and no transaction where there is one
    statement alone. For SQLite it is nothing: none of its commits waits (the settings' ``PRAGMA synchronous=NORMAL``).
    """

    output_field = BooleanField()
    template = "set_config('synchronous_commit', 'off', true) = 'off'"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template="1", **context)
