"""Commands as people call them, on files that our own code makes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, load_command_class

from rendering.samples import build_fonts, tiny_document, tiny_project


@pytest.fixture(scope="session")
def font_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command-fonts")
    build_fonts(folder)
    return folder


@pytest.fixture
def psd(tmp_path: Path) -> Path:
    return tiny_document(tmp_path / "card.psd")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return tiny_project(tmp_path / "card.aepx")


@pytest.fixture
def ask() -> Callable[..., dict[str, Any]]:
    """The JSON that a command prints."""

    def run(*arguments: object) -> dict[str, Any]:
        printed = StringIO()
        call_command(*map(str, arguments), "--json", stdout=printed)
        return dict(json.loads(printed.getvalue()))

    return run


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Exit code, stdout and stderr of a command as a shell sees it, without the seconds of another process."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        code = 0
        capfd.readouterr()
        try:
            command = load_command_class("jobs", name)
            command.run_from_argv(["manage.py", name, *map(str, arguments)])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    yield run
    logging.disable(logging.NOTSET)
