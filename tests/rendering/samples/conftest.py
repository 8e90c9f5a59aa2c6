"""Samples are built once for all tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering.samples import Samples, build_samples


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return build_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def fonts(samples: Samples) -> Path:
    return samples.fonts


@pytest.fixture(scope="session")
def best_seconds() -> Callable[[Callable[[], object]], float]:
    """The shortest of three runs: one alone may hold a collection of the whole session's garbage (0.2 s)."""

    def measure(build: Callable[[], object]) -> float:
        seconds = []
        for _ in range(3):
            started = time.process_time()
            build()
            seconds.append(time.process_time() - started)
        return min(seconds)

    return measure
