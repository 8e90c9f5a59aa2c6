"""Queries whose SQL is made once.

Django builds a query's SQL anew each time, which takes many times what the database needs to answer it. What a worker
asks for every stage is therefore written here as any other query, with ``given`` in place of its values; the SQL that
Django makes of it at the first execution serves all later ones. So the ORM stays the only source of SQL, for both
databases. For queries of a fixed form only: no lists of changing length.

    of_batch = Rows(lambda: Job.objects.filter(batch=given(Job, "batch")).values_list("pk", "state"))
    of_batch.all(batch=7)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, Generic, TypeVar

from django.db import connection, transaction
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import Expression, Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.functions import Now
from django.db.models.query import get_related_populators
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery
from psycopg.sql import Literal

M = TypeVar("M", bound=Model)
Adapt = Callable[[Any], Any]


class Given(Expression):
    """Stands for a value that comes with each execution, by its name."""

    def __init__(self, name: str, field: Any) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def adapted(self, values: Mapping[str, Any], connection: Any) -> Any:
        """The value as the database's driver takes it. Raises KeyError when it was not given."""
        return self.output_field.get_db_prep_save(values[self.name], connection)


def given(model: type[Model], column: str, *, name: str = "") -> Any:
    """A value such as the model's column holds, to be given as ``name``, or under the column's own name."""
    return Given(name or column, model._meta.get_field(column))


class _Statement:
    """SQL whose only parameters are those that are given.

    PostgreSQL parses and plans it once for each connection (a prepared statement). What is always the same stands in
    the SQL as a literal: a plan for any value could not use an index that covers some values only.
    """

    def __init__(self, build: Callable[[], tuple[str, Sequence[Any]]]) -> None:
        self._build = build

    @cached_property
    def _made(self) -> tuple[str, tuple[Any, ...]]:
        sql, params = self._build()
        if connection.vendor != "postgresql":
            return sql, tuple(params)
        left = iter(params)
        given = []

        def place(found: re.Match[str]) -> str:
            if found[0] == "%%":
                return "%%"
            param = next(left)
            if isinstance(param, Given):
                given.append(param)
                return "%s"
            return Literal(param).as_string(connection.connection).replace("%", "%%")

        return re.sub("%%|%s", place, sql), tuple(given)

    def run(self, cursor: Any, values: Mapping[str, Any]) -> None:
        sql, params = self._made
        # Django's ``connection`` looks for this one anew at each use, a hundred times a stage.
        present = cursor.db
        if present.vendor == "postgresql":
            cursor.cursor = ServerBindingCursor(present.connection)  # type: ignore[call-arg]
        cursor.execute(sql, [one.adapted(values, present) if isinstance(one, Given) else one for one in params])


