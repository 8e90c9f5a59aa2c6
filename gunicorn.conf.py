"""How the pages and the API are served: gunicorn reads this file from the folder that it is started in."""

import os
import socket
from typing import Any

from gunicorn.glogging import Logger

from jobs.log_lines import chosen_formatter


class ServersLog(Logger):
    """Its lines look like all others, also before the application is loaded and in the process that never loads it."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(chosen_formatter())


logger_class = ServersLog
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
# Longer than pages and programs wait between two questions (2 to 30 s) and than proxies keep idle connections (60 s):
# whoever closes first must not be us, in the moment in which the other one asks.
keepalive = 75


def when_ready(server: Any) -> None:
    """A connection reaches us with its first bytes, not before.

    Browsers open connections ahead of what they will ask, and a program on a busy machine may take its time between
    connecting and asking. Each of these would hold a thread for five seconds: forty held up everybody for twenty.
    """
    for listener in server.LISTENERS:
        if listener.sock.family in (socket.AF_INET, socket.AF_INET6):
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 120)
