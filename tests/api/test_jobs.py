"""review.api: reading jobs and what belongs to them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batches.models import Batch
from jobs.models import Attempt, Pause, StageRun
from jobs.states import Stage, State
from tests.people import make_job
from tests.review.builders import at_delivery, at_preview

pytestmark = pytest.mark.django_db
JOBS = "/api/jobs/"


def ids(response):
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def running(job):
    return StageRun.objects.create(
        job=job, stage=job.stage, input_hash="x", state="running", token=uuid.uuid4(), lease_owner="w:1",
        lease_expires_at=timezone.now(), step="Drawing layers", percent=40.0, started_at=timezone.now(),
    )  # fmt: skip


def test_a_job_tells_where_it_is_and_what_i_may_do(api, people, waiting):
    job = api(people.rita).get(f"{JOBS}{waiting.pk}/").json()
    assert (job["state"], job["stage"], job["stage_name"]) == ("awaiting_review", 2, "Matching")
    assert job["version"] == waiting.version
    assert job["allowed"] == ["amend", "choose_comp", "approve_matches", "cancel"]
    assert [match["layer_name"] for match in job["matches"]] == ["ANNA", "BERTA", "photo"]
    assert job["progress"] is None
    assert job["report"] is None
    assert job["error"] == ""


def test_viewers_may_look_and_do_nothing(api, people, waiting):
    assert api(people.vera).get(f"{JOBS}{waiting.pk}/").json()["allowed"] == []


def test_a_running_job_tells_its_progress_in_the_list_too(api, people, batch):
    job = make_job(batch, Stage.INGESTION, State.RUNNING)
    running(job)
    client = api(people.vera)
    expected = {"step": "Drawing layers", "percent": 40.0}
    assert client.get(f"{JOBS}{job.pk}/").json()["progress"] == expected
    assert client.get(JOBS).json()["results"][0]["progress"] == expected


def test_the_progress_of_a_running_job_forecasts_its_next_decision(api, people, batch):
    job = make_job(batch, Stage.INGESTION, State.RUNNING)
    running(job)
    client, address = api(people.vera), f"{JOBS}{job.pk}/progress/"
    assert client.get(address).json()["forecast"]["low_seconds"] is None, "nothing like it was prepared before"
    begun = timezone.now()
    for stage, seconds in ((1, 100), (2, 20)):
        times = {"started_at": begun - timedelta(seconds=seconds), "ended_at": begun}
        StageRun.objects.create(job=make_job(batch), stage=stage, input_hash="x", state="done", **times)
    found = client.get(address).json()["forecast"]
    assert found["low_seconds"] < 60 + 20 < found["high_seconds"]
    assert client.get(f"{JOBS}{make_job(batch).pk}/progress/").json()["forecast"] is None


def test_a_job_that_waits_tells_what_it_waits_for(api, people, batch, settings):
    settings.TEAM_RUNNING_LIMIT = 1
    job = make_job(batch, Stage.INGESTION, State.QUEUED)
    run = StageRun.objects.create(job=job, stage=1, input_hash="x", queue="light")
    client, address = api(people.vera), f"{JOBS}{job.pk}/progress/"

    def waits() -> tuple[str | None, str]:
        told = client.get(address).json()
        return told["waits_until"], told["held"]

    assert waits() == (None, "")
    running(make_job(batch, Stage.INGESTION, State.RUNNING))
    full = f"As many jobs of the team {batch.team.name} run as may at once (1). This goes on when one of them is done."
    assert waits() == (None, full)
    Pause.objects.create(key=f"batch:{batch.pk}", team=batch.team, by=people.root, reason="new logo")
    assert waits() == (None, "The batch is paused by root (new logo). This goes on when it is resumed.")
    StageRun.objects.filter(pk=run.pk).update(available_at=timezone.now() + timedelta(hours=1))
    until, held = waits()
    assert held == ""
    assert until is not None


def test_a_failed_job_tells_why(api, people, batch):
    job = make_job(batch, Stage.INGESTION, State.FAILED)
    StageRun.objects.create(job=job, stage=1, input_hash="x", state="failed", error="a.psd: truncated.")
    assert api(people.vera).get(f"{JOBS}{job.pk}/").json()["error"] == "a.psd: truncated."


def test_metrics_come_by_stage_and_the_report_comes_with_delivery(api, people, batch):
    job = api(people.adam).get(f"{JOBS}{at_delivery(batch).pk}/").json()
    assert job["metrics"]["preview"]["render_seconds"] == 1.25
    assert job["report"]["clean"] is False
    assert job["state"] == "validation_failed"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abc"),
        ("state=awaiting_review", "a"),
        ("state=awaiting_review&state=pending", "ab"),
        ("stage=2", "a"),
        ("stage=preview", "c"),
        ("priority=urgent", "b"),
        ("client_name=Café", "b"),
        ("assignee=rita", "a"),
        ("assignee=nobody-there", ""),
        ("unassigned=true", "bc"),
        ("search=alpha", "a"),
        ("search=' OR 1=1", ""),
        ("team=blue", "abc"),
        ("team=red", ""),
        ("batch=999999", ""),
        ("needs_me=true", "a"),
        ("needs_me=false", "bc"),
        ("ordering=-id", "cba"),
        ("ordering=job_id", "abc"),
        ("ordering=priority", "bac"),
    ],
)
def test_filters_and_orders(api, people, batch, query, found):
    jobs = {
        "a": make_job(batch, Stage.MATCHING, State.IN_REVIEW, job_id="alpha", assignee=people.rita),
        "b": make_job(batch, job_id="beta", priority=0, client_name="Café"),
        "c": make_job(batch, Stage.PREVIEW, State.RUNNING, job_id="gamma"),
    }
    names = {job.pk: name for name, job in jobs.items()}
    response = api(people.rita).get(f"{JOBS}?ordering=id&{query}" if "ordering" not in query else f"{JOBS}?{query}")
    assert "".join(names[pk] for pk in ids(response)) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=sleeping", "state"),
        ("stage=5", "stage"),
        ("stage=0", "stage"),
        ("priority=7", "priority"),
        ("batch=x", "batch"),
        ("batch=-1", "batch"),
        ("batch=99999999999999999999", "batch"),
        ("batch=1.5", "batch"),
        ("search=%00", "search"),
        ("search=" + "x" * 201, "search"),
        ("ordering=team__name", "ordering"),
        ("ordering=assignee__password", "ordering"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(api, people, job, query, field):
    response = api(people.rita).get(f"{JOBS}?{query}")
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_every_attempt_comes_with_its_log_the_newest_first(api, people, batch):
    job = make_job(batch)
    run = StageRun.objects.create(job=job, stage=1, input_hash="x", state="queued")
    for number in (1, 2):
        Attempt.objects.create(run=run, number=number, worker="w:1", outcome="failed", log=f"Try {number}.")
    rows = api(people.vera).get(f"{JOBS}{job.pk}/attempts/").json()["results"]
    assert [(row["stage"], row["number"], row["log"]) for row in rows] == [(1, 2, "Try 2."), (1, 1, "Try 1.")]
    assert api(people.oscar).get(f"{JOBS}{job.pk}/attempts/").status_code == 404


@pytest.mark.parametrize("stage", ["2", "matching", "Matching"])
def test_jobs_by_stage(api, people, batch, waiting, stage):
    make_job(batch)
    assert ids(api(people.vera).get(f"{JOBS}stage/{stage}/")) == [waiting.pk]


@pytest.mark.parametrize("stage", ["0", "5", "x", "²", "-1", "99999999999999999999"])
def test_a_stage_that_there_is_not_is_400(api, people, stage):
    response = api(people.vera).get(f"{JOBS}stage/{stage}/")
    assert response.status_code == 400
    assert "stage" in response.json()


def test_what_belongs_to_a_job_is_listed(api, people, rich):
    client = api(people.vera)

    def rows(name):
        return client.get(f"{JOBS}{rich.pk}/{name}/").json()["results"]

    assert [row["code"] for row in rows("warnings")] == ["missing_font"]
    assert [row["verb"] for row in rows("events")] == ["comment"]
    assert rows("events")[0]["to_state"] == "awaiting_review"
    assert "photo.png" in [row["name"] for row in rows("assets")]
    assert [row["user"] for row in rows("decisions")] == ["rita"]
    assert [row["text"] for row in rows("comments")] == ["Look at the second."]


def test_the_filters_of_jobs_do_not_disturb_what_belongs_to_one(api, people, rich):
    assert len(ids(api(people.vera).get(f"{JOBS}{rich.pk}/warnings/?state=completed"))) == 1


def test_matches_come_with_everything_they_can_be_changed_to(api, people, waiting):
    shown = api(people.vera).get(f"{JOBS}{waiting.pk}/matches/").json()
    assert shown["version"] == waiting.version
    assert [(match["slot_id"], match["layer_id"]) for match in shown["matches"]] == [("1:1", 4), ("1:2", 5), ("1:3", 6)]
    assert shown["matches"][0]["parts"] == {"kind": 10.0, "geometry": 70.0}
    assert shown["matches"][0]["runner_up"]["layer_name"] == "BERTA"
    assert shown["kept"] == [7]
    assert [comp["name"] for comp in shown["compositions"]] == ["main", "other"]
    assert shown["render_comp"] == 1
    assert shown["scores"]["1:2"] == {"5": 70.0, "4": 30.0}


def test_a_job_before_ingestion_has_nothing_to_match(api, people, job):
    shown = api(people.vera).get(f"{JOBS}{job.pk}/matches/").json()
    assert (shown["matches"], shown["layers"], shown["render_comp"]) == ([], [], None)


def test_an_asset_is_downloaded_through_the_door_of_the_pages(api, people, rich):
    client = api(people.vera)
    asset = next(one for one in client.get(f"{JOBS}{rich.pk}/assets/").json()["results"] if one["kind"] == "layer")
    response = client.get(asset["download"])
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == b"layer photo.png"
    assert response["ETag"] == f'"{asset["sha256"]}"'
    assert "sandbox" in response["Content-Security-Policy"]
    part = client.get(asset["download"], headers={"Range": "bytes=6-10"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"photo")
    assert client.get(asset["download"], headers={"If-None-Match": response["ETag"]}).status_code == 304
    assert client.get(asset["download"], headers={"Accept": "image/png"}).status_code == 200
    assert client.head(asset["download"])["Content-Length"] == "15"


def test_an_asset_whose_file_is_gone_is_404(api, people, waiting):
    asset = waiting.assets.first()
    response = api(people.vera).get(f"/api/assets/{asset.pk}/download/")
    assert response.status_code == 404
    assert "no longer in the storage" in response.json()["detail"]


def test_history_is_filtered_by_verb_job_batch_actor_and_time(api, people, batch, rich):
    client = api(people.vera)
    event = ids(client.get("/api/events/"))
    assert len(event) == 1
    for query in (f"verb=comment&job={rich.pk}&batch={batch.pk}&actor=rita", "after=2020-01-01", "team=blue"):
        assert ids(client.get(f"/api/events/?{query}")) == event
    for query in ("verb=cancel", "job=0", "batch=0", "actor=olga", "before=2020-01-01T00:00:00Z", "by_machine=true"):
        assert ids(client.get(f"/api/events/?{query}")) == []


@pytest.mark.parametrize("moment", ["soon", "2026-13-01T00:00:00Z", "2026-02-30", "%00"])
def test_a_time_that_is_none_is_400(api, people, moment):
    response = api(people.vera).get("/api/events/", {"after": moment})
    assert response.status_code == 400
    assert list(response.json()) == ["after"]


@pytest.mark.parametrize(
    ("moment", "after", "before"),
    [
        ("0001-01-01T00:00:00+14:00", 1, 0),
        ("9999-12-31T23:59:59-12:00", 0, 1),
        ("0786-05-17T14:01:10Z", 1, 0),
        ("2068-09-12T11:14:47+20:19", 0, 1),
        ("2001-09-12T11:14:47-23:59", 1, 0),
    ],
)
def test_a_time_far_from_ours_is_before_or_after_everything(api, people, rich, moment, after, before):
    client = api(people.vera)
    assert len(ids(client.get("/api/events/", {"after": moment}))) == after
    assert len(ids(client.get("/api/events/", {"before": moment}))) == before


def test_the_dashboard_counts_what_i_may_see(api, people, batch, red, waiting):
    make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar))
    running(make_job(batch, Stage.PREVIEW, State.RUNNING, assignee=people.rita))
    figures = api(people.rita).get("/api/dashboard/").json()
    assert figures["total"] == 2
    assert figures["states"]["awaiting_review"] == 1
    assert figures["stages"][1]["states"]["awaiting_review"] == 1
    assert figures["stages"][2]["total"] == 1
    assert (figures["needs_me"], figures["assigned_to_me"], figures["queued"]) == (1, 0, 0)
    assert [(run["step"], run["percent"], run["stage"]) for run in figures["running"]] == [("Drawing layers", 40.0, 3)]
    assert figures["batches"]["processing"] == 1
    assert sum(figures["batches"].values()) == 1


def test_me_and_my_teams_with_my_roles(api, people):
    me = api(people.oscar).get("/api/me/").json()
    assert (me["username"], me["is_superuser"]) == ("oscar", False)
    assert [(team["slug"], team["roles"]) for team in me["teams"]] == [("red", ["operator", "reviewer", "approver"])]
    assert api(people.vera).get("/api/teams/").json()["results"][0]["roles"] == ["viewer"]
    assert api(people.nobody).get("/api/teams/").json()["results"] == []


@pytest.mark.parametrize(
    "address",
    ["/api/jobs/", "/api/jobs/stage/3/", "/api/events/", "/api/batches/", "/api/dashboard/", "/api/jobs/{}/warnings/"],
)
def test_the_queries_do_not_grow_with_the_rows(api, people, blue, address):
    def queries(rows):
        for _ in range(rows):
            batch = Batch.objects.create(team=blue, name=f"Batch {rows}", created_by=people.olga)
            job = at_preview(batch, assignee=people.adam)
            job.warnings.create(stage=1, code="x", severity="info", message="x", resolved_by=people.rita)
            job.events.create(team=blue, batch=batch, verb="comment", actor=people.rita)
            first.append(job)
        for _ in range(rows if "warnings" in address else 0):
            first[0].warnings.create(stage=1, code="x", severity="info", message="x", resolved_by=people.rita)
        client = api(people.adam)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address.format(first[0].pk)).status_code == 200
        limits = ("requestwindow", "tokenbucket")  # the first request makes their rows
        return len([query for query in captured if not any(name in query["sql"] for name in limits)])

    first = []
    few = queries(1)
    assert queries(19) == few
    assert few <= 15
