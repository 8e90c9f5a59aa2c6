"""manage.py cluster: what `work` starts. Run `work` instead, which guards it."""

from __future__ import annotations

import ctypes
import signal
from typing import Any

from django.core.management.base import BaseCommand

from jobs.queue import run_cluster
from jobs.sandbox import PR_SET_PDEATHSIG


class Command(BaseCommand):
    help = "One cluster of workers, without a guard. Run `manage.py work` instead."

    def handle(self, *args: Any, **options: Any) -> None:
        # A supervisor that dies without a word takes its cluster along.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        run_cluster()
