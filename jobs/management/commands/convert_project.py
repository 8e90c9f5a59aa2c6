"""manage.py convert_project IN OUT: AEPX to AEP and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from jobs.commands import FileCommand, existing_file
from rendering.aftereffects.aepx import convert_project


class Command(FileCommand):
    help = "Converts an After Effects project between .aepx and .aep. Never overwrites."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=existing_file)
        parser.add_argument("destination", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        convert_project(options["source"], options["destination"])
        self.stdout.write(f"{options['destination']} written")
