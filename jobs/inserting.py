"""Inserting very many rows of which few columns differ: what ``bulk_create`` does, at a fraction of its computing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def insert_many(example: models.Model, varying: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Inserts a row for each of ``rows``: the values of the ``varying`` fields; all others are as in ``example``.

    ``varying`` are names of attributes (``psd_id``), their values as the database takes them, but for JSON. Raises
    IntegrityError as ``bulk_create`` does, and belongs into a transaction as it does.
    """
    fields = [field for field in example._meta.local_concrete_fields if not field.primary_key]
    by_name = {str(field.attname): place for place, field in enumerate(fields)}
    places = [by_name[name] for name in varying]
    encoded = [
        (number, fields[place]) for number, place in enumerate(places) if isinstance(fields[place], models.JSONField)
    ]
    common = [field.get_db_prep_save(field.pre_save(example, add=True), connection) for field in fields]

    def parameters() -> Iterable[list[Any]]:
        for row in rows:
            values = list(row)
            for number, field in encoded:
                values[number] = field.get_db_prep_save(values[number], connection)
            full = common.copy()
            for place, value in zip(places, values, strict=True):
                full[place] = value
            yield full

    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    table = quote(example._meta.db_table)
    with connection.cursor() as cursor:
        # Names of our own tables and columns.
        cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(parameters()))  # noqa: S608
