"""The list of batches and the page of one batch"""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from batches import actions
from batches.models import Batch
from jobs import pauses
from jobs.models import Asset, StageRun, Warning
from jobs.states import Stage, State
from tests.people import make_job

LIST = "/admin/batches/"


def at(name, *args):
    return reverse(f"admin:{name}", args=args)


@pytest.fixture
def as_olga(client, people):
    client.force_login(people.olga)
    return client


@pytest.fixture
def htmx(as_olga):
    as_olga.defaults["HTTP_HX_REQUEST"] = "true"
    return as_olga


@pytest.fixture
def theirs(people, red):
    return Batch.objects.create(team=red, name="Their secret batch", created_by=people.oscar)


GETS = ["batch", "batch_changes"]
POSTS = ["batch_start", "batch_act"]


@pytest.mark.parametrize("name", GETS + POSTS)
def test_strangers_are_sent_to_the_login(client, batch, name):
    answer = getattr(client, "post" if name in POSTS else "get")(at(name, batch.pk))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("name", GETS + POSTS)
def test_the_batch_of_another_team_is_not_there(as_olga, theirs, name):
    assert getattr(as_olga, "post" if name in POSTS else "get")(at(name, theirs.pk)).status_code == 404


@pytest.mark.parametrize("name", GETS + POSTS)
def test_the_wrong_method_is_refused(as_olga, batch, name):
    assert getattr(as_olga, "get" if name in POSTS else "post")(at(name, batch.pk)).status_code == 405


@pytest.mark.parametrize(("name", "data"), [("batch_start", {}), ("batch_act", {"verb": "hold"})])
def test_a_missing_role_is_refused_in_words(client, people, batch, name, data):
    job = make_job(batch)
    client.force_login(people.vera)
    answer = client.post(at(name, batch.pk), {**data, "job": job.pk})
    assert answer.status_code == 403
    assert "role operator" in answer.content.decode()


def test_a_person_of_no_team_does_not_get_in(client, people):
    client.force_login(people.nobody)
    assert client.get(LIST).status_code == 302


def test_the_list_shows_the_batches_of_ones_teams(as_olga, batch, theirs):
    make_job(batch)
    text = as_olga.get(LIST).content.decode()
    assert "Spring" in text
    assert "0 of 1 completed" in text
    assert "Their secret batch" not in text


def test_the_list_wants_a_get(as_olga):
    assert as_olga.post(LIST).status_code == 405


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=failed", ["Failing"]),
        ("state=queued", ["Spring"]),
        ("state=nonsense", ["Failing", "Spring"]),
        ("client=Northwind", ["Spring"]),
        ("client=North", []),
        ("q=fail", ["Failing"]),
        ("q=card-7", ["Spring"]),
        ("q=nothing", []),
        ("team=999999999999999999999", ["Failing", "Spring"]),
        ("team=x", ["Failing", "Spring"]),
        ("page=99", ["Failing", "Spring"]),
    ],
)
def test_the_list_is_filtered(as_olga, people, blue, batch, query, shown):
    failing = Batch.objects.create(team=blue, name="Failing", created_by=people.olga)
    make_job(batch, client_name="Northwind", job_id="CARD-7")
    make_job(failing, state=State.FAILED)
    text = as_olga.get(f"{LIST}?{query}").content.decode()
    assert [name for name in ("Failing", "Spring") if f">{name}</a>" in text] == shown


def test_filters_of_the_list_do_not_change_the_counts(as_olga, batch):
    make_job(batch, client_name="A")
    make_job(batch, client_name="B")
    assert "0 of 2 completed" in as_olga.get(f"{LIST}?client=A&q=spring").content.decode()


def test_the_newest_batch_stands_first(as_olga, people, blue, batch):
    Batch.objects.create(team=blue, name="Autumn", created_by=people.olga)
    text = as_olga.get(LIST).content.decode()
    assert text.index(">Autumn</a>") < text.index(">Spring</a>")


