"""review.dashboard: the page, and the sections that are sent again only when they changed."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.models import Asset, Job, StageRun
from jobs.states import Stage, State
from review.waiting import waiting_for
from tests.people import make_job

pytestmark = pytest.mark.django_db


def page(client, user):
    client.force_login(user)
    return client.get(reverse("admin:index"))


def changes(client, seen=()):
    return client.get(reverse("admin:dashboard_changes"), {"seen": list(seen)}, headers={"HX-Request": "true"})


def seen_in(response):
    return re.findall(r'name="seen" value="([^"]+)"', response.content.decode())


def run_of(job, **fields):
    values = {
        "state": StageRun.RUNNING,
        "token": uuid.uuid4(),
        "lease_owner": "render-1:7",
        "lease_expires_at": timezone.now() + timedelta(seconds=30),
        "started_at": timezone.now(),
        "step": "drawing frame 12 of 300",
        "percent": 4.0,
        **fields,
    }
    return StageRun.objects.create(job=job, stage=job.stage, input_hash="x", **values)


def test_the_dashboard_counts_the_jobs_of_my_teams_alone(client, people, batch, red):
    make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    make_job(batch, Stage.DELIVERY, State.DONE)
    html = page(client, people.vera).content.decode()
    assert re.search(r'id="count-awaiting_review".*?stat-number">2<', html, re.S)
    assert re.search(r'id="count-completed".*?stat-number">1<', html, re.S)
    html = page(client, people.oscar).content.decode()
    assert re.search(r'id="count-awaiting_review".*?stat-number">0<', html, re.S)


def test_counts_lead_to_the_jobs_behind_them(client, people, batch):
    job = make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    other = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    html = page(client, people.vera).content.decode()
    address = re.search(r'id="count-awaiting_approval" href="([^"]+)"', html)[1]
    listed = client.get(address).content.decode()
    assert job.job_id in listed
    assert f">{other.job_id}<" not in listed
    address = re.search(r'id="stage-2" href="([^"]+)"', html)[1].replace("&amp;", "&")
    assert f">{other.job_id}<" in client.get(address).content.decode()


def test_anonymous_people_are_led_to_the_login(client, db):
    for name in ("admin:index", "admin:dashboard_changes"):
        response = client.get(reverse(name))
        assert (response.status_code, response.url.split("?")[0]) == (302, reverse("admin:login"))


def test_posting_is_not_allowed(client, people):
    client.force_login(people.vera)
    assert client.post(reverse("admin:index")).status_code == 405
    assert client.post(reverse("admin:dashboard_changes")).status_code == 405


def test_needs_you_shows_each_person_what_their_role_decides(client, people, batch):
    matching = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    preview = make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    faulty = make_job(batch, Stage.DELIVERY, State.IN_REVIEW)
    failed = make_job(batch, Stage.PREVIEW, State.FAILED)
    assert set(waiting_for(people.rita)) == {matching}
    assert set(waiting_for(people.adam)) == {preview, faulty}
    assert set(waiting_for(people.olga)) == {failed}
    assert set(waiting_for(people.root)) == {matching, preview, faulty, failed}
    assert not waiting_for(people.vera)
    assert not waiting_for(people.oscar)
    assert not waiting_for(people.nobody)


def test_mine_come_first_then_free_ones_and_urgent_before_the_rest(people, batch):
    place = (Stage.MATCHING, State.IN_REVIEW)
    others = make_job(batch, *place, assignee=people.adam, priority=0)
    free = make_job(batch, *place)
    urgent = make_job(batch, *place, priority=0)
    mine = make_job(batch, *place, assignee=people.rita, priority=3)
    assert list(waiting_for(people.rita)) == [mine, urgent, free, others]


def test_needs_you_leaves_out_what_is_assigned_to_somebody_else(client, people, batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, assignee=people.adam)
    assert f"needs-{job.pk}" not in page(client, people.rita).content.decode()
    Job.objects.filter(pk=job.pk).update(assignee=people.rita)
    assert f"needs-{job.pk}" in page(client, people.rita).content.decode()


def test_running_work_shows_step_percent_and_worker(client, people, batch):
    run_of(make_job(batch, Stage.PREVIEW, State.RUNNING))
    html = page(client, people.vera).content.decode()
    assert "drawing frame 12 of 300" in html
    assert 'aria-valuenow="4"' in html
    assert "render-1:7" in html
    assert "data-since=" in html


def test_what_ended_is_listed_with_its_poster(client, people, batch, blue):
    job = make_job(batch, Stage.DELIVERY, State.DONE)
    failed = make_job(batch, Stage.INGESTION, State.FAILED)
    Asset.objects.create(
        team=blue, job=job, stage=3, kind="poster", name="p.png", storage_name="a/p.png", size_bytes=1, media_type="x"
    )
    response = page(client, people.vera)
    html = response.context["sections"]["recent"].html
    assert f"recent-{job.pk}" in html
    assert f"recent-{failed.pk}" in html
    assert html.count("<img") == 1


def test_nothing_is_sent_when_nothing_changed(client, people, batch):
    run_of(make_job(batch, Stage.PREVIEW, State.RUNNING))
    seen = seen_in(page(client, people.rita))
    assert len(seen) == 4
    response = changes(client, seen)
    assert (response.status_code, response.content) == (204, b"")


def test_only_the_section_that_changed_is_sent(client, people, batch):
    run = run_of(make_job(batch, Stage.PREVIEW, State.RUNNING))
    seen = seen_in(page(client, people.rita))
    StageRun.objects.filter(pk=run.pk).update(percent=55)
    response = changes(client, seen)
    html = response.content.decode()
    assert re.findall(r'<section id="dashboard-(\w+)" hx-swap-oob="true"', html) == ["running"]
    assert 'aria-valuenow="55"' in html
    merged = [value for value in seen if not value.startswith("running")] + seen_in(response)
    assert changes(client, merged).status_code == 204


def test_an_unknown_or_forged_hash_is_as_good_as_none(client, people):
    client.force_login(people.vera)
    response = changes(client, ["counts:zzz", "ü:1", "", "running"])
    assert len(seen_in(response)) == 4


@pytest.mark.parametrize("jobs", [3, 60])
def test_the_queries_do_not_grow_with_the_jobs(client, people, batch, jobs):
    for number in range(jobs):
        make_job(batch, Stage(1 + number % 4), [State.IN_REVIEW, State.DONE, State.FAILED][number % 3])
    client.force_login(people.adam)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        changes(client)
    # session, person, membership; counts; roles, jobs, pictures, how many; running, queued; ended, pictures
    assert len(queries) <= 12, [query["sql"][:120] for query in queries]


def test_names_from_sheets_are_escaped(client, people, batch):
    make_job(batch, Stage.MATCHING, State.IN_REVIEW, client_name="<script>alert(1)</script>")
    html = page(client, people.rita).content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_navigation_marks_the_page_that_is_shown(client, people):
    html = page(client, people.vera).content.decode()
    marked = re.findall(r'<a href="([^"]+)" aria-current="page">', html)
    assert marked == [reverse("admin:index")]


def test_large_counts_are_grouped():
    html = render_to_string("review/dashboard_counts.html", {"states": [("pending", 100_000)], "stages": []})
    assert '<span class="stat-number">100,000</span>' in html
