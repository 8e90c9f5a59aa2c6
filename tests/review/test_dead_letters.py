"""Dead letters: fingerprints, causes with their counts, and setting them going again; on the page and by the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from batches.models import Batch, Upload
from jobs import claims, deadletters, pauses, pipeline, sweeping
from jobs.errors import Conflict, NotAllowed
from jobs.fingerprints import fingerprint, signature
from jobs.lifecycle import move
from jobs.models import Asset, Errand, Job, Pause, StageRun
from jobs.sandbox import StageFailed
from jobs.states import State
from tests.people import make_job

FONT = "{}.aepx: the font 'Kestrel Sans' is missing. Put it into /srv/fonts/{}/."


def fail_one(batch, error: str, error_class: str = "file") -> Job:
    job = make_job(batch)
    move(job, "start")
    pipeline.fail(claims.claim("w"), StageFailed(error, error_class=error_class))
    job.refresh_from_db()
    assert job.state == State.FAILED
    return job


@pytest.fixture
def letters(batch):
    """Three jobs of one cause and one of another."""
    fonts = [fail_one(batch, FONT.format(f"design-{n}", n)) for n in range(3)]
    return [*fonts, fail_one(batch, "a.psd: is truncated after 812 bytes.")]


# Fingerprints ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.psd: is damaged.", "other-name_2.psd: is damaged."),
        ("took longer than 900 s at: layer 3", "took longer than 60 s at: layer 17"),
        ("the font 'Arial' is missing", "the font “Arial” is missing"),
        ("/srv/a/b.psd is gone", "/mnt/c/d/e.psd is gone"),
        (r"C:\designs\a.psd is gone", r"D:\x\b.psd is gone"),
        ("run 4f8a2b1c9d3e4f5a8b7c6d5e4f3a2b1c failed", "run 00112233445566778899aabbccddeeff failed"),
        ("no answer from https://a.example/x?y=1", "no answer from https://b.example/z"),
        ("object at 0x7f00aa", "object at 0x55bb01"),
    ],
)
def test_what_differs_from_job_to_job_does_not_count(one, other):
    assert fingerprint(1, "file", one) == fingerprint(1, "file", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("the font Arial is missing", "the font Futura is missing"), ("is damaged", "is truncated"), ("", "x")],
)
def test_another_cause_has_another_fingerprint(one, other):
    assert fingerprint(1, "file", one) != fingerprint(1, "file", other)


def test_stage_and_class_are_part_of_the_cause():
    assert len({fingerprint(1, "file", "x"), fingerprint(2, "file", "x"), fingerprint(1, "time", "x")}) == 3


def test_a_huge_text_is_cut():
    assert len(signature("x y" * 100_000)) <= 500


# Causes ---------------------------------------------------------------------------------------------------------------
def test_jobs_that_failed_alike_are_one_cause_with_a_count(letters, people):
    causes = deadletters.by_cause(deadletters.letters(people.olga))
    assert [cause.jobs for cause in causes] == [3, 1]
    assert "Kestrel Sans" in causes[0].error


def test_a_job_that_is_tried_again_is_no_dead_letter(letters, people):
    for job in letters[1:]:
        move(job, "cancel")
    assert [run.job for run in deadletters.letters(people.olga)] == [letters[0]]
    move(letters[0], "retry")
    assert not deadletters.letters(people.olga).exists()


def test_everyone_in_the_team_sees_them_and_nobody_else(letters, people):
    assert deadletters.letters(people.vera).count() == 4
    assert not deadletters.letters(people.oscar).exists()


def test_old_ones_leave_the_list_and_the_jobs_stay_failed(letters, people, settings):
    settings.DEAD_LETTER_DAYS = 7
    StageRun.objects.filter(job=letters[0]).update(ended_at=timezone.now() - timedelta(days=8))
    assert deadletters.forget_old() == 1
    assert deadletters.letters(people.olga).count() == 3
    letters[0].refresh_from_db()
    assert letters[0].state == State.FAILED
    settings.DEAD_LETTER_DAYS = 0
    StageRun.objects.update(ended_at=timezone.now() - timedelta(days=800))
    sweeping.sweep()
    assert deadletters.letters(people.olga).count() == 3


# Retry ----------------------------------------------------------------------------------------------------------------
def states(jobs):
    return [Job.objects.get(pk=job.pk).state for job in jobs]


def test_one_those_of_a_cause_or_all_are_queued_again(letters, people):
    found = deadletters.letters(people.olga)
    deadletters.retry_one(people.olga, found.get(job=letters[0]))
    assert states(letters) == ["queued", "failed", "failed", "failed"]
    alike = deadletters.with_cause_of(found, found.get(job=letters[1]))
    assert deadletters.retry_many(people.olga, alike).moved == 2
    assert states(letters) == ["queued", "queued", "queued", "failed"]
    assert deadletters.retry_many(people.olga, found).moved == 1
    with pytest.raises(Conflict):
        deadletters.retry_many(people.olga, found)


def test_a_retry_in_portions_tells_what_is_left(letters, people):
    done = deadletters.retry_many(people.olga, deadletters.letters(people.olga), most=3)
    assert (done.moved, done.left) == (3, 1)
    assert "1 more" in done.text


def test_a_person_retries_only_where_they_operate(letters, people):
    found = deadletters.letters(people.rita)
    with pytest.raises(NotAllowed):
        deadletters.retry_one(people.rita, found.first())
    with pytest.raises(Conflict):
        deadletters.retry_many(people.rita, found)


# The page -------------------------------------------------------------------------------------------------------------
def test_the_page_shows_causes_counts_and_the_jobs_of_one(letters, people, client):
    client.force_login(people.olga)
    html = client.get(reverse("admin:dead_letters")).content.decode()
    assert "4 jobs failed for good, of 2 causes" in html
    assert "Retry 3" in html
    letter = letters[0].runs.get()
    html = client.get(reverse("admin:dead_letters"), {"cause": letter.pk}).content.decode()
    assert "3 jobs, one cause" in html
    assert all(f">{job.job_id}<" in html for job in letters[:3])
    assert f">{letters[3].job_id}<" not in html


def test_a_viewer_sees_the_page_without_buttons(letters, people, client):
    client.force_login(people.vera)
    html = client.get(reverse("admin:dead_letters")).content.decode()
    assert "Kestrel Sans" in html
    assert 'name="cause"' not in html
    assert 'value="pause"' not in html


def test_the_empty_page_says_so(people, client):
    client.force_login(people.olga)
    assert "No dead letters" in client.get(reverse("admin:dead_letters")).content.decode()


@pytest.mark.parametrize(
    ("who", "form", "status"),
    [
        ("olga", "letter", 302),
        ("olga", "cause", 302),
        ("olga", "all", 302),
        ("olga", "", 422),
        ("olga", "nonsense", 404),
        ("rita", "all", 403),
        ("rita", "letter", 403),
        ("oscar", "letter", 404),
        ("oscar", "all", 409),
    ],
)
def test_the_buttons_of_the_page(letters, people, client, who, form, status):
    client.force_login(getattr(people, who))
    value = str(letters[0].runs.get().pk)
    data = {"letter": "x"} if form == "nonsense" else {form: value} if form else {}
    answer = client.post(reverse("admin:dead_letters_retry"), data)
    assert answer.status_code == status
    queued = {"letter": 1, "cause": 3, "all": 4}.get(form, 0) if status == 302 else 0
    assert states(letters).count("queued") == queued


def test_a_letter_that_is_gone_is_not_found(letters, people, client):
    client.force_login(people.olga)
    number = letters[0].runs.get().pk
    move(letters[0], "retry")
    assert client.post(reverse("admin:dead_letters_retry"), {"letter": number}).status_code == 404


@pytest.mark.parametrize("name", ["dead_letters_retry", "pause"])
def test_looking_at_a_button_is_no_way_to_press_it(people, client, name):
    client.force_login(people.olga)
    assert client.get(reverse(f"admin:{name}")).status_code == 405
    client.logout()
    assert client.post(reverse(f"admin:{name}")).status_code == 302
    assert client.get(reverse("admin:dead_letters")).status_code == 302


def test_the_api_lists_causes_and_retries(letters, people):
    api = APIClient()
    api.force_login(people.olga)
    found = api.get("/api/dead-letters/").json()
    assert [(cause["jobs"], cause["error_class"]) for cause in found["results"]] == [(3, "file"), (1, "file")]
    address = f"/api/dead-letters/{found['results'][0]['letter']}/retry/"
    assert api.post(address, {"which": "some"}).status_code == 400
    assert api.post(address, {"which": "cause"}).json() == {"moved": 3, "refused": 0, "left": 0}
    assert api.post(address).status_code == 404
    last = api.get("/api/dead-letters/").json()["results"][0]["letter"]
    assert api.post(f"/api/dead-letters/{last}/retry/", {"which": "all"}).json()["moved"] == 1


# Pauses ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("who", "key", "status"),
    [
        ("olga", "team", 302),
        ("rita", "team", 403),
        ("oscar", "team", 404),
        ("olga", "queue:heavy", 403),
        ("root", "queue:heavy", 302),
        ("root", "queue:nonsense", 422),
        ("root", "team:x", 404),
        ("root", "", 422),
    ],
)
def test_teams_and_queues_are_paused_on_the_page(people, blue, client, who, key, status):
    client.force_login(getattr(people, who))
    key = f"team:{blue.pk}" if key == "team" else key
    answer = client.post(reverse("admin:pause"), {"key": key, "verb": "pause"})
    assert answer.status_code == status
    assert Pause.objects.filter(key=key).exists() == (status == 302)
    if status == 302:
        assert "paused" in client.get(reverse("admin:dead_letters")).content.decode()
        assert client.post(reverse("admin:pause"), {"key": key, "verb": "pause"}).status_code == 409
        assert client.post(reverse("admin:pause"), {"key": key, "verb": "resume"}).status_code == 302


@pytest.mark.parametrize(("who", "status"), [("olga", 302), ("rita", 403), ("oscar", 404)])
def test_a_batch_is_paused_on_its_page(people, batch, client, who, status):
    move(make_job(batch), "start")
    client.force_login(getattr(people, who))
    address = reverse("admin:batch_pause", args=[batch.pk])
    assert client.get(address).status_code == 405
    assert client.post(address, {"verb": "pause", "reason": "fonts"}).status_code == status
    assert pauses.is_paused(pauses.of_batch(batch)) == (status == 302)
    if status == 302:
        html = client.get(reverse("admin:batch", args=[batch.pk])).content.decode()
        assert "fonts" in html
        assert 'value="resume"' in html
        assert client.post(address, {"verb": "pause"}).status_code == 409
        assert client.post(address, {"verb": "dance"}).status_code == 422
        assert client.post(address, {"verb": "resume"}, HTTP_HX_REQUEST="true").status_code == 200
        assert not pauses.is_paused(pauses.of_batch(batch))


def test_the_api_pauses_batches_and_teams(people, batch):
    api = APIClient()
    api.force_login(people.olga)
    for address in (f"/api/batches/{batch.pk}", f"/api/teams/{batch.team_id}"):
        assert api.post(f"{address}/pause/", {"reason": "x"}).json() == {"paused": True}
        conflict = api.post(f"{address}/pause/")
        assert (conflict.status_code, conflict.json()["state"]) == (409, "paused")
        assert api.post(f"{address}/resume/").json() == {"paused": False}
        assert api.post(f"{address}/resume/").status_code == 409
    assert Batch.objects.count() == 1


# Errands --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def dead_errand(blue):
    return Errand.objects.create(
        kind="judge_sheet", subject=4, team=blue, state="failed", error="no <room>", attempts=2, ended_at=timezone.now()
    )


def test_an_errand_that_failed_is_on_the_page_with_the_way_to_its_own(client, people, dead_errand):
    client.force_login(people.vera)
    html = client.get(reverse("admin:dead_letters")).content.decode()
    assert "no &lt;room&gt;" in html
    assert reverse("admin:upload_preview", args=[4]) in html
    client.force_login(people.oscar)
    assert "Errands that failed" not in client.get(reverse("admin:dead_letters")).content.decode()


def test_the_api_tells_errands_that_failed(people, dead_errand):
    client = APIClient()
    client.force_login(people.vera)
    (told,) = client.get("/api/dead-letters/errands/").json()["results"]
    assert (told["kind"], told["subject"], told["team"], told["error"]) == ("judge_sheet", 4, "blue", "no <room>")
    client.force_login(people.oscar)
    assert client.get("/api/dead-letters/errands/").json()["results"] == []


@pytest.fixture
def refused(blue, people):
    """A sheet that could not be judged, with the errand that failed."""
    sheet = Asset.objects.create(team=blue, kind="upload", name="spring.csv", storage_name="x", size_bytes=1)
    upload = Upload.objects.create(team=blue, user=people.olga, sheet=sheet, state="refused", problem="no room")
    return Errand.objects.create(
        kind="judge_sheet", subject=upload.pk, team=blue, state="failed", error="no room", ended_at=timezone.now()
    )


@pytest.mark.parametrize(
    ("who", "status"), [("olga", 302), ("root", 302), ("vera", 403), ("rita", 403), ("oscar", 404)]
)
def test_an_errand_is_tried_again_on_the_page(people, client, refused, who, status):
    client.force_login(getattr(people, who))
    button = f'name="errand" value="{refused.pk}"'
    assert (button in client.get(reverse("admin:dead_letters")).content.decode()) == (status == 302)
    answer = client.post(reverse("admin:dead_letters_retry"), {"errand": refused.pk}, follow=status == 302)
    assert answer.status_code == (200 if status == 302 else status)
    upload = Upload.objects.get()
    assert upload.state == ("judging" if status == 302 else "refused")
    if status == 302:
        html = answer.content.decode()
        assert "Judge sheet is queued again." in html
        assert button not in html
        again = client.post(reverse("admin:dead_letters_retry"), {"errand": refused.pk})
        assert again.status_code == 409
        assert "sent again already" in again.content.decode()
    assert Errand.objects.filter(state="queued").count() == (status == 302)


@pytest.mark.parametrize("number", ["0", "x", "٣", "9" * 30])
def test_an_errand_that_is_not_there_is_not_found(people, client, refused, number):
    client.force_login(people.olga)
    assert client.post(reverse("admin:dead_letters_retry"), {"errand": number}).status_code == 404


@pytest.mark.parametrize(("who", "status"), [("olga", 200), ("vera", 403), ("oscar", 404)])
def test_an_errand_is_tried_again_by_the_api(people, refused, who, status):
    client = APIClient()
    client.force_login(getattr(people, who))
    answer = client.post(f"/api/dead-letters/errands/{refused.pk}/retry/")
    assert answer.status_code == status
    if status == 200:
        sent = Errand.objects.get(state="queued")
        told = answer.json()
        assert (told["id"], told["state"], told["subject"]) == (sent.pk, "queued", refused.subject)
        again = client.post(f"/api/dead-letters/errands/{refused.pk}/retry/")
        assert (again.status_code, again.json()["state"]) == (409, "queued")
        assert client.post(f"/api/dead-letters/errands/{sent.pk}/retry/").status_code == 409