def test_only_operators_are_offered_the_upload(client, people, batch):
    for person, offered in ((people.olga, True), (people.vera, False), (people.root, True)):
        client.force_login(person)
        assert ("New batch" in client.get(LIST).content.decode()) == offered


def test_the_list_takes_as_many_queries_for_many_batches_as_for_one(
    as_olga, people, blue, batch, django_assert_num_queries
):
    make_job(batch)
    as_olga.get(LIST)
    with CountedQueries() as one:
        as_olga.get(LIST)
    for number in range(10):
        make_job(Batch.objects.create(team=blue, name=f"b{number}", created_by=people.olga))
    with django_assert_num_queries(one.count):
        as_olga.get(LIST)


class CountedQueries:
    def __enter__(self):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self._captured = CaptureQueriesContext(connection).__enter__()
        return self

    def __exit__(self, *error):
        self.count = len(self._captured)
        self._captured.__exit__(*error)


def test_the_page_of_a_batch_shows_its_jobs(as_olga, batch):
    done = make_job(batch, Stage.DELIVERY, State.DONE, job_id="DONE-1", client_name="<b>Northwind</b>")
    waiting = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    Warning.objects.create(job=waiting, stage=1, code="x", severity="warning", message="m")
    poster = asset(done, "poster", "image/png")
    asset(done, "released_project", "application/octet-stream")
    text = as_olga.get(at("batch", batch.pk)).content.decode()
    assert "DONE-1" in text
    assert "&lt;b&gt;Northwind" in text
    assert f"/admin/assets/{poster.pk}/" in text
    assert at("job_download", done.pk) in text
    assert at("job_download", waiting.pk) not in text
    assert f'href="{at("batch_files", batch.pk)}"' in text
    assert "Awaiting review" in text
    batch.jobs.update(bytes_in=3 * 2**20, bytes_out=2**20)
    words = "2 designs into a.aepx · 2 files · 6.0\xa0MB in · 2.0\xa0MB deployed"
    assert words in as_olga.get(at("batch", batch.pk)).content.decode()
    type(batch).objects.update(description="3-view Render")
    assert "3-view Render · 2 files" in as_olga.get(at("batch", batch.pk)).content.decode()


def asset(job, kind, media_type):
    return Asset.objects.create(
        team=job.team,
        job=job,
        stage=3,
        kind=kind,
        name=kind,
        storage_name=f"x/{kind}",
        size_bytes=1,
        media_type=media_type,
        sha256="0" * 64,
    )


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=pending", ["J-A"]),
        ("state=failed", ["J-B"]),
        ("state=bogus", ["J-A", "J-B"]),
        ("q=j-b", ["J-B"]),
        ("sort=job", ["J-A", "J-B"]),
        ("sort=priority", ["J-B", "J-A"]),
        ("sort=nonsense", ["J-A", "J-B"]),
        ("q=zzz", []),
    ],
)
def test_the_jobs_are_filtered_and_sorted(as_olga, batch, query, shown):
    make_job(batch, job_id="J-A")
    make_job(batch, job_id="J-B", state=State.FAILED, priority=0)
    text = as_olga.get(f"{at('batch', batch.pk)}?{query}").content.decode()
    assert re.findall(r'class="cell-main"[^>]*>(J-[AB])<', text) == shown


def test_the_page_takes_as_many_queries_for_many_jobs_as_for_one(as_olga, batch, django_assert_num_queries):
    make_job(batch)
    as_olga.get(at("batch", batch.pk))
    with CountedQueries() as one:
        as_olga.get(at("batch", batch.pk))
    for _ in range(20):
        asset(make_job(batch), "poster", "image/png")
    with django_assert_num_queries(one.count):
        as_olga.get(at("batch", batch.pk))


def test_a_viewer_is_offered_no_verb(client, people, batch):
    make_job(batch)
    client.force_login(people.vera)
    text = client.get(at("batch", batch.pk)).content.decode()
    assert 'name="verb"' not in text
    assert 'name="single"' not in text
    assert "Start ingestion" not in text


