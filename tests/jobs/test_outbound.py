"""jobs.outbound: what whoever reads is told of an answer that came too late."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading

import pytest

from jobs.outbound import answered

SECONDS = 0.3


@pytest.mark.parametrize("length", [b"", b"Content-Length: 99999999\r\n"])
def test_who_reads_on_after_the_hang_up_is_told_that_it_was_late(settings, length):
    """What still arrives at a socket that was hung up on resets it: the reader meets that, and not an end."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    refused = threading.Event()

    def never_end(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
            while True:
                connection.sendall(b"x")
        refused.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=never_end, args=[listener], daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimeoutError, match=r"more than 0.3 s"):
            read_late(url, refused)


def read_late(url: str, refused: threading.Event) -> bytes:
    with answered("GET", url, headers={}, seconds=SECONDS) as response:
        assert refused.wait(60)
        return response.read()
