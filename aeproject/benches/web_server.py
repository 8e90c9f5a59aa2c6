"""The real web server for the benches: gunicorn with the settings of ``gunicorn.conf.py``, on a port of its own.

It is forked from us, so that it serves the database and the folders that the bench made.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections

HOST = "127.0.0.1"
WAIT_SECONDS = 120.0
BACKLOG = 2048
"""As gunicorn gives to sockets that it opens itself."""
CONFIGURATION = Path(settings.BASE_DIR) / "gunicorn.conf.py"


@dataclass(frozen=True)
class WebServer:
    """``master`` is the process id of the one that starts those that answer."""

    port: int
    master: int

    @property
    def workers(self) -> tuple[int, ...]:
        """The process ids of those that answer."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children")
        return tuple(map(int, children.read_text().split()))

    def cpu_seconds(self) -> float:
        """What the workers have computed so far."""
        return sum(_cpu_seconds(worker) for worker in self.workers)


@contextmanager
def served(**other: Any) -> Iterator[WebServer]:
    """Runs the server meanwhile; ``other`` are settings of gunicorn that differ from those of the deployment."""
    listening = socket.create_server((HOST, 0), backlog=BACKLOG)
    listening.set_inheritable(True)
    connections.close_all()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listening.fileno(), other))
    process.start()
    assert process.pid is not None
    server = WebServer(port=listening.getsockname()[1], master=process.pid)
    try:
        _wait_for(server, process)
        yield server
    finally:
        process.terminate()
        process.join()
        listening.close()


def _serve(descriptor: int, other: dict[str, Any]) -> None:
    from gunicorn.app.base import Application

    from aeproject.benches.figures import silent_console
    from aeproject.wsgi import application

    class Server(Application):  # type: ignore[misc]
        def load_config(self) -> None:
            self.load_config_from_file(str(CONFIGURATION))
            for name, value in {"bind": f"fd://{descriptor}", "loglevel": "warning", **other}.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return application

    with silent_console():  # the application has set up its log anew
        Server().run()


def _wait_for(server: WebServer, process: BaseProcess) -> None:
    """Until somebody answers."""
    until = time.monotonic() + WAIT_SECONDS
    while process.is_alive() and not server.workers and time.monotonic() < until:
        time.sleep(0.05)
    if not process.is_alive() or not server.workers:
        raise CommandError("gunicorn did not start.")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
