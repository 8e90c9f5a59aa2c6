"""jobs.clock: machines whose clocks are wrong by minutes, and the database's time that they all go by."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from batches.bundles.sharing import share
from batches.models import ShareLink
from jobs import clock, overdue
from jobs.lifecycle import move
from jobs.models import AccessToken, Event, Job, Notice, Team
from jobs.states import Stage, State
from jobs.tokens import issue
from tests.batches.bundles.stock import store
from tests.people import make_job

ROOT = Path(__file__).resolve().parent.parent
LOCAL = {
    "jobs/clock.py": "SQLite's file is on this machine",
    "jobs/storage_check.py": "compared with the times of files",
    "jobs/object_storage.py": "compared with the bucket's times",
    "jobs/stage_process.py": "lines of a log",
    "aeproject/management/commands/chaos.py": "the heading of a report",
}
A_MINUTE = timedelta(minutes=1)
OFF = pytest.mark.parametrize("minutes", [-10, 10])
postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's clock is the machine's")


@pytest.fixture
def on_machine(monkeypatch):
    """Sets this process's clock wrong, by minutes from the right time."""
    moment, seconds = timezone.now, time.time

    def set_wrong(minutes: int) -> None:
        monkeypatch.setattr(timezone, "now", lambda: moment() + timedelta(minutes=minutes))
        monkeypatch.setattr(time, "time", lambda: seconds() + 60 * minutes)

    return set_wrong


def databases_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def is_the_databases(moment: datetime) -> bool:
    """Never ahead of the database, whatever happened; behind it by less than what a busy machine may take to read."""
    there = databases_time()
    return there - A_MINUTE < moment <= there


# What people and programs see -----------------------------------------------------------------------------------------
@postgresql
@OFF
@pytest.mark.django_db
def test_a_token_ends_by_the_databases_time(people, on_machine, minutes):
    on_machine(minutes)
    token, secret = issue(people.rita, name="nightly", days=1)
    assert is_the_databases(token.expires_at - timedelta(days=1))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    for left, status, listed in ((5, 200, 1), (-5, 401, 0)):
        AccessToken.objects.update(expires_at=Now() + left * A_MINUTE)
        assert client.get("/api/me/").status_code == status
        assert AccessToken.objects.get().state == ("active" if listed else "expired")
    assert is_the_databases(AccessToken.objects.get().last_used_at)


@postgresql
@OFF
@pytest.mark.django_db
def test_a_link_ends_by_the_databases_time(client, people, batch, tmp_path, on_machine, minutes):
    cache.clear()
    store(tmp_path, make_job(batch, Stage.DELIVERY, State.DONE), "layer", "photo.png", b"layer")
    on_machine(minutes)
    link, secret = share(people.olga, batch, kinds=["working"], days=1)
    assert is_the_databases(link.expires_at - timedelta(days=1))
    for left, status in ((5, 200), (-5, 404)):
        ShareLink.objects.update(expires_at=Now() + left * A_MINUTE)
        assert client.get(reverse("share", args=[secret])).status_code == status


@postgresql
@pytest.mark.django_db
def test_what_machines_with_wrong_clocks_do_is_told_in_order(client, people, batch, on_machine):
    job = make_job(batch, Stage.INGESTION, State.PENDING)
    for minutes, verb in ((10, "start"), (-10, "claim"), (10, "fail"), (0, "retry"), (-10, "cancel")):
        on_machine(minutes)
        move(job, verb, actor=people.olga)
    in_time = list(Event.objects.order_by("at").values_list("verb", flat=True))
    assert in_time == ["start", "claim", "fail", "retry", "cancel"]
    job.refresh_from_db()
    assert is_the_databases(job.moved_at)
    assert is_the_databases(job.finished_at)
    client.force_login(people.vera)
    html = client.get(reverse("admin:history")).content.decode()
    shown = [datetime.fromisoformat(text) for text in re.findall(r'<time datetime="([^"]+)"', html)]
    assert len(shown) == 5
    assert shown == sorted(shown, reverse=True)


@postgresql
@OFF
@pytest.mark.django_db
def test_nobody_is_told_too_early_or_too_late_of_what_waits(people, batch, settings, on_machine, minutes):
    settings.WAITING_HOURS = 1
    on_machine(minutes)
    make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    for waited, told in ((55, 0), (65, 1)):
        Job.objects.update(moved_at=Now() - waited * A_MINUTE)
        assert overdue.tell_overdue() == told
    assert is_the_databases(Notice.objects.get().told_at)


# The module -----------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has a clock of its own")
@OFF
def test_on_sqlite_the_machines_clock_is_the_databases(on_machine, minutes):
    before = timezone.now()
    on_machine(minutes)
    assert 9 * A_MINUTE < abs(clock.now() - before) < 11 * A_MINUTE


@postgresql
@pytest.mark.django_db
def test_what_is_due_from_now_on_is_due_in_the_database(blue):
    moments = [clock.now() for _ in range(100)]
    Team.objects.update(created_at=moments[-1])
    assert Team.objects.filter(created_at__lte=Now(), pk=blue.pk).exists()
    assert moments == sorted(moments)
    assert moments[0].utcoffset() == timedelta(0)


@postgresql
@pytest.mark.django_db(transaction=True)
def test_the_database_is_asked_when_a_connection_opens_and_then_no_more(on_machine, blue):
    connection.close()
    on_machine(10)
    assert is_the_databases(clock.now())  # it opened one
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            clock.now()
    assert not queries.captured_queries
    first = connection.clock_reading
    connection.close()
    assert Team.objects.filter(pk=blue.pk, created_at__lte=Now()).exists()
    assert connection.clock_reading.at > first.at


@postgresql
@pytest.mark.django_db(transaction=True)
def test_an_old_reading_is_taken_anew_but_not_in_a_transaction(monkeypatch):
    clock.now()
    monkeypatch.setattr(clock, "READ_AGAIN_SECONDS", -1.0)
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        clock.now()
    assert not queries.captured_queries
    with CaptureQueriesContext(connection) as queries:
        clock.now()
    assert [query["sql"] for query in queries.captured_queries] == ["SELECT clock_timestamp()"]


@postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_is_read_again_when_it_is_remade(on_machine):
    on_machine(-10)
    clock.now()
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    assert is_the_databases(clock.now())


@postgresql
@pytest.mark.django_db(transaction=True)
def test_threads_and_forked_children_read_their_own(on_machine):
    on_machine(10)
    seen: list[bool] = []

    def look() -> None:
        try:
            seen.append(is_the_databases(clock.now()))
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4
    connection.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if is_the_databases(clock.now()) else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_clock_of_the_machine_is_read_where_nothing_of_the_database_is_compared():
    own = re.compile(r"timezone\.now\b|datetime\.now\(|utcnow|date\.today|localdate\(\)|timezone import .*\bnow\b")
    apps = ("aeproject", "batches", "jobs", "review", "rendering")
    found = {
        path.relative_to(ROOT).as_posix()
        for app in apps
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and own.search(path.read_text(encoding="utf-8"))
    }
    assert found == set(LOCAL)
