"""``manage.py import_batch SHEET --team NAME``: opens a batch from a sheet, without a browser.

The sheet is a file, or with ``--google`` the address of a Google Sheet.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from rich.console import Console
from rich.live import Live
from rich.table import Table

from batches import actions
from batches.board import page_of
from batches.figures import figures_of
from batches.google import taking
from batches.intake import opening
from batches.intake.repeats import Repeated
from batches.intake.upload import files_below
from batches.models import Batch, Upload
from jobs import errands
from jobs.claims import worker_name
from jobs.errors import Conflict, Invalid, NotAllowed, RateLimited
from jobs.models import Team
from jobs.states import Role, State
from jobs.teams import roles_of

POLL_SECONDS = 0.5
BAD_INPUT = 2
GOOGLE_SHEET = "Google Sheet"


class Command(BaseCommand):
    help = "Opens a batch from a sheet. Bad input is one line on stderr and exit code 2."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sheet = parser.add_mutually_exclusive_group(required=True)
        sheet.add_argument(
            "sheet", type=Path, nargs="?", help="CSV, TSV, XLSX, ODS or JSON, or a ZIP with it and its files"
        )
        sheet.add_argument("--google", default="", metavar="ADDRESS", help="a Google Sheet instead of a file")
        parser.add_argument("--range", default="", metavar="A1:H", help="what of the Google Sheet: 'My tab'!A1:H")
        parser.add_argument("--team", required=True, metavar="NAME", help="name or slug of the team")
        parser.add_argument("--user", metavar="NAME", help="who opens it; by default an operator of the team")
        parser.add_argument("--assets", type=Path, metavar="DIR", help="a folder whose files the rows may name")
        parser.add_argument("--sheet-name", default="", metavar="NAME", help="which sheet of a workbook")
        parser.add_argument("--name", default="", help="name of the batch")
        parser.add_argument("--good-rows", action="store_true", help="leave rows with errors out")
        parser.add_argument("--again", action="store_true", help="also when a batch was made of the same sheet lately")
        parser.add_argument("--start", action="store_true", help="start the ingestion of all jobs")
        parser.add_argument("--wait", action="store_true", help="show progress until no machine works on the batch")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["sheet"].name if options["sheet"] else GOOGLE_SHEET
        try:
            team = _team(options["team"])
            user = _user(options["user"], team)
            upload = self._preview(user, team, options)
            self._tell_errors(upload, name)
            commit = opening.commit_good_rows if options["good_rows"] else opening.commit_all
            batch = _commit(user, upload, commit, name=options["name"], again=options["again"])
            self._see_through(upload)
            if upload.state != Upload.COMMITTED:
                raise Conflict(upload.problem)
            self.stdout.write(f"{batch.name}: batch {batch.pk} with {batch.jobs.count()} jobs")
            if options["start"]:
                self.stdout.write(f"{actions.start(user, batch)} jobs queued")
        except (Invalid, Conflict, NotAllowed, RateLimited) as error:
            raise CommandError(f"{name}: {error}", returncode=BAD_INPUT) from None
        except OSError as error:
            where = error.filename or options["sheet"] or GOOGLE_SHEET
            raise CommandError(f"{where}: {error.strerror or error}", returncode=BAD_INPUT) from None
        if options["wait"] and not self._wait(user, batch):
            raise CommandError(f"{batch.name}: a job failed", returncode=1)

    def _preview(self, user: User, team: Team, options: dict[str, Any]) -> Upload:
        sheet: Path | None = options["sheet"]
        assets: Path | None = options["assets"]
        if assets is not None and not assets.is_dir():
            raise NotADirectoryError(20, "is not a folder", str(assets))
        files = files_below(assets) if assets else ()
        if sheet is None:
            return taking.preview(user, team, url=options["google"], range_=options["range"], files=files)
        with sheet.open("rb") as file:
            return opening.preview_upload(
                user, team, sheet_name=sheet.name, sheet_file=file, files=files, tab=options["sheet_name"]
            )

    def _tell_errors(self, upload: Upload, name: str) -> None:
        self._see_through(upload)
        for row in upload.rows.filter(good=False).order_by("id").iterator(chunk_size=1000):
            for column, message, where in row.errors:
                self.stdout.write(f"{name}: {where}: {column} {message}".replace(":  ", ": "))

    def _see_through(self, upload: Upload) -> None:
        """Does a worker's part for a large sheet here, or waits for the worker that took it, and for what is paused."""
        told = ""
        while (errand := opening.errand_of(upload)) is not None:
            held = errands.claim(worker_name(), only=errand.pk)
            if held is None:
                paused = errands.why_paused(errand)
                if paused != told:
                    self.stderr.write(paused)
                told = paused
                time.sleep(POLL_SECONDS)
            else:
                errands.perform(held)
            upload.refresh_from_db()

    def _wait(self, user: User, batch: Batch) -> bool:
        """Shows the jobs until none is queued or running. False when one failed."""
        with Live(console=Console(), refresh_per_second=4) as live:
            while True:
                live.update(_progress(user, batch))
                if not batch.jobs.filter(state__in=[State.QUEUED, State.RUNNING]).exists():
                    break
                time.sleep(POLL_SECONDS)
            live.update(_progress(user, batch))
        return not batch.jobs.filter(state=State.FAILED).exists()


def _commit(user: User, upload: Upload, commit: Callable[..., Batch], *, name: str, again: bool) -> Batch:
    """Opens the batch. What was stored for an upload that nobody will look at again is forgotten."""
    try:
        return commit(user, upload, name=name, again=again)
    except Repeated as error:
        opening.discard(user, upload)
        raise Repeated(error.batch, how=" --again makes another one.") from None
    except (Invalid, Conflict):
        opening.discard(user, upload)
        raise


def _team(name: str) -> Team:
    team = Team.objects.filter(Q(name=name) | Q(slug=name)).first()
    if team is None:
        raise Invalid(f"there is no team called {name}.", field="team")
    return team


def _user(name: str | None, team: Team) -> User:
    if name is not None:
        user = User.objects.filter(username=name, is_active=True).first()
    else:
        operators = User.objects.filter(memberships__team=team, memberships__role=Role.OPERATOR, is_active=True)
        user = operators.order_by("pk").first() or User.objects.filter(is_superuser=True, is_active=True).first()
    if user is None:
        raise Invalid(
            f"there is no user {name}." if name else f"{team} has no operator: name one by --user.", field="user"
        )
    return user


def _progress(user: User, batch: Batch) -> Table:
    counts = figures_of([batch.pk])[batch.pk]
    table = Table(title=f"{batch.name} · {counts.state.replace('_', ' ')}")
    for title in ("Job", "Stage", "State", "Progress"):
        table.add_column(title)
    _, shown = page_of(roles_of(user, batch.team), batch, {})
    for one in shown:
        run = one.run if one.working else None
        doing = (
            f"{run.percent:3.0f} % {run.step}"
            if run and run.step
            else one.failure.splitlines()[0]
            if one.failure
            else ""
        )
        table.add_row(one.job.job_id, one.job.stage_label, one.job.public_state.replace("_", " "), doing)
    if counts.total > len(shown):
        table.caption = f"and {counts.total - len(shown)} more"
    return table