def test_start_queues_the_jobs(as_olga, batch):
    make_job(batch)
    answer = as_olga.post(at("batch_start", batch.pk))
    assert (answer.status_code, answer["Location"]) == (302, at("batch", batch.pk))
    assert StageRun.objects.get().state == "queued"


def test_start_takes_a_number_of_jobs_and_answers_htmx_with_the_board(htmx, batch):
    for _ in range(3):
        make_job(batch)
    answer = htmx.post(at("batch_start", batch.pk), {"first": "2"})
    assert answer.status_code == 200
    assert "2 jobs are queued" in answer["HX-Trigger"]
    assert 'id="board"' in answer.content.decode()
    assert "<html" not in answer.content.decode()
    assert batch.jobs.filter(state="queued").count() == 2


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "9" * 30, "²"])
def test_a_number_that_is_none_is_unprocessable(as_olga, batch, number):
    make_job(batch)
    answer = as_olga.post(at("batch_start", batch.pk), {"first": number})
    assert answer.status_code == 422
    assert batch.jobs.get().state == "pending"


def test_starting_what_is_started_is_a_conflict_with_the_fresh_page(as_olga, batch):
    make_job(batch, state=State.CANCELLED)
    answer = as_olga.post(at("batch_start", batch.pk))
    assert answer.status_code == 409
    assert "No job of this batch is waiting" in answer.content.decode()


def test_ticked_jobs_are_held_together(htmx, batch):
    jobs = [make_job(batch), make_job(batch)]
    answer = htmx.post(at("batch_act", batch.pk), {"verb": "hold", "job": [job.pk for job in jobs]})
    assert answer.status_code == 200
    assert "Hold: 2 jobs." in answer["HX-Trigger"]
    assert set(batch.jobs.values_list("state", flat=True)) == {"on_hold"}


def test_one_job_is_cancelled_from_its_row(as_olga, batch):
    job = make_job(batch)
    assert as_olga.post(at("batch_act", batch.pk), {"single": f"cancel:{job.pk}:{job.version}"}).status_code == 302
    assert batch.jobs.get().state == "cancelled"


def test_a_row_that_changed_meanwhile_is_a_conflict(htmx, batch):
    job = make_job(batch, version=3)
    answer = htmx.post(at("batch_act", batch.pk), {"single": f"hold:{job.pk}:2"})
    assert answer.status_code == 409
    assert "has changed since you opened it" in answer["HX-Trigger"]
    assert 'id="board"' in answer.content.decode()
    assert batch.jobs.get().state == "pending"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"verb": "hold"},
        {"verb": "claim", "job": "JOB"},
        {"single": "hold"},
        {"single": "x:y:z"},
        {"verb": "hold", "job": "9" * 40},
    ],
)
def test_an_action_that_makes_no_sense_is_unprocessable(as_olga, batch, data):
    job = make_job(batch)
    data = {key: value.replace("JOB", str(job.pk)) for key, value in data.items()}
    assert as_olga.post(at("batch_act", batch.pk), data).status_code == 422
    assert batch.jobs.get().state == "pending"


def test_a_job_of_another_batch_is_not_touched(as_olga, batch, theirs):
    job = make_job(theirs)
    assert as_olga.post(at("batch_act", batch.pk), {"verb": "hold", "job": job.pk}).status_code == 422
    job.refresh_from_db()
    assert job.state == "pending"


def keys(text):
    return {
        name: re.findall(rf'name="{name}" value="([^"]*)"', text)
        for name in ("head", "seen", "pending", "paused", "eta", "r", "p")
    }


def test_nothing_is_sent_while_nothing_changed(as_olga, batch):
    make_job(batch)
    make_job(batch, state=State.CANCELLED)
    seen = keys(as_olga.get(at("batch", batch.pk)).content.decode())
    assert as_olga.get(at("batch_changes", batch.pk), seen).status_code == 204


