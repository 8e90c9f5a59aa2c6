"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import TransactionTestCase

from jobs import history_guards

pytest_plugins = ["tests.people", "tests.object_store"]

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files with ground truth that lies beside a developer's clone."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real files of shared/data are not beside this clone")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def _tables_can_be_emptied() -> Iterator[None]:
    """After a test with real transactions the tables are emptied, which the triggers of the history refuse."""
    empty = TransactionTestCase._fixture_teardown

    def without_guards(test: TransactionTestCase) -> None:
        history_guards.take_down(connection)
        try:
            empty(test)
        finally:
            history_guards.put_up(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", without_guards)
        yield


@pytest.fixture(autouse=True)
def _files_of_the_test(settings: Any, tmp_path: Path) -> None:
    """Every test has storages, asset roots and work directories of its own, and a fast password hasher."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "store", "base_url": None}},
        "outputs": {**settings.STORAGES["outputs"], "OPTIONS": {"location": tmp_path / "output", "base_url": None}},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.ASSET_ROOTS = [tmp_path / "assets"]
    settings.FONT_DIRS = [tmp_path / "fonts"]
    settings.WORK_DIR = tmp_path / "work"
    settings.CACHE_DIR = tmp_path / "cache"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
