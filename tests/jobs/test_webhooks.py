"""jobs.webhooks: signed, bounded in time, and never into our own network."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import ssl
import subprocess
import threading
import uuid

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from jobs import outbound, webhooks
from jobs.models.notice import new_secret
from jobs.outbound import Refused, check_address, check_url
from jobs.webhooks import send
from tests.jobs.receivers import PATIENCE_SECONDS, hang_up, receiving, status

SECRET = new_secret()
PAYLOAD = {"type": "test", "timestamp": "2026-01-01T00:00:00+00:00", "data": {"name": "Größe"}}


@pytest.fixture
def loopback(settings, monkeypatch):
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    monkeypatch.setattr(webhooks, "SECONDS", PATIENCE_SECONDS)  # no answer is late because this machine is slow


def post(url: str) -> webhooks.Answer:
    return send(url, [SECRET], message_id=uuid.UUID(int=7), sent_at=timezone.now(), payload=PAYLOAD)


def test_a_receiver_can_verify_what_it_gets(loopback):
    with receiving() as receiver:
        answer = post(receiver.url)
    assert answer.is_accepted
    (request,) = receiver.requests
    assert request["path"] == "/hook?to=a"
    assert Webhook(SECRET).verify(request["body"], request["headers"]) == PAYLOAD
    assert request["headers"]["webhook-id"] == f"msg_{uuid.UUID(int=7).hex}"
    assert request["headers"]["Host"] == receiver.url.split("/")[2]


def test_what_was_changed_on_the_way_does_not_verify(loopback):
    with receiving() as receiver:
        post(receiver.url)
    (request,) = receiver.requests
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(request["body"].replace(b"test", b"tset"), request["headers"])


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "fec0::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::7f00:1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1"),
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_an_address_inside_is_refused_in_every_form(address):
    with pytest.raises(Refused):
        check_address(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_an_address_on_the_internet_is_taken(address):
    check_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "x",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://",
            "https://a:b@example.com/",
            "https://[::1]/",
        ),
        *("https://127.0.0.1/", "https://169.254.169.254/latest", "https://example.com:99999/", "https://x:0/"),
        *("http://example.com/", "https://[", "gopher://example.com/", "//example.com"),
    ],
)
def test_an_address_that_is_no_webhook_is_refused(url):
    with pytest.raises(Refused):
        check_url(url)


def test_numbers_that_the_system_reads_as_addresses_are_refused():
    for host in ("2130706433", "0x7f000001", "127.1", "localhost", "0"):
        answer = post(f"https://{host}/")
        assert answer.status is None
        assert "not sent" in answer.text, host


def test_one_inner_address_among_outer_ones_is_enough_to_refuse(monkeypatch):
    def both(host, port, **more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert "10.0.0.1" in post("https://rebinding.example/").text


def test_a_name_that_changes_its_address_is_asked_once(loopback, monkeypatch):
    """DNS rebinding: the answer that was checked is the one that is connected to."""
    with receiving() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        asked = []

        def once(host, *_, **__):
            asked.append(host)
            second_time = asked.count("moving.example") > 1
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.255.255.1" if second_time else "127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", once)
        assert post(f"http://moving.example:{port}/").is_accepted
        assert asked.count("moving.example") == 1
    assert receiver.requests[0]["headers"]["Host"] == f"moving.example:{port}"


def test_a_name_server_that_is_silent_has_a_time_limit_of_its_own(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    monkeypatch.setattr(outbound, "LOOK_UP_SECONDS", 0.05)
    answer = post("https://silent.example/")
    over.set()
    assert answer.status is None
    assert "silent.example cannot be resolved: no name server answered within 0.05 s" in answer.text


def test_a_name_that_does_not_exist_is_told_as_before():
    assert "cannot be resolved" in post("https://nowhere.invalid/").text


def test_a_redirect_is_not_followed(loopback):
    with receiving() as inner, receiving() as receiver:
        receiver.replies = [status(302, Location=inner.url)]
        answer = post(receiver.url)
    assert (answer.status, answer.is_accepted) == (302, False)
    assert "not followed" in answer.text
    assert inner.requests == []


def test_errors_of_the_receiver_come_back_as_answers(loopback):
    with receiving() as receiver:
        receiver.replies = [status(500, "broken \0 here"), status(429, Retry_After="30"), hang_up]
        first, second, third = (post(receiver.url) for _ in range(3))
    assert (first.status, first.text) == (500, "broken  here")
    assert (second.status, second.retry_after_seconds) == (429, 30)
    assert third.status is None
    assert post(receiver.url).status is None  # nobody listens any more


def test_a_long_answer_is_cut(loopback):
    with receiving() as receiver:
        receiver.replies = [status(200, "x" * 100_000)]
        assert len(post(receiver.url).text) == webhooks.MOST_ANSWER_BYTES


def test_an_answer_that_drips_is_hung_up_on(loopback, monkeypatch):
    monkeypatch.setattr(webhooks, "SECONDS", 0.3)
    gate = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        while not gate.wait(0.05):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    with receiving() as receiver:
        receiver.replies = [drip]
        answer = post(receiver.url)
        gate.set()
    assert answer.status is None or len(answer.text) < 100


DRIPS = 60
"""Bytes of an answer that drips one by one, in 6 s: far more than it is given here."""


@pytest.mark.parametrize(
    ("scheme", "beginning"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
        ("http", b"HTTP/1.0 200 OK\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nX-Header: "),
        ("https", b"\x16\x03\x03\x40\x00"),
    ],
)
def test_whatever_drips_is_hung_up_on(loopback, monkeypatch, scheme, beginning):
    """Each byte would begin a socket's timeout anew: headers, a TLS handshake, an answer that the connection let go."""
    monkeypatch.setattr(webhooks, "SECONDS", 0.3)
    dripped = []

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(beginning)
            connection.settimeout(0.1)
            for _ in range(DRIPS):
                with contextlib.suppress(TimeoutError):
                    while connection.recv(4096):  # what it asks for, until it hangs up or is silent
                        pass
                    return
                connection.sendall(b"x")
                dripped.append(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=drip, args=[listener])
        server.start()
        post(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/")
        server.join()
    assert len(dripped) < DRIPS


@pytest.fixture
def tls(tmp_path):
    """A receiver at https://localhost, and its certificate, which nobody trusts yet."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    options = [
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", "req", *options, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with receiving(wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as receiver:
        receiver.url = receiver.url.replace("http://127.0.0.1", "https://localhost")
        yield receiver, certificate


def test_tls_is_checked_against_the_name(loopback, tls, monkeypatch):
    receiver, certificate = tls
    assert "CERTIFICATE_VERIFY_FAILED" in post(receiver.url.replace("localhost", "127.0.0.1")).text
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert "IP address mismatch" in post(receiver.url.replace("localhost", "127.0.0.1")).text
    monkeypatch.setattr(outbound, "resolve", lambda host, port: [("127.0.0.1", port)])
    assert post(receiver.url).is_accepted
    assert json.loads(receiver.requests[0]["body"]) == PAYLOAD


def test_what_is_sent_while_it_is_hung_up_on_is_encrypted_still(loopback, tls, monkeypatch):
    receiver, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(outbound, "resolve", lambda host, port: [("127.0.0.1", port)])
    connection = outbound._Pinned(outbound.check_url(receiver.url), PATIENCE_SECONDS)
    connection.connect()
    with contextlib.closing(connection):
        connection.hang_up()
        assert connection.wire.version(), "TLS was taken off the socket"
        with pytest.raises(OSError):
            connection.send(b"secret")
