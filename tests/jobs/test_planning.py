"""jobs.planning: the planner knows of many rows when they are there, not a minute later."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection

from jobs import planning, starting
from jobs.models import StageRun
from jobs.planning import tell_planner
from tests.people import make_job

ON_POSTGRESQL = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")


def rows_known(model) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        return int(cursor.fetchone()[0])


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite has no such counts")
def test_whoever_starts_many_tells_the_planner(batch, monkeypatch):
    monkeypatch.setattr(planning, "MANY", 3)
    starting.start_many([make_job(batch).pk for _ in range(3)])
    assert rows_known(StageRun) == 3
    starting.start_many([make_job(batch).pk for _ in range(2)])
    assert rows_known(StageRun) == 3


def test_few_rows_ask_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        tell_planner(StageRun, made=planning.MANY - 1)


def test_many_rows_are_told_in_one_statement(db, django_assert_num_queries):
    with django_assert_num_queries(1 if ON_POSTGRESQL else 0):
        tell_planner(StageRun, made=planning.MANY)
