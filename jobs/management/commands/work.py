"""manage.py work: the workers of this machine, guarded."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.states import QUEUES, Queue
from jobs.supervisor import Supervisor, usual_queues


class Command(BaseCommand):
    help = "Runs the workers of this machine until Ctrl-C: one cluster a queue, swept, watched, restarted when stuck."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues",
            type=_queues,
            metavar="NAMES",
            help=f"of {','.join(QUEUES)}; without it those that have workers here",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        queues = usual_queues() if options["queues"] is None else options["queues"]
        idle = [queue for queue in queues if not settings.QUEUE_WORKERS[queue]]
        if idle:
            raise CommandError(f"no workers for {', '.join(idle)}: set WORKERS_{idle[0].upper()}")
        if not queues:
            raise CommandError("no queue to serve: WORKERS_LIGHT, WORKERS_HEAVY and WORKERS_IO are 0")
        Supervisor(queues).run()


def _queues(value: str) -> tuple[Queue, ...]:
    try:
        named = {Queue(name.strip()) for name in value.split(",")}
    except ValueError as error:
        raise CommandError(f"{error}; there are {', '.join(QUEUES)}") from None
    return tuple(queue for queue in QUEUES if queue in named)
