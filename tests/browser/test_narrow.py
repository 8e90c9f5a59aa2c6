"""Pages on a phone and Django's own forms: nothing is cut off, nothing lies behind something else."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from batches.models import Batch
from jobs.models import Team, WebhookEndpoint
from tests.browser.conftest import Visit
from tests.people import People, make_job
from tests.review.builders import at_delivery

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


def sides(place: Locator) -> tuple[float, float, float]:
    """(left, right, bottom) of what is shown."""
    box = place.bounding_box()
    assert box is not None
    return box["x"], box["x"] + box["width"], box["y"] + box["height"]


def font_px(place: Locator) -> float:
    return float(place.evaluate("element => parseFloat(getComputedStyle(element).fontSize)"))


@pytest.mark.parametrize("screen", [PHONE, DESK])
def test_the_form_of_a_webhook_is_seen_in_full(
    visit: Visit, people: People, blue: Team, screen: dict[str, int]
) -> None:
    endpoint = WebhookEndpoint.objects.create(team=blue, url="https://example.com/" + "x" * 30)
    visitor = visit(people.root, viewport=screen)
    visitor.go(reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk]))
    page: Page = visitor.page
    left, right, _ = sides(page.locator("fieldset.module"))
    for name in ("URL:", "Secret:"):
        place = page.get_by_label(name)
        assert left < sides(place)[0] < sides(place)[1] < right
        if screen == DESK:
            assert place.evaluate("field => field.scrollWidth <= field.clientWidth"), name
    _, _, above = sides(page.locator(".submit-row").last)
    test = page.locator("#endpoint-test").bounding_box()
    assert test is not None
    assert test["y"] >= above
    assert visitor.complaints == []


def test_labels_are_as_large_on_a_phone_as_elsewhere(visit: Visit, people: People) -> None:
    sizes = []
    for screen in (PHONE, DESK):
        visitor = visit(people.olga, viewport=screen)
        visitor.go(reverse("admin:space"))
        sizes.append(font_px(visitor.page.locator(".field > label").first))
    assert sizes[0] == sizes[1]


def test_the_present_tab_is_in_sight(visit: Visit, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    visitor = visit(people.vera, viewport=PHONE)
    visitor.go(reverse("admin:job_record", args=[job.pk]))
    tab = visitor.page.get_by_role("navigation", name=f"Pages of {job.job_id}").get_by_role("link", name="Record")
    expect(tab).to_have_attribute("aria-current", "page")
    assert sides(tab)[1] <= PHONE["width"]


def test_what_a_job_has_not_takes_no_place_on_a_phone(visit: Visit, people: People, batch: Batch) -> None:
    job = make_job(batch)
    visitor = visit(people.vera, viewport=PHONE)
    visitor.go(reverse("admin:batch", args=[batch.pk]))
    row = visitor.page.locator(f"#job-{job.pk}")
    expect(row).to_be_visible()
    expect(row.get_by_text("–")).to_be_hidden()
