"""manage.py cluster: what `work` starts, one for each queue. Run `work` instead, which guards it."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand

from jobs.clusters import READY_VARIABLE
from jobs.parentage import end_with_parent
from jobs.queue import run_cluster


class Command(BaseCommand):
    help = "The cluster of workers of one queue, without a guard. Run `manage.py work` instead."

    def handle(self, *args: Any, **options: Any) -> None:
        # A supervisor that dies without a word takes its cluster along.
        end_with_parent()
        run_cluster(_tell_the_supervisor)


def _tell_the_supervisor() -> None:
    pipe = os.environ.get(READY_VARIABLE)
    if pipe:
        os.write(int(pipe), b"1")
