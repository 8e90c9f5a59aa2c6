"""manage.py validate_project PROJECT: would it be deployed?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from jobs.commands import (
    FileCommand,
    add_font_argument,
    add_footage_argument,
    add_json_argument,
    existing_file,
    font_library,
    footage_folders,
)
from rendering.aftereffects.project import read_project
from rendering.validation import validate

NOT_CLEAN = 1


class Command(FileCommand):
    help = "Validates an After Effects project as delivery does. Exit code 1 when it is not clean."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", type=existing_file)
        add_json_argument(parser)
        add_footage_argument(parser)
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["project"]
        project = read_project(path, search=footage_folders(options["footage"]))
        report = validate(project, installed=font_library(options["fonts"]).installed)
        findings = [finding.as_json() for finding in report.findings]
        if options["json"]:
            self.print_json({"project": path.name, "clean": report.clean, "findings": findings})
        else:
            self.tell(f"{path.name}: {'clean' if report.clean else 'not clean'}")
            self.tell_findings(findings)
        if not report.clean:
            sys.exit(NOT_CLEAN)
