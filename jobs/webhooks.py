"""Sends a signed POST to an address that somebody typed in, without ever reaching into our own network.

Signatures follow Standard Webhooks. The name is resolved once, every address it stands for is checked, and the
connection goes to the address that was checked: a name that resolves differently a moment later changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import queue
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from standardwebhooks import Webhook

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SECONDS = 10.0
"""For the whole exchange, however slowly an answer drips."""
LOOK_UP_SECONDS = 5.0
"""For the name alone, of these."""
MOST_ANSWER_BYTES = 2_000
GONE = 410
NAT64 = ipaddress.ip_network("64:ff9b::/96")
TUNNELS = tuple(ipaddress.ip_network(text) for text in ("::/96", "2001::/32", "64:ff9b:1::/48", "fec0::/10"))
"""IPv6 forms that hide an IPv4 address, or were private once, and lead nowhere on today's internet."""


class Refused(Exception):
    """The address is not one that we send to."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the receiver said; ``status`` None when there was no answer. ``text`` is its beginning, or the error."""

    status: int | None
    text: str
    retry_after_seconds: float | None = None

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver says that it is there no more and wants nothing more."""
        return self.status == GONE


def check_url(url: str) -> SplitResult:
    """What can be said of an address without the network. Raises Refused with the reason."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"{url}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{url}: only http:// and https:// addresses with a host are possible.")
    if parts.username is not None or parts.password is not None:
        raise Refused("The address must not carry a user name or password.")
    if port == 0:
        raise Refused("There is no port 0.")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        literal = None
    if literal is not None:
        check_address(literal)
    if parts.scheme == "http" and not _allowed_networks():
        raise Refused("Use https: what is sent over http can be read by everybody on its way.")
    return parts


def check_address(address: Address) -> None:
    """Raises Refused for an address inside: loopback, private, link-local, shared, multicast, reserved or hidden."""
    if any(address in network for network in _allowed_networks() if network.version == address.version):
        return
    inner = _inner(address)
    if inner != address:
        check_address(inner)
    elif not address.is_global or address.is_multicast or address.is_reserved or _is_tunnel(address):
        raise Refused(f"{address} is not an address on the internet (WEBHOOK_ALLOWED_NETWORKS can allow it).")


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_tunnel(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and any(address in network for network in TUNNELS)


def _allowed_networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return list(settings.WEBHOOK_ALLOWED_NETWORKS)


def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    """The socket addresses behind a host, each of them checked. Raises Refused when one of them is inside."""
    try:
        found = _look_up(host, port)
    except (OSError, UnicodeError) as error:
        raise ConnectionError(f"{host} cannot be resolved: {error}") from None
    for sockaddr in found:
        check_address(ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]))
    return found


def _look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    """Raises TimeoutError: the system's look-up knows no limit, so it has a thread, which ends when it likes."""
    answers: queue.SimpleQueue[list[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put([sockaddr for *_, sockaddr in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name=f"look up {host[:40]}").start()
    try:
        answer = answers.get(timeout=LOOK_UP_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no name server answered within {LOOK_UP_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Pinned(http.client.HTTPConnection):
    """Connects to addresses that were checked, and knows the host's name for Host and for TLS alone."""

    def __init__(self, parts: SplitResult) -> None:
        assert parts.hostname is not None
        self._is_tls = parts.scheme == "https"
        self.default_port = http.client.HTTPS_PORT if self._is_tls else http.client.HTTP_PORT
        super().__init__(parts.hostname, parts.port or self.default_port, timeout=SECONDS)

    def connect(self) -> None:
        failure: OSError | None = None
        until = time.monotonic() + SECONDS
        for sockaddr in resolve(self.host, self.port):
            try:
                self.sock = socket.create_connection(sockaddr[:2], timeout=max(0.1, until - time.monotonic()))
            except OSError as error:
                failure = error
            else:
                break
        else:
            raise failure or ConnectionError(f"{self.host} has no address")
        if self._is_tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


@contextmanager
def _deadline(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Hangs up after SECONDS in all: a timeout of the socket alone starts anew with every byte."""

    def hang_up() -> None:
        if connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was over in this moment

    timer = threading.Timer(SECONDS, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def send(url: str, secrets: Sequence[str], *, message_id: uuid.UUID, payload: dict[str, Any]) -> Answer:
    """POSTs the payload as JSON, signed with each of the secrets. Never raises for what the other side does: an answer
    without status says what failed.

    Redirects are not followed: one leads wherever its sender likes, and a receiver that moved can be entered anew.
    """
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    try:
        parts = check_url(url)
        connection = _Pinned(parts)
        with _deadline(connection):
            target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request("POST", target, body.encode(), _headers(secrets, f"msg_{message_id.hex}", body))
            return _answer(connection.getresponse())
    except Refused as error:
        return Answer(status=None, text=f"not sent: {error}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(status=None, text=f"{type(error).__name__}: {error}"[:MOST_ANSWER_BYTES])


def _headers(secrets: Sequence[str], message_id: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "aeproject",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, body) for secret in secrets),
    }


def _answer(response: http.client.HTTPResponse) -> Answer:
    text = response.read(MOST_ANSWER_BYTES).decode("utf-8", "replace").replace("\0", "")
    if 300 <= response.status < 400:
        text = f"redirects are not followed: {response.headers.get('Location', '')}"[:MOST_ANSWER_BYTES]
    wait = response.headers.get("Retry-After", "")
    seconds = float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 7 else None
    return Answer(status=response.status, text=text, retry_after_seconds=seconds)
