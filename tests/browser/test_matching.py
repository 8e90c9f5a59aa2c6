"""Matches corrected without a mouse: another layer, none, undo; with a slow network and a second tab."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import Route, expect

from batches.models import Batch
from jobs.models import Job
from jobs.states import Stage
from tests.browser.conftest import Visit
from tests.people import People
from tests.review.builders import at_matching


def layers(job: Job) -> list[int | None]:
    return list(job.matches.order_by("order").values_list("layer_id", flat=True))


def test_matches_are_corrected_by_keyboard(visit: Visit, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    proposed = layers(job)
    visitor = visit(people.rita)
    visitor.go(reverse("admin:job_matching", args=[job.pk]))
    page, keys = visitor.page, visitor.page.keyboard
    keys.press("j")
    expect(page.locator("#walk-1")).to_be_focused()
    keys.press("Enter")
    choice = page.locator("#choice-1")
    expect(choice).to_be_focused()
    # The slot is emptied by its button, which is gone then: the focus stays at the slot, and j goes on from there.
    keys.press("Tab")
    keys.press("Enter")
    first = page.locator("[data-slot]").first
    expect(first).to_contain_text("Empty")
    expect(page.locator("#walk-1")).to_be_focused()
    assert layers(job) == [None, *proposed[1:]]
    keys.press("j")
    expect(page.locator("#walk-2")).to_be_focused()

    page.locator("[data-undo]").focus()
    keys.press("Enter")
    expect(first).not_to_contain_text("Empty")
    assert layers(job) == proposed

    # Another layer; the choice keeps the focus while the server's answer is drawn.
    choice.focus()
    keys.press("Home")
    expect(first).to_contain_text("Empty")
    expect(choice).to_be_focused()
    keys.press("Tab")
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_two_tabs_and_a_slow_network_lose_no_change(visit: Visit, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    visitor = visit(people.rita)
    address = reverse("admin:job_matching", args=[job.pk])
    visitor.go(address)
    page = visitor.page
    other = visitor.context.new_page()
    other.goto(visitor.address + address)

    # Two changes and the approval, each faster than the network: they arrive in their order.
    held: list[Route] = []
    page.route("**/matching/amend/", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/matching/amend/"):
        page.locator("#choice-1").select_option("")
    page.locator("#choice-2").select_option("")
    page.get_by_role("button", name="Approve and next").click()
    page.wait_for_function("document.body.classList.contains('is-changing')")
    assert len(held) == 1
    held[0].continue_()
    visitor.is_told("Nothing else waits for you.")
    job.refresh_from_db()
    assert layers(job)[:2] == [None, None]
    assert job.stage == Stage.PREVIEW

    # The other tab is late: it is told what happened, and by whom.
    other.locator("#choice-1").select_option(index=1)
    expect(other.get_by_role("alert")).to_contain_text("rita approved the matches")
    job.refresh_from_db()
    assert layers(job)[0] is None


def test_what_is_chosen_before_the_scripts_run_is_sent(visit: Visit, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    proposed = layers(job)
    visitor = visit(people.rita)
    page = visitor.page
    held: list[Route] = []
    page.route("**/review*.js*", lambda route: held.append(route))
    with page.expect_request("**/review*.js*"):
        page.goto(visitor.address + reverse("admin:job_matching", args=[job.pk]), wait_until="commit")
    page.locator("#choice-1").select_option("")
    held[0].continue_()
    expect(page.locator("[data-slot]").first).to_contain_text("Empty")
    assert layers(job) == [None, *proposed[1:]]
    # As it is when nobody chose: nothing is sent.
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.unroute("**/review*.js*")
    page.reload()
    assert "POST" not in sent
