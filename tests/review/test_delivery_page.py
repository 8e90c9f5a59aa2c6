"""The delivery page: the validator's report, the way back, force with a reason, and what was deployed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from batches.models import Batch
from jobs.models import Job
from jobs.states import Stage, State
from review.handover import read_handover
from review.prepared import read_prepared
from tests.people import People
from tests.review.builders import add_asset, add_warning, at_delivery, at_preview, place
from tests.review.test_matching_page import html, signed_in, url

REASON = "The client wants it so."


def send(client: Client, job: Job, verb: str, **values: Any) -> Any:
    return client.post(url("job_decide", job, verb), {"version": job.version, "page": "delivery", **values})


def test_the_report_names_object_evidence_and_cure(client: Client, people: People, batch: Batch) -> None:
    page = html(signed_in(client, people.adam).get(url("job_delivery", at_delivery(batch))))
    for words in ("Not clean", "layered_footage", "a.psd", "used by first", "Use PNGs.", "Force-approve", "Send back"):
        assert words in page
    assert "What was deployed" not in page


def test_what_the_validator_found_is_listed_once_and_apart_from_earlier_warnings(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_delivery(batch)
    early = add_warning(job, Stage.INGESTION)
    page = html(signed_in(client, people.adam).get(url("job_delivery", job)))
    for warning in job.warnings.all():
        assert page.count(f'id="warning-{warning.pk}"') == 1
    assert page.index("Warnings of earlier stages") < page.index(f'id="warning-{early.pk}"')


@pytest.mark.parametrize(("target", "stage"), [("2", Stage.MATCHING), ("3", Stage.PREVIEW)])
def test_a_job_goes_back_to_matching_or_to_the_preview(
    target: str, stage: Stage, client: Client, people: People, batch: Batch
) -> None:
    job = at_delivery(batch)
    answer = send(signed_in(client, people.adam), job, "reject", target=target, reason="Put it right.")
    assert answer.status_code == 302
    job.refresh_from_db()
    assert (job.stage, job.state) == (stage, State.IN_REVIEW)


@pytest.mark.parametrize("target", ["4", "1", "", "two"])
def test_it_goes_nowhere_else(target: str, client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    answer = send(signed_in(client, people.adam), job, "reject", target=target, reason="Put it right.")
    assert answer.status_code == 422


@pytest.mark.parametrize("reason", ["", "too short", "          ", " nine char"])
def test_force_with_less_than_ten_characters_is_422(reason: str, client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    answer = send(signed_in(client, people.adam), job, "force_approve", reason=reason)
    assert answer.status_code == 422
    assert "at least 10 characters" in html(answer)
    assert "data-open" in html(answer)
    job.refresh_from_db()
    assert (job.version, job.forced_reason) == (0, "")


def test_force_queues_the_delivery_and_is_written_down(client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    answer = send(signed_in(client, people.adam), job, "force_approve", reason=REASON)
    assert answer.status_code == 302
    job.refresh_from_db()
    assert (job.stage, job.state, job.forced_reason) == (Stage.DELIVERY, State.QUEUED, REASON)
    assert job.decisions.get().reason == REASON


def test_a_second_force_is_409(client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    signed_in(client, people.adam)
    statuses = [send(client, job, "force_approve", reason=REASON).status_code for _ in range(2)]
    assert statuses == [302, 409]
    assert job.decisions.count() == 1


@pytest.mark.parametrize("verb", ["force_approve", "reject"])
def test_only_an_approver_of_the_team_decides(verb: str, client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    for person, status in {"olga": 403, "rita": 403, "vera": 403, "oscar": 404}.items():
        answer = send(signed_in(client, getattr(people, person)), job, verb, target=2, reason=REASON)
        assert answer.status_code == status
    client.logout()
    assert "/login/" in send(client, job, verb, reason=REASON).url
    assert not job.events.exists()


@pytest.mark.parametrize("name", ["olga", "rita", "vera"])
def test_others_read_the_report_without_buttons(name: str, client: Client, people: People, batch: Batch) -> None:
    page = html(signed_in(client, getattr(people, name)).get(url("job_delivery", at_delivery(batch))))
    assert "layered_footage" in page
    assert "force-dialog" not in page
    assert "reject-dialog" not in page


def test_a_completed_job_offers_its_files_and_says_who_answers_for_it(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_delivery(batch, State.DONE)
    job.decisions.create(
        stage=4, verb="force_approve", user=people.adam, reason=REASON, version=1, shown_sha256="ab" * 32
    )
    page = html(signed_in(client, people.vera).get(url("job_delivery", job)))
    for asset in job.assets.filter(storage="outputs"):
        assert asset.name in page
        assert reverse("admin:asset_download", args=[asset.pk]) in page
    assert reverse("admin:job_download", args=[job.pk]) in page
    assert "ab" * 32 in page
    assert REASON in page
    assert "it was force-approved" in page


def test_only_the_newest_release_is_shown(people: People, batch: Batch) -> None:
    job = at_delivery(batch, State.DONE)
    newer = add_asset(
        job,
        Stage.DELIVERY,
        "released_project",
        "out.aep",
        storage="outputs",
        storage_name="blue/Spring-1/out-2/out.aep",
    )
    handover = read_handover(read_prepared(job))
    assert handover.files == (newer,)
    assert handover.folder == "blue/Spring-1/out-2"


def test_what_was_deployed_before_is_not_offered_while_the_job_is_open_again(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_delivery(batch, State.DONE)
    place(job, Stage.DELIVERY, State.IN_REVIEW)
    assert "What was deployed" not in html(signed_in(client, people.adam).get(url("job_delivery", job)))


def test_a_job_that_is_not_there_yet_shows_no_report(client: Client, people: People, batch: Batch) -> None:
    assert "Not there yet" in html(signed_in(client, people.adam).get(url("job_delivery", at_preview(batch))))


def test_the_number_of_queries_does_not_grow_with_the_files(
    client: Client, people: People, batch: Batch, django_assert_max_num_queries: Any
) -> None:
    job = at_delivery(batch, State.DONE)
    for number in range(40):
        name = f"footage/{number}.png"
        add_asset(
            job, Stage.DELIVERY, "released_footage", name, storage="outputs", storage_name=f"blue/Spring-1/out/{name}"
        )
    signed_in(client, people.vera)
    with django_assert_max_num_queries(20):
        assert "footage/39.png" in html(client.get(url("job_delivery", job)))


def test_a_refused_reason_opens_its_own_dialog(client: Client, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    for verb, opened, shut in (("reject", "reject", "force"), ("force_approve", "force", "reject")):
        page = html(send(signed_in(client, people.adam), job, verb, target=2, reason=" "))
        assert f'aria-labelledby="{opened}-title" data-open' in page
        assert f'aria-labelledby="{shut}-title" data-open' not in page
