"""The figures of polling: a hundred programs ask the real web server every two seconds how far a batch is.

Database and server are of its own, made and removed; the real ones are not touched. Each program is one connection that
is kept, as browsers and HTTP libraries keep theirs, and sends the ETag of what it knows. Jobs move meanwhile.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from aeproject.benches.figures import Figure, database_of_its_own, silent_console
from aeproject.benches.pages import fill
from aeproject.benches.web_server import HOST, WebServer, served
from batches.models import Batch
from jobs.lifecycle import move
from jobs.models import Job, Membership, Team
from jobs.states import Role, State
from jobs.tokens import issue

CLIENTS, BATCHES = 100, 10
JOBS = 100_000
EVERY_SECONDS = 2.0
CHANGE_SECONDS = 1.0
MOST_MILLISECONDS = 500
MOST_STATEMENTS = 3
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Polled:
    """What the clients saw: ``took`` are seconds; ``opened`` counts connections."""

    took: list[float] = field(default_factory=list)
    answers: dict[int, int] = field(default_factory=dict)
    opened: int = 0
    seconds: float = 0.0

    def count(self, status: int, seconds: float) -> None:
        self.answers[status] = self.answers.get(status, 0) + 1
        self.took.append(seconds)

    def at(self, part: float) -> float:
        """Milliseconds within which so large a part was answered."""
        return 1_000 * sorted(self.took)[min(int(part * len(self.took)), len(self.took) - 1)]


def measure(seconds: float, *, jobs: int = JOBS) -> Iterator[Figure]:
    """Figure by figure, of so many seconds of polling."""
    with database_of_its_own():
        yield from measure_beside(fill(jobs), seconds)


def measure_beside(filled: list[Batch], seconds: float, *, clients: int = CLIENTS) -> Iterator[Figure]:
    """As ``measure``, in a database that is filled already."""
    with silent_console(), override_settings(ALLOWED_HOSTS=[HOST, "testserver"]):
        call_command("createcachetable", verbosity=0)
        batches = filled[:BATCHES]
        requests = [
            (f"/api/batches/{batches[number % len(batches)].pk}/progress/", token)
            for number, token in enumerate(_tokens(batches[0].team, clients))
        ]
        yield from _statements(*requests[0])
        with served() as server:
            before = server.cpu_seconds()
            polled = _poll(server, requests, batches, seconds)
            computed = server.cpu_seconds() - before
        yield from _figures(polled, computed, clients)


def _figures(polled: Polled, computed: float, clients: int) -> Iterator[Figure]:
    asked = len(polled.took)
    if not asked:
        raise CommandError("No client was answered.")
    strange = {status: count for status, count in polled.answers.items() if status not in (200, 304)}
    if strange:
        raise CommandError(f"Not every poll was answered with 200 or 304: {strange}")

    def figure(what: str, value: float, unit: str, most: float | None = None) -> Figure:
        return Figure(what=what, value=value, unit=unit, most=most)

    yield figure(f"polls of {clients} clients", asked / polled.seconds, "requests/s")
    yield figure("of these 304", 100 * polled.answers.get(304, 0) / asked, "%")
    yield figure("the server's computing for each", 1_000 * computed / asked, "ms")
    yield figure("answered within, half of them", 1_000 * statistics.median(polled.took), "ms")
    yield figure("answered within, 95 of 100", polled.at(0.95), "ms", MOST_MILLISECONDS)
    yield figure("the slowest", polled.at(1), "ms")
    yield figure("connections opened", polled.opened, "", clients)


def _tokens(team: Team, clients: int) -> list[str]:
    """A token for each client, of ten people."""
    people = [User.objects.create_user(f"watcher-{number}") for number in range(10)]
    Membership.objects.bulk_create(Membership(team=team, user=user, role=Role.VIEWER) for user in people)
    return [issue(people[number % len(people)], name=f"client {number}")[1] for number in range(clients)]


def _statements(address: str, token: str) -> Iterator[Figure]:
    """What one poll asks of the database."""
    client = Client(headers={"Authorization": f"Bearer {token}"})
    etag = client.get(address)["ETag"]
    known: dict[int, dict[str, str]] = {200: {}, 304: {"If-None-Match": etag}}
    for status, headers in known.items():
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(address, headers=headers)
        if answer.status_code != status:
            raise CommandError(f"{address} answered {answer.status_code}, not {status}")
        yield Figure(what=f"statements for a {status}", value=len(asked), unit="", most=MOST_STATEMENTS)


# Clients --------------------------------------------------------------------------------------------------------------
def _poll(server: WebServer, requests: list[tuple[str, str]], batches: list[Batch], seconds: float) -> Polled:
    """The clients are a process of their own, so that what we do meanwhile is not in their times."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    connection.close()
    clients = multiprocessing.get_context("fork").Process(
        target=_clients, args=(theirs, server.port, requests, seconds)
    )
    clients.start()
    theirs.close()
    try:
        with _moving(batches):
            polled: Polled = ours.recv()
    except EOFError:
        raise CommandError("The clients failed.") from None
    finally:
        clients.join()
    return polled


@contextmanager
def _moving(batches: list[Batch]) -> Iterator[None]:
    """Holds a job of one of the batches every now and then."""
    over = threading.Event()

    def work() -> None:
        try:
            jobs = Job.objects.filter(batch__in=batches, state__in=(State.PENDING, State.IN_REVIEW)).order_by("?")
            for job in list(jobs[:1_000]):
                move(job, "hold", reason="measured")
                if over.wait(CHANGE_SECONDS):
                    break
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as threads:
        moves = threads.submit(work)
        try:
            yield
        finally:
            over.set()
            moves.result()


def _clients(to: Connection, port: int, requests: list[tuple[str, str]], seconds: float) -> None:
    to.send(asyncio.run(_all(port, requests, seconds)))
    to.close()


async def _all(port: int, requests: list[tuple[str, str]], seconds: float) -> Polled:
    polled = Polled()
    began = time.perf_counter()
    await asyncio.gather(*(_client(port, address, token, began + seconds, polled) for address, token in requests))
    polled.seconds = time.perf_counter() - began
    return polled


async def _client(port: int, address: str, token: str, until: float, polled: Polled) -> None:
    """Asks every two seconds, from a moment of its own on, and at least once."""
    due = time.perf_counter() + random.uniform(0, EVERY_SECONDS)  # noqa: S311 - spreads the load
    etag = ""
    streams: Streams | None = None
    asked = False
    while due < until or not asked:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        known = f"If-None-Match: {etag}\r\n" if etag else ""
        request = f"GET {address} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{known}\r\n".encode()
        began = time.perf_counter()
        answer = await _exchange(streams, request) if streams else None
        if answer is None:
            streams = await asyncio.open_connection(HOST, port)
            polled.opened += 1
            answer = await _exchange(streams, request)
        if answer is None:
            raise ConnectionError("the server hung up before it answered")
        status, headers = answer
        polled.count(status, time.perf_counter() - began)
        asked = True
        etag = headers.get("etag", etag)
        due = max(due + EVERY_SECONDS, time.perf_counter())
    if streams:
        streams[1].close()


async def _exchange(streams: Streams, request: bytes) -> tuple[int, dict[str, str]] | None:
    """Status and headers of the answer, its body read; None when the connection was closed meanwhile."""
    reader, writer = streams
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except (ConnectionError, asyncio.IncompleteReadError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":")[::2] for line in lines if line)
    headers = {name.lower(): value.strip() for name, value in pairs}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers
