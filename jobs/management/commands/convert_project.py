"""manage.py convert_project IN OUT: AEPX to AEP and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from jobs.commands import RIFX_SIGNATURE, SNIFFED_BYTES, FileCommand, check_new_file, existing_file
from rendering.aftereffects.aepx import convert_project, is_aepx
from rendering.errors import FormatError


class Command(FileCommand):
    help = "Converts an After Effects project: .aepx to .aep, or .aep to .aepx. Never overwrites."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=existing_file, metavar="IN")
        parser.add_argument("destination", type=Path, metavar="OUT")

    def handle(self, *args: Any, **options: Any) -> None:
        source: Path = options["source"]
        destination: Path = options["destination"]
        check_new_file(destination, suffixes=(".aep", ".aepx"))
        form = destination.suffix.lower()
        if _form_of(source) == form:
            raise FormatError(str(source), f"it is an {form[1:].upper()} file already.", "OUT must be the other form.")
        convert_project(source, destination)
        self.tell(f"{destination}: {destination.stat().st_size} bytes written")


def _form_of(source: Path) -> str:
    """``.aepx`` or ``.aep`` by content, or nothing for a file that is neither."""
    with source.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    if is_aepx(head):
        return ".aepx"
    return ".aep" if head.startswith(RIFX_SIGNATURE) else ""
