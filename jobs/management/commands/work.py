"""manage.py work: the workers of this machine, guarded."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from jobs.supervisor import Supervisor


class Command(BaseCommand):
    help = "Runs the workers of this machine until Ctrl-C: starts the cluster, sweeps, restarts what gets stuck."

    def handle(self, *args: Any, **options: Any) -> None:
        Supervisor().run()
