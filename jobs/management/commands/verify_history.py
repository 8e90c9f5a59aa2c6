"""manage.py verify_history: was the history touched? Changes nothing; exit 1 when it was."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.history_chain import Head, last_head
from jobs.history_check import LEAST_DIGITS, Finding, Reading, holes, unguarded, verify
from jobs.models import Team
from jobs.noted_heads import noted_heads

MOST_LISTED = 1_000
"""Findings that are listed, for a team; the others are counted."""


class Command(BaseCommand):
    help = (
        "Checks that no event was edited, deleted, inserted or reordered since it was sealed, and that every noted "
        "head is in its chain. Changes nothing. "
        "Exit code 1 when something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--team", metavar="SLUG", help="check this team alone (default: all)")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--since", type=_position, default=0, metavar="POSITION", help="believe the chain up to here"
        )
        parser.add_argument(
            "--expect",
            type=_head,
            metavar="POSITION:DIGEST",
            help="a head that was noted elsewhere (an e-mail, a manifest) and must be in the chain; takes --team",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        slug, since, expect = options["team"], options["since"], options["expect"]
        if (expect or since) and slug is None:
            raise CommandError("--expect and --since speak of one team: name it with --team")
        if expect and expect.position < since:
            raise CommandError(f"--expect {expect.position} lies before --since {since} and would not be looked at")
        teams = Team.objects.filter(slug=slug) if slug is not None else Team.objects.all()
        if slug is not None and not teams.exists():
            raise CommandError(
                f"There is no team {slug}. Teams: {', '.join(Team.objects.values_list('slug', flat=True))}"
            )
        tell = _Told(self.stdout, as_json=options["json"])
        tell.everywhere(unguarded())
        with _progress() as progress:
            for team in teams:
                tell.team(team, since=since, expect=expect, progress=progress)
        if slug is None:
            tell.everywhere(holes())
        tell.end()
        if tell.wrong:
            sys.exit(1)


class _Told:
    """What was found, told line by line, or as one JSON object at the end."""

    def __init__(self, out: Any, *, as_json: bool) -> None:
        self.out = out
        self.as_json = as_json
        self.wrong = 0
        self.everywhere_found: list[dict[str, Any]] = []
        self.teams: list[dict[str, Any]] = []

    def everywhere(self, findings: Iterable[Finding]) -> None:
        self.everywhere_found += self._listed(findings)[0]

    def team(self, team: Team, *, since: int, expect: Head | None, progress: Progress) -> None:
        bar = progress.add_task(team.slug, total=last_head(team.pk).position, completed=since)
        reading = Reading(on_page=lambda position: progress.update(bar, completed=position))
        listed, count = self._listed(verify(team, since=since, expect=expect, noted=_noted(team), reading=reading))
        progress.remove_task(bar)
        head = reading.head
        verdict = {"findings": listed, "findings_total": count}
        self.teams.append({"team": team.slug, **asdict(head), "waiting": reading.waiting, **verdict})
        if not self.as_json:
            words = f"{count} findings" if count else "nothing was touched"
            waiting = f", {reading.waiting} events wait for their seal" if reading.waiting else ""
            self.out.write(f"{team.slug}: {words}. Head {head}{waiting}")

    def _listed(self, findings: Iterable[Finding]) -> tuple[list[dict[str, Any]], int]:
        listed, count = [], 0
        for finding in findings:
            count += 1
            if count <= MOST_LISTED:
                listed.append(asdict(finding))
                if not self.as_json:
                    self.out.write(_line(finding))
        if count > MOST_LISTED and not self.as_json:
            self.out.write(f"… and {count - MOST_LISTED} more")
        self.wrong += count
        return listed, count

    def end(self) -> None:
        if self.as_json:
            told = {"ok": not self.wrong, "findings": self.everywhere_found, "teams": self.teams}
            self.out.write(json.dumps(told, indent=2))


def _noted(team: Team) -> list[Head]:
    try:
        return noted_heads(team)
    except OSError as error:
        raise CommandError(f"The noted heads of {team.slug} cannot be read: {error}") from error


def _line(finding: Finding) -> str:
    where = [finding.team] if finding.team else []
    if finding.position is not None:
        where.append(f"position {finding.position}")
    if finding.event is not None:
        where.append(f"event {finding.event}")
    return f"{finding.kind}: {', '.join(where)}{': ' if where else ''}{finding.message}"


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _position(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text} is not a position in a chain")
    return int(text)


def _head(text: str) -> Head:
    position, _, digest = text.partition(":")
    if not re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},64}}", digest.lower()) and text != "0:":
        raise argparse.ArgumentTypeError(
            f"{text} is no head: POSITION:DIGEST, with {LEAST_DIGITS} hexadecimal digits of the digest at least"
        )
    return Head(_position(position), digest.lower())