@pytest.mark.parametrize("state", [State.RUNNING, State.DONE])
def test_a_page_takes_twelve_queries_and_a_poll_nine(as_olga, batch, state, django_assert_max_num_queries):
    for _ in range(3):
        job = make_job(batch, Stage.DELIVERY, state)
        run = {"started_at": timezone.now(), "ended_at": timezone.now(), "state": StageRun.DONE}
        StageRun.objects.create(job=job, stage=Stage.DELIVERY, input_hash="a", **run)
    as_olga.get(at("batch", batch.pk))
    with django_assert_max_num_queries(12):
        seen = keys(as_olga.get(at("batch", batch.pk)).content.decode())
    with django_assert_max_num_queries(9):
        assert as_olga.get(at("batch_changes", batch.pk), seen).status_code == 204
    StageRun.objects.update(percent=55, step="exporting layers")
    with django_assert_max_num_queries(9):
        answer = as_olga.get(at("batch_changes", batch.pk), seen)
    assert answer.status_code == (200 if state == State.RUNNING else 204)


def test_the_forecast_moves_with_the_progress(as_olga, batch, django_assert_max_num_queries):
    for _ in range(6):
        ran(make_job(batch, Stage.DELIVERY, State.DONE), 1000, state=StageRun.DONE)
    job = make_job(batch, Stage.PREVIEW, State.RUNNING)
    run = ran(job, None, state=StageRun.RUNNING, token=uuid4(), lease_expires_at=timezone.now(), percent=10)
    with django_assert_max_num_queries(12):
        text = as_olga.get(at("batch", batch.pk)).content.decode()
    seen = keys(text)
    assert "about 12 to 18 min" in text
    changes = at("batch_changes", batch.pk)
    with django_assert_max_num_queries(9):
        assert as_olga.get(changes, seen).status_code == 204
    StageRun.objects.filter(pk=run.pk).update(percent=13)
    with django_assert_max_num_queries(9):
        text = as_olga.get(changes, seen).content.decode()
    assert f'id="progress-{job.pk}"' in text
    assert 'id="forecast"' not in text, "it would say the same"
    StageRun.objects.filter(pk=run.pk).update(percent=95)
    with django_assert_max_num_queries(11):
        text = as_olga.get(changes, seen).content.decode()
    assert "about 13 to 87 s" in text
    assert 'id="figures"' not in text
    seen["eta"] = keys(text)["eta"]
    assert 'id="forecast"' not in as_olga.get(changes, seen).content.decode()


def ran(job, seconds, **fields):
    began = timezone.now()
    ended = None if seconds is None else began + timedelta(seconds=seconds)
    run = {"job": job, "stage": Stage.PREVIEW, "input_hash": str(job.pk), "started_at": began, "ended_at": ended}
    return StageRun.objects.create(**run, **fields)


def test_pages_are_counted_where_filters_are_and_not_where_none_are(as_olga, batch):
    for number in range(60):
        make_job(batch, state=State.CANCELLED if number % 2 else State.PENDING)
    page = as_olga.get(at("batch", batch.pk)).context["page"]
    assert (page.paginator.count, page.paginator.num_pages, len(page)) == (60, 2, 50)
    page = as_olga.get(f"{at('batch', batch.pk)}?state=cancelled").context["page"]
    assert (page.paginator.count, page.paginator.num_pages, len(page)) == (30, 1, 30)
    assert as_olga.get(f"{at('batch', batch.pk)}?q=nothing").context["page"].paginator.count == 0
    assert as_olga.get(f"{at('batch', batch.pk)}?state=nonsense").context["page"].paginator.count == 60


def test_only_the_rows_that_changed_are_sent(as_olga, people, batch):
    still, moving = make_job(batch), make_job(batch)
    seen = keys(as_olga.get(at("batch", batch.pk)).content.decode())
    as_olga.post(at("batch_act", batch.pk), {"single": f"hold:{moving.pk}:0"})
    text = as_olga.get(at("batch_changes", batch.pk), seen).content.decode()
    assert f'id="job-{moving.pk}"' in text
    assert f'id="job-{still.pk}"' not in text
    assert 'id="figures"' in text
    assert "seen=" not in text


