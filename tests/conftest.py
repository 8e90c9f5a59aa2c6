"""Fixtures that every test may use."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as examples

from jobs import history_guards

pytest_plugins = ["tests.people", "tests.object_store", "tests.doors"]

# A machine that stops for a moment makes no example wrong: how long one takes, or is looked for, fails no test.
examples.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("unhurried")

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-database", action="store_true", help="leave out the tests that may not ask the database anything"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # While a long test waits for its clusters, the process beside it works; at the end it would have nothing to do.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if config.getoption("only_database"):
        config.hook.pytest_deselected(items=[item for item in items if not _may_ask_the_database(item)])
        items[:] = filter(_may_ask_the_database, items)


def _may_ask_the_database(item: pytest.Item) -> bool:
    """pytest-django refuses every statement of a test that neither is marked nor has such a fixture."""
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files with ground truth that lies beside a developer's clone."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real files of shared/data are not beside this clone")
    return SHARED_DATA


KEPT_TABLES = frozenset({"django_content_type", "auth_permission"})
"""What Django would empty and fill again with the same."""


@pytest.fixture(scope="session", autouse=True)
def _tables_can_be_emptied() -> Iterator[None]:
    """After a test with real transactions the tables are emptied, which the triggers of the history refuse."""
    flush = TransactionTestCase._fixture_teardown

    def without_guards(test: TransactionTestCase) -> None:
        if connection.vendor == "postgresql":
            _empty_tables()
            return
        history_guards.take_down(connection)
        try:
            flush(test)
        finally:
            history_guards.put_up(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", without_guards)
        yield


def _empty_tables() -> None:
    """Deletes the few rows of a test. Django truncates: new files for hundreds of tables and indexes, over a second."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with connection.cursor() as cursor:
        # As a replica, the connection fires no triggers, neither the history's nor those of foreign keys.
        cursor.execute("SET session_replication_role TO replica")
        try:
            cursor.execute("; ".join(f'DELETE FROM "{table}"' for table in tables if table not in KEPT_TABLES))
        finally:
            cursor.execute("SET session_replication_role TO origin")
    if history_guards.missing(connection):
        history_guards.put_up(connection)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], AbstractContextManager[None]]:
    """The machine's network, for the body of ``with``: with fcntl.LOCK_EX for a test that adds and cuts cables, with
    LOCK_SH for one that must not see that: Chromium breaks off what it loads when the machine's network changes."""
    # Beside the folders of all processes that share out this run's tests.
    path = tmp_path_factory.getbasetemp().parent / "network"

    @contextmanager
    def held(how: int) -> Iterator[None]:
        with path.open("a") as lock:
            fcntl.flock(lock, how)
            yield

    return held


@pytest.fixture(autouse=True)
def _files_of_the_test(settings: Any, tmp_path: Path) -> None:
    """Every test has storages, asset roots and work directories of its own, a fast password hasher, and static files
    that are looked for when they are asked for: every new client of a test would list them all."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "store", "base_url": None}},
        "outputs": {**settings.STORAGES["outputs"], "OPTIONS": {"location": tmp_path / "output", "base_url": None}},
        "heads": {**settings.STORAGES["heads"], "OPTIONS": {"location": tmp_path / "heads", "base_url": None}},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.ASSET_ROOTS = [tmp_path / "assets"]
    settings.FONT_DIRS = [tmp_path / "fonts"]
    settings.WORK_DIR = tmp_path / "work"
    settings.CACHE_DIR = tmp_path / "cache"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True