class Rows:
    """A query by ``values_list``. Its rows are tuples, with the values that Django would give."""

    def __init__(self, query: Callable[[], QuerySet[Any, Any]]) -> None:
        self._query = query
        self._statement = _Statement(lambda: self._compiler.as_sql())

    @cached_property
    def _compiler(self) -> Any:
        compiler = self._query().query.get_compiler(using=connection.alias)
        compiler.as_sql()  # which also finds out what is selected
        return compiler

    @cached_property
    def _converters(self) -> Any:
        return self._compiler.get_converters([column[0] for column in self._compiler.select])

    def all(self, **values: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            self._statement.run(cursor, values)
            rows = cursor.fetchall()
        if not rows or not self._converters:
            return list(rows)
        return [tuple(row) for row in self._compiler.apply_converters(rows, self._converters)]

    def first(self, **values: Any) -> tuple[Any, ...] | None:
        """The first row of a query that asks for no more. None when there is none."""
        rows = self.all(**values)
        return rows[0] if rows else None


class Objects(Generic[M]):
    """A query for objects of a model, with those that it asks for by ``select_related``."""

    def __init__(self, query: Callable[[], QuerySet[M]]) -> None:
        self._rows = Rows(query)

    @cached_property
    def _shape(self) -> tuple[type[M], Any, list[str], list[Any]]:
        """The model, the columns that are its own, their names, and who makes the related objects."""
        compiler = self._rows._compiler
        own = compiler.klass_info["select_fields"]
        names = [compiler.select[at][0].target.attname for at in own]
        related = get_related_populators(compiler.klass_info, compiler.select, connection.alias)  # type: ignore[call-arg]
        return compiler.klass_info["model"], itemgetter(slice(own[0], own[-1] + 1)), names, related

    def all(self, **values: Any) -> list[M]:
        rows = self._rows.all(**values)
        return [self._object(row) for row in rows]

    def first(self, **values: Any) -> M | None:
        """The first object of a query that asks for no more. None when there is none."""
        row = self._rows.first(**values)
        return None if row is None else self._object(row)

    def get(self, **values: Any) -> M:
        """Raises the model's DoesNotExist."""
        found = self.first(**values)
        if found is None:
            model: Any = self._shape[0]
            raise model.DoesNotExist(f"There is no {model._meta.verbose_name} with {values}.")
        return found

    def _object(self, row: tuple[Any, ...]) -> M:
        model, own, names, related = self._shape
        made = model.from_db(connection.alias, names, own(row))
        for populator in related:
            populator.populate(row, made)
        return made


class _Change:
    """A statement that changes rows. Returns how many."""

    def __init__(self, build: Callable[[], tuple[str, Sequence[Any]]]) -> None:
        self._statement = _Statement(build)

    def __call__(self, **values: Any) -> int:
        with transaction.mark_for_rollback_on_error(connection.alias), connection.cursor() as cursor:
            self._statement.run(cursor, values)
            return int(cursor.rowcount)


class Update(_Change):
    """``QuerySet.update``: the rows of ``query`` get ``changes``, whose values may be given, or expressions."""

    def __init__(self, query: Callable[[], QuerySet[Any]], changes: Callable[[], Mapping[str, Any]]) -> None:
        def build() -> tuple[str, Sequence[Any]]:
            update: Any = query().order_by().query.chain(UpdateQuery)
            update.add_update_values(dict(changes()))
            sql, params = update.get_compiler(using=connection.alias).as_sql()
            return str(sql), params

        super().__init__(build)


class Delete(_Change):
    """Deletes the rows of ``query``, and nothing that hangs on them: for models that nothing refers to."""

    def __init__(self, query: Callable[[], QuerySet[Any]]) -> None:
        def build() -> tuple[str, Sequence[Any]]:
            delete: Any = query().order_by().query.chain(DeleteQuery)
            sql, params = delete.get_compiler(using=connection.alias).as_sql()
            return str(sql), params

        super().__init__(build)


class Insert(Generic[M]):
    """``save`` of new objects of a model, without signals. ``by_clock`` are columns that get the database's time.

    ``or_nothing``: a row that breaks a rule of uniqueness is left out.
    """

    def __init__(self, model: type[M], *, by_clock: Sequence[str] = (), or_nothing: bool = False) -> None:
        self._model = model
        self._fields = [field for field in model._meta.concrete_fields if not field.primary_key]
        made_there = [field.name for field in self._fields if field.has_db_default() or field.generated]
        if set(made_there) - set(by_clock):
            raise TypeError(f"{model.__name__}: {', '.join(made_there)} are made by the database: use save()")
        self._by_clock = by_clock
        self._conflict = OnConflict.IGNORE if or_nothing else None
        self._statement = _Statement(self._build)

    def _build(self) -> tuple[str, Sequence[Any]]:
        insert = InsertQuery(self._model, on_conflict=self._conflict)
        row = self._model()
        for field in self._fields:
            value = Now() if field.name in self._by_clock else Given(field.attname, field)
            setattr(row, field.attname, value)
        insert.insert_values(self._fields, [row], raw=True)
        compiler = insert.get_compiler(using=connection.alias)
        compiler.returning_fields = [self._model._meta.pk]
        [(sql, params)] = compiler.as_sql()
        return str(sql), params

    def __call__(self, made: M) -> bool:
        """Inserts the object, which gets its key. False when it was left out.

        What the database's clock wrote is not in the object: its attribute is as it was.
        """
        values = {field.attname: field.pre_save(made, add=True) for field in self._fields}
        with transaction.mark_for_rollback_on_error(connection.alias), connection.cursor() as cursor:
            self._statement.run(cursor, values)
            row = cursor.fetchone()
        if row is None:
            return False
        made.pk = row[0]
        made._state.adding, made._state.db = False, connection.alias
        return True
