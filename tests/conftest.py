"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files with ground truth that lies beside a developer's clone."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real files of shared/data are not beside this clone")
    return SHARED_DATA
