"""The matching page: both sides, changes one after the other, approval, and everybody who may not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from batches.models import Batch
from jobs.models import Job, Match, StageRun
from jobs.states import Stage, State
from review import decisions
from review.board import read_board
from review.prepared import read_prepared
from tests.people import People, make_job
from tests.review.builders import LAYERS, SLOTS, add_warning, at_matching, at_preview, place

HTMX = {"HTTP_HX_REQUEST": "true"}


def signed_in(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


def url(name: str, job: Job, *more: Any) -> str:
    return reverse(f"admin:{name}", args=[job.pk, *more])


def html(response: Any) -> str:
    return response.content.decode()


def test_the_page_shows_every_layer_and_every_slot_with_its_pictures(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    page = signed_in(client, people.rita).get(url("job_matching", job))
    assert page.status_code == 200
    for layer in LAYERS:
        assert layer["name"] in html(page)
    for slot in SLOTS:
        assert slot["name"] in html(page)
        assert slot["reason"] in html(page)
    for asset in job.assets.filter(kind__in=["layer_preview", "slot_preview", "comp_preview", "composite_preview"]):
        assert reverse("admin:asset_download", args=[asset.pk]) in html(page)
    assert "runner-up BERTA 40" in html(page)


def test_a_slot_offers_the_layers_of_its_kind_with_their_scores_best_first(people: People, batch: Batch) -> None:
    rows = {row.match.slot_id: row for row in read_board(read_prepared(at_matching(batch))).rows}
    assert [(choice.name, choice.score) for choice in rows["1:1"].choices] == [("ANNA", 80.0), ("BERTA", 40.0)]
    assert [(choice.name, choice.score) for choice in rows["1:3"].choices] == [("photo", 90.0), ("backdrop", 20.0)]
    assert [choice.name for choice in rows["1:1"].choices if choice.chosen] == ["ANNA"]


def test_empty_slots_come_first_and_layers_without_a_slot_are_kept(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    job.matches.filter(slot_id="1:2").update(layer_id=None, layer_name="", score=None, parts={})
    board = read_board(read_prepared(job))
    assert [row.match.slot_id for row in board.rows] == ["1:2", "1:1", "1:3"]
    assert [card.name for card in board.kept] == ["BERTA", "backdrop"]
    assert board.filled == 2


def test_a_job_without_slots_and_layers_can_still_be_looked_at(client: Client, people: People, batch: Batch) -> None:
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    for stage in (Stage.INGESTION, Stage.MATCHING):
        StageRun.objects.create(job=job, stage=stage, input_hash=str(stage), state="done", result={})
    page = signed_in(client, people.rita).get(url("job_matching", job))
    assert page.status_code == 200
    assert "The template has no slots" in html(page)


def test_names_are_shown_as_text_never_as_markup(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    job.matches.filter(slot_id="1:1").update(slot_name="<script>x</script> 名前 🎬")
    page = signed_in(client, people.rita).get(url("job_matching", job))
    assert "<script>x" not in html(page)
    assert "&lt;script&gt;x&lt;/script&gt; 名前 🎬" in html(page)


def test_what_the_sheet_said_is_told_from_proposals(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    job.matches.filter(slot_id="1:1").update(origin="sheet", score=100, parts={"sheet": 100.0})
    job.matches.filter(slot_id="1:2").update(origin="sheet", layer_id=None, layer_name="", score=None, parts={})
    page = html(signed_in(client, people.rita).get(url("job_matching", job)))
    assert page.count("<summary>Named in the sheet") == 1
    assert page.count("<summary>Kept as the template has it by the sheet") == 1
    assert "Its cell in the sheet has a dash." in page


def change(client: Client, job: Job, version: int, slot: str = "1:1", layer: Any = 5) -> Any:
    return client.post(url("job_amend", job), {"slot_id": slot, "layer_id": layer, "version": version}, **HTMX)


def test_a_change_answers_with_what_it_touched_and_the_new_version(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    answer = change(signed_in(client, people.rita), job, 0)
    assert answer.status_code == 200
    assert 'name="version" value="1"' in html(answer)
    assert set(re.findall(r'id="(slot-\d+)"[^>]*hx-swap-oob', html(answer))) == {"slot-1", "slot-2"}
    assert set(re.findall(r'id="(layer-\d+)"[^>]*hx-swap-oob', html(answer))) == {"layer-4", "layer-5"}
    assert "Chosen by rita" in html(answer)


def test_several_quick_changes_follow_each_other_by_the_versions_they_answer(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    signed_in(client, people.rita)
    version = 0
    for slot, layer in (("1:1", 5), ("1:3", 7), ("1:2", ""), ("1:1", 4)):
        answer = change(client, job, version, slot, layer)
        version = int(re.search(r'name="version" value="(\d+)"', html(answer))[1])
    assert version == 4
    assert dict(job.matches.values_list("slot_id", "layer_id")) == {"1:1": 4, "1:2": None, "1:3": 7}


def test_a_stale_change_is_409_with_the_fresh_page_and_who_was_faster(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    decisions.amend(people.root, job, slot_id="1:1", layer_id=5, version=0)
    answer = change(signed_in(client, people.rita), job, 0, "1:3", 7)
    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#review"
    assert "root amended the matches" in html(answer)
    assert "first: ANNA → BERTA" in html(answer)
    assert 'name="version" value="1"' in html(answer)
    assert not html(answer).lstrip().startswith("<!DOCTYPE")
    assert job.matches.get(slot_id="1:3").layer_id == 6


def test_a_change_of_an_approved_job_is_409_and_shows_where_it_went(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    decisions.approve(people.root, job, version=0)
    answer = change(signed_in(client, people.rita), job, 1)
    assert answer.status_code == 409
    assert "Amend matches is not possible" in html(answer)


@pytest.mark.parametrize(
    ("slot", "layer"), [("1:1", 6), ("1:1", 99), ("9:9", 4), ("", 4), ("1:1", "x"), ("1:1", 10**30)]
)
def test_a_layer_that_cannot_go_there_is_422_and_changes_nothing(
    slot: str, layer: Any, client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    before = dict(job.matches.values_list("slot_id", "layer_id"))
    answer = change(signed_in(client, people.rita), job, 0, slot, layer)
    assert answer.status_code == 422
    assert "Nothing was changed" in html(answer)
    assert dict(job.matches.values_list("slot_id", "layer_id")) == before


def test_undo_takes_the_change_back_and_a_second_one_has_nothing_left(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    change(signed_in(client, people.rita), job, 0)
    assert client.post(url("job_undo", job), {"version": 1}, **HTMX).status_code == 200
    assert job.matches.get(slot_id="1:1").layer_id == 4
    assert client.post(url("job_undo", job), {"version": 2}, **HTMX).status_code == 409


def test_another_render_comp_reads_the_template_again(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    answer = signed_in(client, people.rita).post(url("job_comp", job), {"comp_id": 2, "version": 0})
    assert answer.status_code == 302
    job.refresh_from_db()
    assert (job.stage, job.state, job.render_comp_id) == (Stage.INGESTION, State.QUEUED, 2)


def approve(client: Client, job: Job, version: int, then: str = "next") -> Any:
    values = {"version": version, "then": then, "page": "matching"}
    return client.post(url("job_decide", job, "approve_matches"), values)


def test_approve_and_next_queues_stage_3_and_leads_to_the_next_job_of_the_batch(
    client: Client, people: People, batch: Batch
) -> None:
    elsewhere = Batch.objects.create(team=batch.team, name="Other", created_by=people.olga)
    at_matching(elsewhere, priority=0)
    job, normal, urgent = at_matching(batch), at_matching(batch), at_matching(batch, priority=0)
    at_matching(batch, priority=0, assignee=people.adam)
    answer = approve(signed_in(client, people.rita), job, 0)
    assert answer.url == reverse("admin:job", args=[urgent.pk])
    assert job.runs.filter(stage=Stage.PREVIEW, state=StageRun.QUEUED).exists()
    page = client.get(answer.url, follow=True)
    assert f"Approved {job.job_id}: the preview is being prepared" in html(page)
    assert approve(client, urgent, 0).url == reverse("admin:job", args=[normal.pk])


def test_approve_the_last_one_goes_to_the_list(client: Client, people: People, batch: Batch) -> None:
    answer = approve(signed_in(client, people.rita), at_matching(batch), 0)
    assert answer.url == reverse("admin:my_queue")
    assert "Nothing else waits for you" in html(client.get(answer.url))


def test_approve_and_back_goes_to_the_list_though_others_wait(client: Client, people: People, batch: Batch) -> None:
    at_matching(batch)
    answer = approve(signed_in(client, people.rita), at_matching(batch), 0, "list")
    assert answer.url == reverse("admin:my_queue")


def test_the_preview_that_was_made_before_is_ready_at_once(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.approve(people.root, job, version=0)
    job.runs.filter(stage=Stage.PREVIEW).update(state=StageRun.DONE)
    place(job, Stage.MATCHING, State.IN_REVIEW)
    approve(signed_in(client, people.rita), job, job.version, "")
    job.refresh_from_db()
    assert (job.stage, job.state) == (Stage.PREVIEW, State.IN_REVIEW)
    assert "the preview is ready" in html(client.get(url("job_preview", job)))


def test_a_stale_approval_is_409_with_the_whole_fresh_page(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.root, job, slot_id="1:1", layer_id=5, version=0)
    answer = approve(signed_in(client, people.rita), job, 0)
    assert answer.status_code == 409
    assert html(answer).lstrip().startswith("<!DOCTYPE")
    assert "root amended the matches" in html(answer)
    assert "Reload the page" in html(answer)
    assert not job.decisions.exists()


def test_a_second_click_on_approve_decides_nothing_more(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    signed_in(client, people.rita)
    assert [approve(client, job, 0).status_code for _ in range(2)] == [302, 409]
    assert job.decisions.count() == 1


@pytest.mark.parametrize("name", ["olga", "adam", "vera"])
def test_who_does_not_review_sees_the_page_without_its_buttons(
    name: str, client: Client, people: People, batch: Batch
) -> None:
    page = signed_in(client, getattr(people, name)).get(url("job_matching", at_matching(batch)))
    assert page.status_code == 200
    for hook in ("Approve and next", "data-choice", "data-empty", 'draggable="true"', "comp-dialog"):
        assert hook not in html(page)
    assert "Reviewers of Blue decide here" in html(page)


POSTS = ["job_amend", "job_undo", "job_comp", "approve_matches"]


def address(name: str, job: Job) -> str:
    return url(name, job) if name.startswith("job_") else url("job_decide", job, name)


VALUES = {"slot_id": "1:1", "layer_id": "5", "comp_id": "2", "version": "0"}


@pytest.mark.parametrize("name", POSTS)
def test_nobody_but_a_reviewer_of_the_team_changes_anything(
    name: str, client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    expected = {"olga": 403, "adam": 403, "vera": 403, "oscar": 404}
    for person, status in expected.items():
        assert signed_in(client, getattr(people, person)).post(address(name, job), VALUES).status_code == status
    client.logout()
    for user in (None, people.nobody):
        if user:
            client.force_login(user)
        answer = client.post(address(name, job), VALUES)
        assert answer.status_code == 302
        assert "/login/" in answer.url
    assert signed_in(client, people.rita).get(address(name, job)).status_code == 405
    job.refresh_from_db()
    assert (job.version, job.events.count()) == (0, 0)


def test_anothers_team_page_is_not_there_and_strangers_log_in_first(
    client: Client, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    assert "/login/" in client.get(url("job_matching", job)).url
    assert signed_in(client, people.oscar).get(url("job_matching", job)).status_code == 404
    assert client.get(reverse("admin:job_matching", args=[10**9])).status_code == 404


def test_a_stage_that_is_over_is_shown_without_buttons(client: Client, people: People, batch: Batch) -> None:
    page = signed_in(client, people.root).get(url("job_matching", at_preview(batch)))
    assert "This stage is behind" in html(page)
    assert "Approve and next" not in html(page)
    assert "data-choice" not in html(page)
    assert "ANNA" in html(page)


def settle(client: Client, job: Job, pk: int, **values: str) -> Any:
    return client.post(url("job_warning", job, pk), values, **HTMX)


def test_a_warning_is_resolved_accepted_and_opened_again(client: Client, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    warning, _ = add_warning(job, Stage.INGESTION), add_warning(job, Stage.INGESTION, "critical")
    signed_in(client, people.rita)
    answer = settle(client, job, warning.pk, resolution="resolved")
    assert answer.status_code == 200
    assert f'id="warning-{warning.pk}"' in html(answer)
    assert "1 open warning<" in html(answer)
    assert "2 open warnings" in html(settle(client, job, warning.pk, resolution=""))
    assert settle(client, job, warning.pk, resolution="accepted", note=" ").status_code == 422
    assert "“It is fine.”" in html(settle(client, job, warning.pk, resolution="accepted", note="It is fine."))
    assert settle(client, job, warning.pk, resolution="nonsense").status_code == 422


def test_a_warning_of_another_job_or_team_is_not_there(client: Client, people: People, batch: Batch) -> None:
    job, other = at_matching(batch), at_matching(batch)
    warning = add_warning(other, Stage.INGESTION)
    assert settle(signed_in(client, people.rita), job, warning.pk, resolution="resolved").status_code == 404
    assert settle(signed_in(client, people.oscar), other, warning.pk, resolution="resolved").status_code == 404
    assert settle(signed_in(client, people.vera), other, warning.pk, resolution="resolved").status_code == 403
    assert client.get(url("job_warning", other, warning.pk)).status_code == 405


def add_slots(job: Job, count: int) -> None:
    run = job.runs.get(stage=Stage.INGESTION)
    for number in range(count):
        run.result["slots"].append({**SLOTS[0], "id": f"2:{number}"})
        run.result["layers"].append({**LAYERS[0], "layer_id": 100 + number})
        Match.objects.create(job=job, slot_id=f"2:{number}", slot_name="more", slot_kind="text", layer_id=100 + number)
    run.save()


def test_the_number_of_queries_does_not_grow_with_the_slots(
    client: Client, people: People, batch: Batch, django_assert_max_num_queries: Any
) -> None:
    job = at_matching(batch)
    add_slots(job, 60)
    for _ in range(20):
        add_warning(job, Stage.INGESTION)
    signed_in(client, people.rita)
    with django_assert_max_num_queries(20):
        assert client.get(url("job_matching", job)).status_code == 200
    with django_assert_max_num_queries(45):
        assert change(client, job, 0).status_code == 200
