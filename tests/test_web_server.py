"""gunicorn.conf.py: how the pages and the API are served, by the real gunicorn."""

from __future__ import annotations

import http.client
import runpy
import socket
from contextlib import ExitStack

from gunicorn.workers import gthread

from aeproject.benches.web_server import CONFIGURATION, HOST, served

PATIENCE_SECONDS = 60


def ask(port):
    client = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS)
    client.request("GET", "/api/")
    answer = client.getresponse()
    answer.read()
    return client, answer


def test_connections_on_which_nobody_asks_hold_up_nobody_else(monkeypatch, settings):
    settings.ALLOWED_HOSTS = [HOST]
    # A thread that takes a silent connection would wait for as long as this test runs.
    monkeypatch.setattr(gthread, "DEFAULT_WORKER_DATA_TIMEOUT", 10 * PATIENCE_SECONDS)
    with served(workers=1, threads=2) as server, ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(socket.create_connection((HOST, server.port)))
        _, answer = ask(server.port)
        assert answer.status == 401


def test_a_connection_is_kept_for_the_next_question(settings):
    settings.ALLOWED_HOSTS = [HOST]
    with served(workers=1) as server:
        client, answer = ask(server.port)
        assert answer.getheader("Connection") == "keep-alive"
        kept = client.sock
        client.request("GET", "/api/")
        assert client.getresponse().status == 401
        assert client.sock is kept


def test_a_kept_connection_outlives_the_idle_ones_of_proxies_and_our_own_polls():
    values = runpy.run_path(str(CONFIGURATION))
    assert values["keepalive"] > 60
    assert values["threads"] > 1
