"""The figures of the batch pages beside 100,000 jobs: server time and queries of the list and of a batch.

In a database of its own, made and removed as the tests' is; the real one is not touched.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aeproject.benches.figures import Figure, copy_rows, database_of_its_own, silent_console
from batches.models import Batch
from jobs.models import Job, Membership, StageRun, Team
from jobs.states import Role

LARGE, SMALL = 10, 600
"""Batches that share the jobs: the large ones have two fifths of them."""
ROUNDS = 5
MOST_MILLISECONDS, MOST_QUERIES = 150, 12
ADDRESSES = {
    "the list": "?",
    "its last page": "?page=9999",
    "of 200 batches": "?size=200",
    "largest first": "?sort=-size",
    "most files first": "?sort=-files",
    "by state": "?sort=state",
    "the failed": "?state=failed",
    "of a client": "?client=Client+7",
    "with urgent jobs": "?priority=urgent",
    "of a day": "?since=2020-01-01&until=2100-01-01",
    "search": "?q=job-9999",
}


def measure(jobs: int) -> Iterator[Figure]:
    """Figure by figure, beside so many jobs."""
    with database_of_its_own():
        yield from measure_beside(fill(jobs))


def measure_beside(batches: list[Batch]) -> Iterator[Figure]:
    """As ``measure``, in a database that is filled already."""
    most = 0
    with silent_console(), override_settings(ALLOWED_HOSTS=["testserver"], SECURE_SSL_REDIRECT=False):
        call_command("createcachetable", verbosity=0)
        client = Client()
        client.force_login(User.objects.get(username="olga"))
        for what, address, status in _asked(client, batches[0]):
            figure, queries = _page(client, what, address, status)
            most = max(most, queries)
            yield figure
    yield Figure(what="the most queries of a page", value=most, unit="", most=MOST_QUERIES)


def _asked(client: Client, large: Batch) -> Iterator[tuple[str, str, int]]:
    """What is asked for, its address, and the status that it is answered with."""
    for what, query in ADDRESSES.items():
        yield f"the batches: {what}", reverse("admin:batches") + query, 200
    yield "jobs inside a row", reverse("admin:batch_inside", args=[large.pk]), 200
    size = f"{large.jobs.count():,}"
    page = reverse("admin:batch", args=[large.pk])
    yield f"a batch of {size}", page, 200
    seen = re.findall(r'class="seen" name="(\w+)" value="([^"]*)"', client.get(page).content.decode())
    yield (
        f"asking a batch of {size} for news",
        f"{reverse('admin:batch_changes', args=[large.pk])}?{urlencode(seen)}",
        204,
    )


def _page(client: Client, what: str, address: str, status: int) -> tuple[Figure, int]:
    """The median of some requests in milliseconds, and the queries of one of them."""
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        client.get(address)
    queries = len(asked)
    took, computed = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.process_time()
        answer = client.get(address)
        took.append(1_000 * (time.perf_counter() - began))
        computed.append(1_000 * (time.process_time() - worked))
        if answer.status_code != status:
            raise CommandError(f"{address} answered {answer.status_code}, not {status}")
    name = f"{what} ({queries} queries)"
    cpu = statistics.median(computed)
    return Figure(what=name, value=statistics.median(took), cpu=cpu, unit="ms", most=MOST_MILLISECONDS), queries


def fill(jobs: int) -> list[Batch]:
    """Batches with jobs in every state, written by the database from one example."""
    team = Team.objects.create(name="Bench", slug="bench")
    user = User.objects.create_user("olga", password=None, is_staff=True)
    Membership.objects.create(team=team, user=user, role=Role.OPERATOR)
    for number in range(LARGE + SMALL):
        Batch.objects.create(team=team, prefix=f"C_{'ABCDEFGHIJ'[number % 10]}", created_by=user)
    batches = list(Batch.objects.order_by("id"))
    example = Job.objects.create(
        team=team, batch=batches[0], job_id="example", psd_path="a.psd", project_path="a.aepx", output_name="example"
    )
    first, large = batches[0].pk, jobs * 2 // 5
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})"  # noqa: S608 - our own
    states = ["done", "done", "done", "in_review", "failed", "cancelled", "pending", "queued"]
    # A batch has one state throughout, but for every tenth job: so that batches of every state occur.
    cases = " ".join(f"WHEN {at} THEN '{state}'" for at, state in enumerate(states))
    where = f"CASE WHEN n.i <= {large} THEN n.i % {LARGE} ELSE {LARGE} + n.i % {SMALL} END"
    other = {
        "batch_id": f"{first} + {where}",
        "job_id": "'job-' || n.i",
        "output_name": "'output-' || n.i || '.aep'",
        "client_name": "'Client ' || (n.i % 200)",
        "project_path": "'t/template-' || (n.i % 20) || '.aepx'",
        "priority": "CASE WHEN n.i % 5000 = 0 THEN 0 ELSE 2 END",
        "stage": "CASE WHEN n.i % 10 = 0 THEN 1 + n.i % 4 ELSE 4 END",
        "state": f"CASE (CASE WHEN n.i % 10 = 0 THEN n.i ELSE {where} END) % {len(states)} {cases} END",
        "bytes_in": "1000000 + n.i",
        "bytes_out": "n.i",
    }
    runs = {
        "job_id": "j.id",
        "batch_id": "j.batch_id",
        "team_id": "j.team_id",
        "input_hash": "'h' || j.id",
        "stage": "j.stage",
        "state": "CASE j.state WHEN 'queued' THEN 'queued' WHEN 'failed' THEN 'failed' ELSE 'done' END",
    }
    run = StageRun.objects.create(job=example, stage=1, input_hash="example")
    StageRun.objects.filter(pk=run.pk).update(started_at=run.queued_at, ended_at=run.queued_at)
    with connection.cursor() as cursor:
        source = f"{numbers} SELECT {{}} FROM jobs_job t, n WHERE t.id = {example.pk}"  # noqa: S608 - our own
        copy_rows(cursor, Job, other, source)
        source = f"SELECT {{}} FROM jobs_stagerun t, jobs_job j WHERE t.id = {run.pk} AND j.id > {example.pk}"  # noqa: S608
        copy_rows(cursor, StageRun, runs, source)
        StageRun.objects.filter(pk=run.pk).delete()
        Job.objects.filter(pk=example.pk).delete()
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")  # as its own housekeeping would have done by then
    assert settings.DEBUG is False, "measured without DEBUG only"
    return batches
