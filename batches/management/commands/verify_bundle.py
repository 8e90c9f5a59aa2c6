"""``manage.py verify_bundle ZIP``: is it what its manifest says? Needs no database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from batches.bundles.verification import verify
from jobs.commands import FileCommand, add_json_argument, existing_file

NOT_GOOD = 1


class Command(FileCommand):
    help = "Checks a downloaded ZIP against its manifest, offline. Exit code 1 with every name that is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("zip", type=existing_file)
        add_json_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["zip"]
        verdict = verify(path)
        history = verdict.manifest.get("history")
        if options["json"]:
            told = [{"path": problem.path, "problem": problem.message} for problem in verdict.problems]
            figures = {"files": verdict.files, "size_bytes": verdict.size_bytes}
            self.print_json({"zip": path.name, "good": verdict.good, **figures, "history": history, "problems": told})
        else:
            for problem in verdict.problems:
                self.tell(str(problem))
            word = "good" if verdict.good else "NOT GOOD"
            self.tell(f"{path.name}: {word}, {verdict.files} files, {verdict.size_bytes} bytes")
        if not verdict.good:
            sys.exit(NOT_GOOD)
