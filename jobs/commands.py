"""What the file commands share: how input is named, how answers and errors are printed."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import stat
import sys
from collections.abc import Collection
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from rendering.errors import FormatError
from rendering.fonts import FontLibrary

BAD_INPUT = 2
PSD_SIGNATURE = b"8BPS"
RIFX_SIGNATURE = b"RIFX"
SNIFFED_BYTES = 65536
"""How much of a file's beginning tells what it is."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def existing_file(text: str) -> Path:
    """An argparse type: the path of a regular file that is there."""
    mode = _mode(text)
    if not stat.S_ISREG(mode):
        raise argparse.ArgumentTypeError(f"{text}: it is a {'folder' if stat.S_ISDIR(mode) else 'device'}, no file")
    return Path(text)


def existing_folder(text: str) -> Path:
    """An argparse type: the path of a folder that is there."""
    if not stat.S_ISDIR(_mode(text)):
        raise argparse.ArgumentTypeError(f"{text}: it is no folder")
    return Path(text)


def finite_number(text: str) -> float:
    """An argparse type: a number that is neither infinite nor NaN."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text}: it is no number")
    return number


def _mode(text: str) -> int:
    try:
        return os.stat(text).st_mode
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: no file can have this name") from error
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {_reason(error)}") from error


def check_new_file(path: Path, *, suffixes: Collection[str]) -> None:
    """Raises FormatError for another suffix or a folder that is not there, FileExistsError where something is."""
    if path.suffix.lower() not in suffixes:
        raise FormatError(str(path), f"its name must end in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise FormatError(str(path), f"there is no folder {path.parent}.", "Make it first.")
    if os.path.lexists(path):
        raise FileExistsError(17, "it exists already and is never overwritten", str(path))


class FileCommand(BaseCommand):
    """A command that reads files and needs no database. Bad input is one line on stderr and exit code 2.

    Called from Python, it raises CommandError with that line and ``returncode`` 2.
    """

    requires_system_checks: list[str] = []
    _has_shell = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # Django makes the parser itself, and argparse would print its usage above the error.
        parser.error = self._refuse  # type: ignore[method-assign]
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        self._has_shell = True
        # What libraries tell about a file is for their makers; a name that is no UTF-8 must not break the output.
        logging.disable(logging.CRITICAL)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except FormatError as error:
            self._refuse(str(error))
        except BrokenPipeError:
            # Who reads the output has read enough; Python would complain when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            self._refuse(f"{error.filename or 'file'}: {_reason(error)}")

    def _refuse(self, message: str) -> NoReturn:
        line = one_line(message)
        if self._has_shell:
            self.stderr.write(f"error: {line}")
            sys.exit(BAD_INPUT)
        raise CommandError(line, returncode=BAD_INPUT) from None

    def print_json(self, value: dict[str, Any]) -> None:
        """Indented; in plain ASCII where the output cannot hold more."""
        encoding = str(getattr(self.stdout, "encoding", None) or "utf-8")
        is_unicode = encoding.lower().replace("-", "") == "utf8"
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=not is_unicode, allow_nan=False))
        self.stdout.flush()

    def tell(self, line: str) -> None:
        """One line for people, whatever names it holds."""
        self.stdout.write(one_line(line))

    def tell_findings(self, findings: list[dict[str, Any]]) -> None:
        for finding in findings:
            self.tell(f"  {finding['severity']}, {finding['object']}: {finding['message']} {finding['cure']}".rstrip())
        if not findings:
            self.tell("  no findings")


def one_line(text: str) -> str:
    """Line ends and other controls as single spaces: a name may hold what a terminal would obey."""
    return _CONTROLS.sub(" ", text)


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON (keys: docs/formats.md)")


def add_footage_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--footage", type=existing_folder, metavar="DIR", help="a folder where footage may lie, beside the project's"
    )


def add_font_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fonts", type=existing_folder, metavar="DIR", help="a folder of fonts beside FONT_DIRS")


def font_library(folder: Path | None) -> FontLibrary:
    """The fonts of ``--fonts`` first, then those of the settings and of the machine."""
    folders = [*([folder] if folder else []), *settings.FONT_DIRS]
    return FontLibrary.from_directories(folders, system=settings.SYSTEM_FONTS)


def footage_folders(folder: Path | None) -> tuple[Path, ...]:
    """Where footage is searched beside the project's own folder."""
    return (folder,) if folder else ()


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder"
    return (error.strerror or str(error)).lower()
