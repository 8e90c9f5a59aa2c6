"""A real HTTP receiver and a real SMTP server on loopback, for the tests of what goes out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

Reply = Callable[[BaseHTTPRequestHandler], None]
PATIENCE_SECONDS = 60


@dataclass
class Receiver:
    """What arrived, and what is answered: ``replies`` are used up one by one, then it is 204."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)


def status(code: int, body: str = "", **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return reply


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


@contextmanager
def nobody() -> Iterator[int]:
    """A port of loopback at which nobody listens. It is nobody else's meanwhile, and free for ``receiving``."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def receiving(port: int = 0, *, wrap: Callable[[Any], Any] | None = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
            (receiver.replies.pop(0) if receiver.replies else status(204))(self)

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?to=a"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


class _Mailbox:
    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.refusals: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        self.envelopes.append(envelope)
        return "250 OK"


class _AnyPort(Controller):
    """Takes the free port that the system gives."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(settings: Any) -> Iterator[_Mailbox]:
    """Points Django's SMTP backend at a server of our own."""
    mailbox = _Mailbox()
    controller = _AnyPort(mailbox, hostname="127.0.0.1", port=0, ready_timeout=PATIENCE_SECONDS)
    controller.start()
    settings.EMAIL_TIMEOUT = PATIENCE_SECONDS
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = controller.hostname, controller.port
    try:
        yield mailbox
    finally:
        controller.stop(no_assert=True)
