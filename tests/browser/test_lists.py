"""Lists in a browser: filters that stay, verbs on many, the keyboard, what another person changes meanwhile."""

from __future__ import annotations

import re
from typing import Any

from django.urls import reverse
from playwright.sync_api import Page, expect

from batches.models import Batch
from jobs import pauses
from jobs.models import Job, Team
from jobs.states import State
from review.decisions import decide
from tests.browser.conftest import Visit
from tests.people import People, make_job
from tests.review.builders import at_matching
from tests.review.test_job_page import running


def line(page: Page, name: str) -> Any:
    return page.locator("tr[data-walk-item]").filter(has=page.get_by_role("link", name=name, exact=True))


def test_filters_stay_with_back_and_reload(visit: Visit, people: People, batch: Batch) -> None:
    other = Batch.objects.create(team=batch.team, name="Winter", created_by=people.olga)
    make_job(batch, client_name="Ada"), make_job(other, client_name="Bob")
    visitor = visit(people.olga)
    visitor.go(reverse("admin:batches"))
    page = visitor.page
    page.get_by_label("Client").focus()
    expect(page.locator("#clients option")).to_have_count(2)
    page.get_by_label("Client").press_sequentially("ad")
    expect(page.locator("#clients option")).to_have_count(1)
    # By keys alone: a choice that is made at once sends the form, and Enter would send it again.
    for key in ("Control+a", "A", "d", "a", "Enter"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("client=Ada"))
    expect(line(page, "Spring")).to_be_visible()
    expect(line(page, "Winter")).to_have_count(0)
    page.wait_for_load_state()
    page.get_by_text("More filters").click()
    page.get_by_label("Opened by").select_option("olga")
    expect(page).to_have_url(re.compile("client=Ada.*who=olga"))

    page.get_by_role("link", name="Spring", exact=True).click()
    expect(page.get_by_role("heading", name="Spring", level=1)).to_be_visible()
    page.go_back()
    for _ in range(2):
        expect(page.get_by_label("Client")).to_have_value("Ada")
        expect(page.get_by_label("Opened by")).to_have_value("olga")
        expect(line(page, "Winter")).to_have_count(0)
        page.reload()
    page.get_by_role("link", name="Clear").click()
    expect(line(page, "Winter")).to_be_visible()
    assert visitor.complaints == []


def test_many_batches_are_cancelled_after_a_question(visit: Visit, people: People, batch: Batch, blue: Team) -> None:
    other = Batch.objects.create(team=blue, name="Winter", created_by=people.olga)
    kept = Batch.objects.create(team=blue, name="Summer", created_by=people.olga)
    jobs = [make_job(one) for one in (batch, other, kept)]
    visitor = visit(people.olga)
    visitor.go(reverse("admin:batches") + "?sort=name")
    page = visitor.page
    page.get_by_role("checkbox", name="Tick Spring").check()
    page.get_by_role("checkbox", name="Tick Winter").check()
    expect(page.get_by_role("status").filter(has_text="2 ticked")).to_be_visible()
    page.get_by_role("button", name="Cancel …").click()
    expect(page.get_by_role("heading", name="Cancel 2 batches?")).to_be_visible()
    assert not Job.objects.filter(state=State.CANCELLED).exists()
    page.get_by_role("link", name="Back").click()
    expect(page).to_have_url(re.compile(r"\?sort=name$"))
    page.go_back()
    page.get_by_label("Reason, for the history").fill("The client left.")
    page.get_by_role("button", name="Cancel 2 batches").click()
    visitor.is_told("Cancel: 2 batches.")
    # A reload asks nothing of the server again, and the filters are still there.
    page.reload()
    expect(page).to_have_url(re.compile(r"\?sort=name$"))
    assert [Job.objects.get(pk=job.pk).state for job in jobs] == [State.CANCELLED, State.CANCELLED, State.PENDING]
    assert jobs[0].events.filter(verb="cancel").count() == 1


