"""HTTP to addresses that somebody typed in, or that were answered: never into our own network, never without an end.

The name is resolved once, every address it stands for is checked, and the connection goes to the address that was
checked: a name that resolves differently a moment later changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LOOK_UP_SECONDS = 5.0
"""For the name alone, of the seconds of an exchange."""
PIECE_BYTES = 2**16
NAT64 = ipaddress.ip_network("64:ff9b::/96")
TUNNELS = tuple(ipaddress.ip_network(text) for text in ("::/96", "2001::/32", "64:ff9b:1::/48", "fec0::/10"))
"""IPv6 forms that hide an IPv4 address, or were private once, and lead nowhere on today's internet."""


class Refused(Exception):
    """The address is not one that we send to."""


class TooLarge(Exception):
    """The answer has more bytes than were asked for."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Message
    body: bytes


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

    def __init__(self, parts: SplitResult, seconds: float) -> None:
        assert parts.hostname is not None
        self._is_tls = parts.scheme == "https"
        self.until = time.monotonic() + seconds
        self.default_port = http.client.HTTPS_PORT if self._is_tls else http.client.HTTP_PORT
        self.wire: socket.socket | None = None
        self.is_late = False
        super().__init__(parts.hostname, parts.port or self.default_port, timeout=seconds)

    def connect(self) -> None:
        failure: OSError | None = None
        for sockaddr in resolve(self.host, self.port):
            try:
                left = max(0.1, self.until - time.monotonic())
                self.sock = socket.create_connection(sockaddr[:2], timeout=left)
            except OSError as error:
                failure = error
            else:
                break
        else:
            raise failure or ConnectionError(f"{self.host} has no address")
        if self._is_tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.wire = self.sock
        if self.is_late:
            raise TimeoutError  # the time was over before there was anything to hang up on
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def hang_up(self) -> None:
        """From another thread. The answer may hold the socket when the connection has let go of it."""
        self.is_late = True
        if self.wire is not None:
            try:
                # Not SSLSocket's own, which takes TLS off first: what is being sent could go out as plain text.
                socket.socket.shutdown(self.wire, socket.SHUT_RDWR)
            except OSError:
                return  # it was over in this moment


@contextmanager
def answered(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, seconds: float
) -> Iterator[http.client.HTTPResponse]:
    """Sends one request and gives its answer to read, as far as it comes within ``seconds`` in all.

    Redirects are not followed. Raises Refused, OSError, HTTPException, ValueError; TimeoutError when it is late. A
    timeout of the socket alone would start anew with every byte, so that the connection is hung up on when the time is
    over: whoever reads then meets an end, or an error that differs with the moment.
    """
    parts = check_url(url)
    connection = _Pinned(parts, seconds)
    timer = threading.Timer(seconds, connection.hang_up)
    timer.daemon = True
    timer.start()
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request(method, target, body, dict(headers))
        yield connection.getresponse()
    except (OSError, http.client.HTTPException):
        # By the clock: the socket's own time may be over before the thread that hangs up has had its turn.
        if not connection.is_late and time.monotonic() < connection.until:
            raise
        raise _late(seconds) from None
    finally:
        timer.cancel()
        connection.close()


def exchange(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, seconds: float, most_bytes: int
) -> Reply:
    """One request and its whole answer. Raises what ``answered`` raises, and TooLarge."""
    until = time.monotonic() + seconds
    with answered(method, url, headers=headers, body=body, seconds=seconds) as response:
        content = bytearray()
        while piece := response.read(PIECE_BYTES):
            content += piece
            if len(content) > most_bytes:
                raise TooLarge
        if time.monotonic() >= until:
            raise _late(seconds)
        if response.length:
            # The standard library tells so only to those who read all at once.
            raise http.client.IncompleteRead(bytes(content[:100]), response.length)
        return Reply(status=response.status, headers=response.headers, body=bytes(content))


def _late(seconds: float) -> TimeoutError:
    return TimeoutError(f"the answer took more than {seconds:g} s")


def retry_after_seconds(headers: Message | Mapping[str, str]) -> float | None:
    """What an answer says about when to come back; None when it says nothing that can be understood.

    A moment is counted from the answer's own ``Date``: what its clock says is its own affair. ``headers`` that tell
    large letters from small ones have their names in small ones.
    """
    wait = headers.get("retry-after", "").strip()
    if wait.isascii() and wait.isdecimal():
        return float(wait) if len(wait) < 7 else None
    try:
        passed = parsedate_to_datetime(wait) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, passed.total_seconds())