def test_a_pause_of_somebody_else_is_seen_and_offered_when_work_begins(as_olga, people, batch):
    make_job(batch)
    where, changes = at("batch", batch.pk), at("batch_changes", batch.pk)
    seen = keys(as_olga.get(where).content.decode())
    actions.start(people.root, batch)
    text = as_olga.get(changes, seen).content.decode()
    assert 'value="pause"' in text, "there is something to pause now"
    seen |= {name: found for name, found in keys(text).items() if found}
    assert as_olga.get(changes, seen).status_code == 204
    pauses.pause(people.root, pauses.of_batch(batch), reason="The client thinks.")
    text = as_olga.get(changes, seen).content.decode()
    assert "The client thinks." in text
    assert 'value="resume"' in text
    assert ">Paused<" in text, "the forecast says so, too"
    seen |= {name: found for name, found in keys(text).items() if found}
    assert as_olga.get(changes, seen).status_code == 204
    pauses.resume(people.root, pauses.of_batch(batch))
    assert 'value="pause"' in as_olga.get(changes, seen).content.decode()


def test_the_verbs_of_the_head_follow_the_jobs_and_the_name(client, people, batch):
    def offered(text):
        return re.findall(r'id="verb-(\w+)"', text)

    where, changes = at("batch", batch.pk), at("batch_changes", batch.pk)
    job = make_job(batch, state=State.FAILED)
    client.force_login(people.root)
    text = client.get(where).content.decode()
    assert offered(text) == ["retry", "archive", "cancel", "delete"]
    seen = keys(text)
    for change, words in (
        (lambda: batch.jobs.update(state=State.RUNNING, version=1), ["cancel"]),
        (lambda: batch.jobs.update(state=State.DONE, version=2), ["archive", "delete"]),
        (lambda: Batch.objects.update(archived_at=timezone.now()), ["unarchive", "delete"]),
    ):
        change()
        text = client.get(changes, seen).content.decode()
        assert 'id="head" hx-swap-oob="true"' in text
        assert offered(text) == words
        seen |= {name: found for name, found in keys(text).items() if found}
        assert 'id="head"' not in client.get(changes, seen).content.decode()
    Batch.objects.update(name="Another")
    assert "<h1>Another" in client.get(changes, seen).content.decode()
    make_job(batch, state=State.FAILED)
    text = client.get(changes, seen).content.decode()
    assert 'id="board"' in text, "other jobs are on the page now"
    assert offered(text) == ["retry", "unarchive", "cancel", "delete"]
    client.force_login(people.vera)
    seen = keys(client.get(where).content.decode())
    batch.jobs.filter(pk=job.pk).update(state=State.FAILED, version=3)
    assert offered(client.get(changes, seen).content.decode()) == []


def test_progress_alone_is_sent_alone(as_olga, batch):
    job = make_job(batch)
    as_olga.post(at("batch_start", batch.pk))
    seen = keys(as_olga.get(at("batch", batch.pk)).content.decode())
    StageRun.objects.update(percent=40, step="exporting layers")
    text = as_olga.get(at("batch_changes", batch.pk), seen).content.decode()
    assert f'id="progress-{job.pk}"' in text
    assert f'id="job-{job.pk}"' not in text


def test_the_whole_board_is_sent_when_other_jobs_are_on_the_page(as_olga, batch):
    make_job(batch)
    seen = keys(as_olga.get(at("batch", batch.pk)).content.decode())
    make_job(batch)
    assert 'id="board"' in as_olga.get(at("batch_changes", batch.pk), seen).content.decode()


@pytest.mark.parametrize("junk", [{"r": "x"}, {"r": ["1.2", "1.2"], "p": "…"}, {"seen": "x" * 500}])
def test_junk_in_what_the_browser_shows_does_no_harm(as_olga, batch, junk):
    make_job(batch)
    assert as_olga.get(at("batch_changes", batch.pk), junk).status_code == 200


def test_a_failed_job_says_why(as_olga, batch):
    job = make_job(batch, state=State.FAILED)
    StageRun.objects.create(job=job, stage=1, input_hash="x", state="failed", error="a.psd: is damaged.")
    assert "a.psd: is damaged." in as_olga.get(at("batch", batch.pk)).content.decode()
