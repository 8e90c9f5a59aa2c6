"""manage.py retention: removes what the teams' policies no longer keep; --dry-run says what that would be."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import leftovers, retention
from jobs.models import Team


class Command(BaseCommand):
    help = "Removes files by the teams' retention policies, as the workers do once a minute. Records stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would go and how much; change nothing")
        parser.add_argument("--team", help="the slug of one team (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        teams = Team.objects.order_by("slug")
        if options["team"]:
            teams = teams.filter(slug=options["team"])
            if not teams:
                raise CommandError(f"there is no team {options['team']!r}")
        for team in teams:
            self._tell(team, with_files=options["dry_run"] and options["verbosity"] > 1)
        if options["dry_run"]:
            return
        removed = 0
        for team in teams:
            while marked := retention.mark_due(retention.policy_of(team)):
                removed += marked
        while retention.forget_contents() or leftovers.sweep():
            pass
        self.stdout.write(f"{removed} files removed")

    def _tell(self, team: Team, *, with_files: bool) -> None:
        for due in retention.due(team):
            if not due.files:
                continue
            self.stdout.write(f"{team.slug}: {due.rule.label}: {due.files} files, {due.size_bytes / 2**20:,.1f} MB")
            if with_files:
                for asset in retention.due_files(retention.policy_of(team), due.rule).iterator():
                    self.stdout.write(f"  {asset.storage_name} {asset.name} ({asset.size_bytes} bytes)")
        files, size_bytes = leftovers.waiting(team)
        if files:
            megabytes = f"{size_bytes / 2**20:,.1f} MB"
            self.stdout.write(
                f"{team.slug}: Contents that are nobody's since a day or less: {files} files, {megabytes}"
            )
