"""manage.py cluster: what `work` starts, one for each queue. Run `work` instead, which guards it."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand

from jobs.clusters import READY_VARIABLE
from jobs.queue import run_cluster
from jobs.sandbox import PR_SET_PDEATHSIG


class Command(BaseCommand):
    help = "The cluster of workers of one queue, without a guard. Run `manage.py work` instead."

    def handle(self, *args: Any, **options: Any) -> None:
        # A supervisor that dies without a word takes its cluster along.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        run_cluster(_tell_the_supervisor)


def _tell_the_supervisor() -> None:
    pipe = os.environ.get(READY_VARIABLE)
    if pipe:
        os.write(int(pipe), b"1")
