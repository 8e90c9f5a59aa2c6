"""manage.py deliver: what `work` starts beside the clusters to send webhooks and e-mail."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from jobs.courier import carry


class Command(BaseCommand):
    help = "Sends webhooks and e-mail until Ctrl-C. `manage.py work` runs it; by itself it is for a machine of its own."
    # The checks load every page and every stage, which this process never needs.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        carry()
