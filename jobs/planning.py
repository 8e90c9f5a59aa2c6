"""What the database's planner knows of how many rows there are."""

from __future__ import annotations

from django.db import connection
from django.db.models import Model

MANY = 2_000
"""Rows made at once that change what the best plan is."""


def tell_planner(*models: type[Model], made: int) -> None:
    """Has PostgreSQL count what lies in these tables, when many rows were ``made`` at once. SQLite needs no counting.

    It does so by itself a minute later (autovacuum). Until then it plans for the few rows that it knew of, and reads
    whole tables for each claim. ``SKIP_LOCKED``: who finds somebody else counting goes on.
    """
    if made < MANY or connection.vendor != "postgresql":
        return
    tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in models)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE (SKIP_LOCKED) {tables}")
