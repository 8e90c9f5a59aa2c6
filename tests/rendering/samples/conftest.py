"""Samples are built once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from rendering.samples import Samples, build_samples


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return build_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def fonts(samples: Samples) -> Path:
    return samples.fonts
