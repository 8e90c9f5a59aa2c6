"""manage.py check_storage: do records and stored files agree? Exit 1 when they do not. Changes nothing unless told."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.storage import ALIASES
from jobs.storage_check import files_without_record, let_go, records_without_file


class Command(BaseCommand):
    help = "Says which records have no file and which stored files have no record. Exit 1 for any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grace-minutes",
            type=_minutes,
            default=60,
            help="leave out files that are younger: their record may be on its way (default: 60)",
        )

        parser.add_argument(
            "--let-go",
            action="store_true",
            help="let contents without a record go: the workers delete them a day later, if they are nobody's then;"
            " never those of the output storage (default: change nothing)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        missing = unknown = 0
        for alias in ALIASES:
            for line in records_without_file(alias):
                self.stdout.write(line)
                missing += 1
            for line in files_without_record(alias, grace=timedelta(minutes=options["grace_minutes"])):
                self.stdout.write(line)
                unknown += 1
        if options["let_go"]:
            noted = let_go(grace=timedelta(minutes=options["grace_minutes"]))
            self.stdout.write(f"{noted} contents go in a day, if nobody stores them again")
            unknown -= noted
        if missing or unknown:
            raise CommandError(f"{missing} records without their file, {unknown} files without a record", returncode=1)
        self.stdout.write("records and files agree")


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 <= value < 10**6:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes")
    return value
