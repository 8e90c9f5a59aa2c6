"""jobs.outbound: what whoever reads is told of an answer that came too late."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from email.message import Message

import pytest

from jobs import outbound
from jobs.outbound import answered, retry_after_seconds

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
            # Until the hang-up: what comes before it fills the socket's buffer, and then nothing arrives any more.
            while connection.recv(1_000):
                pass
            while True:
                connection.sendall(b"x")
        refused.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=never_end, args=[listener], daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimeoutError, match=r"more than 0.3 s"):
            read_late(url, refused)


def test_an_answer_is_late_by_the_clock_though_nobody_has_hung_up_yet(settings, monkeypatch):
    """A busy machine: the socket's own time is over before the thread that hangs up has its turn."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    monkeypatch.setattr("jobs.outbound._Pinned.hang_up", lambda connection: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimeoutError, match=r"more than 0.3 s"):
            read_late(url, threading.Event())


def read_late(url: str, refused: threading.Event) -> bytes:
    with answered("GET", url, headers={}, seconds=SECONDS) as response:
        assert refused.wait(60)
        return response.read()


def test_a_connection_that_comes_about_when_the_time_is_over_is_hung_up_on_too(settings, monkeypatch):
    """The name server was slow: there was nothing to hang up on when the time was over, and later nobody would."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    over = threading.Event()
    hang_up, resolve = outbound._Pinned.hang_up, outbound.resolve
    monkeypatch.setattr(outbound._Pinned, "hang_up", lambda self: (hang_up(self), over.set()))
    monkeypatch.setattr(outbound, "resolve", lambda *where: over.wait(60) and resolve(*where))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimeoutError, match=r"more than 0.3 s"):
            read_late(url, over)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b"", "it asked, and would have read for as long as anything came"


NOW = "Wed, 05 Nov 2025 09:30:00 GMT"


@pytest.mark.parametrize(
    ("told", "date", "seconds"),
    [
        ("120", NOW, 120),
        (" 120 ", "", 120),
        ("Wed, 05 Nov 2025 09:32:00 GMT", NOW, 120),
        ("Wed, 05 Nov 2025 09:29:00 GMT", NOW, 0),
        ("Wed, 05 Nov 2025 09:32:00 GMT", "", None),
        ("Wed, 05 Nov 2025 09:32:00 GMT", "Wed, 05 Nov 2025 09:30:00 -0000", None),
        ("1234567", NOW, None),
        ("-5", NOW, None),
        ("soon", NOW, None),
        ("", NOW, None),
    ],
)
def test_when_to_come_back_is_read_as_seconds_and_as_a_moment(told, date, seconds):
    headers = Message()
    headers["Retry-After"], headers["Date"] = told, date
    assert retry_after_seconds(headers) == seconds
    assert retry_after_seconds({"retry-after": told, "date": date}) == seconds
