"""What the file commands share: how input is named, how answers and errors are printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from rendering.errors import FormatError
from rendering.fonts import FontLibrary


def existing_file(text: str) -> Path:
    """An argparse type: the path of a file that is there."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: there is no such file")
    return path


def existing_folder(text: str) -> Path:
    """An argparse type: the path of a folder that is there."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no such folder")
    return path


class FileCommand(BaseCommand):
    """A command that reads files and needs no database. Bad input is one line on stderr and exit code 2."""

    requires_system_checks: list[str] = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except FormatError as error:
            raise CommandError(str(error), returncode=2) from None
        except FileExistsError as error:
            name = error.filename or error
            raise CommandError(f"{name}: it exists already, nothing is overwritten", returncode=2) from None
        except OSError as error:
            raise CommandError(f"{error.filename or 'file'}: {error.strerror or error}", returncode=2) from None

    def print_json(self, value: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False))

    def print_findings(self, findings: list[dict[str, Any]]) -> None:
        for finding in findings:
            self.stdout.write(f"  {finding['severity']}: {finding['message']} {finding['cure']}".rstrip())
        if not findings:
            self.stdout.write("  no findings")


def add_font_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fonts", type=existing_folder, metavar="DIR", help="a folder of fonts beside FONT_DIRS")


def font_library(folder: Path | None) -> FontLibrary:
    folders = [*settings.FONT_DIRS, *([folder] if folder else [])]
    return FontLibrary.from_directories(folders, system=settings.SYSTEM_FONTS)
