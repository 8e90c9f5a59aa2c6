"""manage.py validate_project PROJECT: would it be deployed?"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from jobs.commands import FileCommand, add_font_argument, existing_file, font_library
from rendering.aftereffects.project import read_project
from rendering.validation import validate


class Command(FileCommand):
    help = "Validates an After Effects project as delivery does. Exit code 1 when it is not clean."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", type=existing_file)
        parser.add_argument("--json", action="store_true", help="print JSON (keys: docs/formats.md)")
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["project"]
        report = validate(read_project(path, search=[path.parent]), installed=font_library(options["fonts"]).installed)
        findings = [finding.as_json() for finding in report.findings]
        if options["json"]:
            self.print_json({"project": path.name, "clean": report.clean, "findings": findings})
        else:
            self.stdout.write(f"{path.name}: {'clean' if report.clean else 'not clean'}")
            self.print_findings(findings)
        if not report.clean:
            sys.exit(1)
