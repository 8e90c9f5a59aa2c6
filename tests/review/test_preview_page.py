"""The preview page: the videos, their figures, approval with open warnings, rejection with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from batches.models import Batch
from jobs.models import Job, StageRun, Warning
from jobs.states import Stage, State
from tests.people import People
from tests.review.builders import add_warning, at_matching, at_preview
from tests.review.test_matching_page import html, signed_in, url


def send(client: Client, job: Job, verb: str, **values: Any) -> Any:
    return client.post(url("job_decide", job, verb), {"version": job.version, "page": "preview", **values})


def test_the_video_plays_at_once_muted_and_with_its_poster(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    page = html(signed_in(client, people.adam).get(url("job_preview", job)))
    video = page[page.index("<video") : page.index("</video>")]
    for word in ("autoplay", "muted", "loop", "playsinline", "controls"):
        assert f" {word}" in video
    for kind, attribute in (("preview_video", "src"), ("poster", "poster")):
        source = reverse("admin:asset_download", args=[job.assets.get(kind=kind).pk])
        assert f'{attribute}="{source}"' in video
    for kind in ("ae_video", "psd_video"):
        assert f'data-src="{reverse("admin:asset_download", args=[job.assets.get(kind=kind).pk])}"' in page


def test_figures_notes_and_filled_texts_are_shown(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    add_warning(job, Stage.PREVIEW, "info", kind=Warning.FIDELITY, message="Blur is not drawn.")
    page = html(signed_in(client, people.adam).get(url("job_preview", job)))
    for words in ("1.25 s", "2.00 s to encode", "at 25 fps", "Blur is not drawn.", "ANNA &amp; &lt;b&gt;"):
        assert words in page
    assert "0 open warnings" in page  # a note on the preview is no warning about the files


def test_a_preview_without_files_and_figures_can_still_be_decided(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    job.assets.filter(stage=Stage.PREVIEW).delete()
    StageRun.objects.filter(job=job, stage=Stage.PREVIEW).update(result={}, metrics={})
    page = signed_in(client, people.adam).get(url("job_preview", job))
    assert page.status_code == 200
    assert "No video" in html(page)
    assert "Approve and next" in html(page)


def test_the_script_is_read_in_place(client: Client, people: People, batch: Batch, tmp_path: Path) -> None:
    job = at_preview(batch, tmp_path / "store")
    source = signed_in(client, people.vera).get(url("job_script", job))
    assert "populate_script populate.jsx" in html(source)
    job.assets.filter(kind="populate_script").update(storage_name="00/gone")
    assert client.get(url("job_script", job)).status_code == 404
    assert client.get(url("job_script", at_matching(batch))).status_code == 404
    assert client.post(url("job_script", job)).status_code == 405
    assert signed_in(client, people.oscar).get(url("job_script", job)).status_code == 404


def test_approval_with_open_warnings_is_logged_with_their_number(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    add_warning(job, Stage.INGESTION)
    page = html(signed_in(client, people.adam).get(url("job_preview", job)))
    assert "1 open warning</span>: the approval is logged with them" in page
    answer = send(client, job, "approve_preview", then="list")
    assert answer.url == reverse("admin:my_queue")
    job.refresh_from_db()
    assert (job.stage, job.state) == (Stage.DELIVERY, State.QUEUED)
    assert job.decisions.get().open_warnings == 1
    assert f"Approved {job.job_id}: the final project is being prepared" in html(client.get(answer.url))


def test_a_rejection_goes_back_to_matching_with_its_reason(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    answer = send(signed_in(client, people.adam), job, "reject", target=2, reason="Names are swapped.")
    assert answer.url == reverse("admin:job", args=[job.pk])
    job.refresh_from_db()
    assert (job.stage, job.state) == (Stage.MATCHING, State.IN_REVIEW)
    assert "Names are swapped." in html(signed_in(client, people.rita).get(url("job_matching", job)))


@pytest.mark.parametrize(
    "values", [{"reason": ""}, {"reason": "  "}, {"reason": "x", "target": "9"}, {"reason": "x" * 5000}]
)
def test_a_rejection_that_says_too_little_is_422_and_changes_nothing(
    values: dict[str, str], client: Client, people: People, batch: Batch
) -> None:
    job = at_preview(batch)
    answer = send(signed_in(client, people.adam), job, "reject", **{"target": "2", **values})
    assert answer.status_code == 422
    assert "Nothing was changed" in html(answer)
    assert not job.decisions.exists()


def test_a_refused_rejection_keeps_what_was_written(client: Client, people: People, batch: Batch) -> None:
    answer = send(signed_in(client, people.adam), at_preview(batch), "reject", reason="Kept words", target="")
    assert answer.status_code == 422
    assert ">Kept words</textarea>" in html(answer)


def test_a_stale_approval_is_409_and_tells_who_was_faster(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    signed_in(client, people.adam)
    assert send(client, job, "reject", target=2, reason="First.").status_code == 302
    answer = send(client, job, "approve_preview")
    assert answer.status_code == 409
    assert "adam rejected" in html(answer)
    assert "Not there yet" in html(answer)


@pytest.mark.parametrize("verb", ["approve_preview", "reject"])
def test_only_an_approver_of_the_team_decides(verb: str, client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    for person, status in {"olga": 403, "rita": 403, "vera": 403, "oscar": 404}.items():
        answer = send(signed_in(client, getattr(people, person)), job, verb, target=2, reason="because")
        assert answer.status_code == status
    client.logout()
    assert "/login/" in send(client, job, verb).url
    assert signed_in(client, people.adam).get(url("job_decide", job, verb)).status_code == 405
    assert not job.events.exists()


@pytest.mark.parametrize("name", ["olga", "rita", "vera"])
def test_who_does_not_approve_watches_without_buttons(name: str, client: Client, people: People, batch: Batch) -> None:
    page = html(signed_in(client, getattr(people, name)).get(url("job_preview", at_preview(batch))))
    assert "<video" in page
    assert "Approve and next" not in page
    assert "reject-dialog" not in page


def test_a_job_that_is_not_there_yet_shows_nothing_of_the_preview(client: Client, people: People, batch: Batch) -> None:
    page = html(signed_in(client, people.adam).get(url("job_preview", at_matching(batch))))
    assert "Not there yet" in page
    assert "<video" not in page


def test_the_number_of_queries_is_bounded(
    client: Client, people: People, batch: Batch, django_assert_max_num_queries: Any
) -> None:
    job = at_preview(batch)
    for _ in range(30):
        add_warning(job, Stage.PREVIEW, kind=Warning.FIDELITY)
        add_warning(job, Stage.INGESTION)
    signed_in(client, people.adam)
    with django_assert_max_num_queries(20):
        client.get(url("job_preview", job))


def test_the_reviewer_reads_first_why_it_was_sent_back(client: Client, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    send(signed_in(client, people.adam), job, "reject", target=2, reason="Names are swapped.")
    page = html(signed_in(client, people.rita).get(url("job_matching", job)))
    assert page.index("Sent back by adam") < page.index("“Names are swapped.”") < page.index("Both sides at a glance")
    job.refresh_from_db()
    send(client, job, "approve_matches")
    assert "Sent back by adam" not in html(client.get(url("job_matching", job)))