def test_jobs_are_cancelled_by_keyboard_after_a_question(visit: Visit, people: People, batch: Batch) -> None:
    first, second, third = (make_job(batch) for _ in range(3))
    visitor = visit(people.olga)
    visitor.go(reverse("admin:batch", args=[batch.pk]) + "?sort=job")
    page, keys = visitor.page, visitor.page.keyboard
    keys.press("j")
    expect(page.get_by_role("link", name=first.job_id)).to_be_focused()
    keys.press("x")
    keys.press("j")
    keys.press("x")
    expect(page.get_by_role("status").filter(has_text="2 ticked")).to_be_visible()

    page.locator("#bulk-cancel").focus()
    keys.press("Enter")
    question = page.get_by_role("dialog", name="Cancel the ticked jobs?")
    expect(question).to_be_visible()
    keys.press("Escape")
    expect(question).to_be_hidden()
    expect(page.locator("#bulk-cancel")).to_be_focused()
    assert not Job.objects.filter(state=State.CANCELLED).exists()
    keys.press("Enter")
    page.get_by_label("Reason").fill("Sent twice")
    keys.press("Tab")
    keys.press("Tab")
    expect(question.get_by_role("button", name="Cancel the ticked jobs")).to_be_focused()
    keys.press("Enter")
    expect(question).to_be_hidden()
    expect(line(page, second.job_id)).to_contain_text("Cancelled")
    states = [Job.objects.get(pk=job.pk).state for job in (first, second, third)]
    assert states == [State.CANCELLED, State.CANCELLED, State.PENDING]
    assert first.events.get(verb="cancel").reason == "Sent twice"
    assert page.url.endswith("?sort=job")

    page.get_by_role("button", name=f"Cancel {third.job_id}").click()
    expect(page.get_by_role("dialog", name=f"Cancel {third.job_id}?")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name=f"Cancel {third.job_id}").click()
    expect(line(page, third.job_id)).to_contain_text("Cancelled")
    assert visitor.complaints == []


def test_a_batch_shows_its_work_and_keeps_the_focus(visit: Visit, people: People, batch: Batch) -> None:
    job, other = running(batch), make_job(batch)
    run = job.runs.get()
    visitor = visit(people.olga)
    visitor.go(reverse("admin:batch", args=[batch.pk]))
    page = visitor.page
    expect(line(page, job.job_id)).to_contain_text("drawing frames")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name=job.job_id)).to_be_focused()
    run.step, run.percent = "encoding", 80.0
    run.save()
    expect(line(page, job.job_id)).to_contain_text("encoding")

    # Another person changes the focused job: the row is drawn anew, and the keyboard is where it was.
    decide(people.olga, job, "hold")
    expect(line(page, job.job_id)).to_contain_text("On hold")
    expect(page.get_by_role("link", name=job.job_id)).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name=other.job_id)).to_be_focused()
    expect(page.locator("#figures")).to_contain_text("On hold")

    archive = page.get_by_role("button", name="Archive")
    expect(archive).to_be_visible()
    make_job(batch, state=State.QUEUED)
    expect(page.get_by_role("button", name="Pause the batch")).to_be_visible()
    expect(archive).to_have_count(0)
    pauses.pause(people.root, pauses.of_batch(batch), reason="The client thinks.")
    expect(page.get_by_text("The client thinks.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause the batch")).to_be_visible()
    assert visitor.complaints == []


def test_the_list_opens_a_batch_and_follows_its_work(visit: Visit, people: People, batch: Batch) -> None:
    job = running(batch)
    run = job.runs.get()
    visitor = visit(people.vera)
    visitor.go(reverse("admin:batches"))
    page = visitor.page
    expect(line(page, "Spring")).to_contain_text(f"{job.job_id} · Preview: drawing frames, 42 %")
    inside = page.locator(f"#inside-{batch.pk}")
    opener = page.get_by_role("button", name="Jobs of Spring")
    expect(inside).to_be_hidden()
    opener.focus()
    page.keyboard.press("Enter")
    expect(inside.get_by_role("link", name=job.job_id)).to_be_visible()
    expect(inside).to_contain_text("drawing frames · 42 %")

    run.step, run.percent = "encoding", 80.0
    run.save()
    expect(line(page, "Spring")).to_contain_text(f"{job.job_id} · Preview: encoding, 80 %")
    expect(inside).to_contain_text("encoding · 80 %")
    Job.objects.filter(pk=job.pk).update(state=State.DONE, stage=4, bytes_out=5 * 2**20)
    expect(line(page, "Spring")).to_contain_text("1 of 1 completed")
    expect(line(page, "Spring").locator(f"#out-{batch.pk}")).to_have_text("5.0\xa0MB")
    expect(inside).to_contain_text("Completed")

    opener.press("Enter")
    expect(inside).to_be_hidden()
    expect(opener).to_have_attribute("aria-expanded", "false")
    assert visitor.complaints == []


def test_a_late_click_in_a_list_tells_who_was_first(visit: Visit, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    visitor = visit(people.olga)
    page = visitor.page
    page.route("**/changes/**", lambda route: route.abort())
    visitor.go(reverse("admin:batch", args=[batch.pk]))
    decide(people.rita, job, "approve_matches", version=job.version)
    page.get_by_role("button", name=f"Hold {job.job_id}").click()
    expect(page.locator(".toast-error")).to_contain_text("has changed")
    expect(line(page, job.job_id)).to_contain_text("Processing")
