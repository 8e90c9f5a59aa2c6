"""The bell in a browser: it counts by itself, leads to what happened, and is quiet again."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import expect

from batches.models import Batch
from jobs.models import Notice
from review.decisions import assign, comment
from tests.browser.conftest import Visit
from tests.people import People
from tests.review.builders import at_preview


def test_the_bell_rings_for_a_mention_and_an_assignment(visit: Visit, people: People, batch: Batch) -> None:
    first, second = at_preview(batch), at_preview(batch)
    visitor = visit(people.adam)
    page = visitor.page
    bell = page.get_by_role("link", name="Notices")
    expect(bell).not_to_contain_text("unread")

    comment(people.rita, first, text="@adam the name is cut off, is it not?")
    assign(people.olga, second, assignee=people.adam)
    # It asks again by itself every half a minute; with another page, at once.
    visitor.go(reverse("admin:batches"))
    expect(bell).to_have_accessible_name("Notices 2 unread")
    bell.focus()
    page.keyboard.press("Enter")
    mention = page.get_by_role("listitem").filter(has_text="You were mentioned in a comment")
    expect(mention).to_contain_text("@adam the name is cut off, is it not?")
    expect(mention).to_contain_text("new")
    mention.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name=first.job_id, level=1)).to_be_visible()
    expect(page.locator("#comments")).to_contain_text("the name is cut off")
    expect(bell).to_have_accessible_name("Notices 1 unread")

    page.go_back()
    page.reload()
    expect(mention).not_to_contain_text("new")
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("button", name="Mark all as read")).to_have_count(0)
    expect(bell).to_have_accessible_name("Notices")
    assert not Notice.objects.filter(user=people.adam, read_at=None).exists()


def test_what_is_told_is_chosen_and_kept(visit: Visit, people: People) -> None:
    visitor = visit(people.adam)
    page = visitor.page
    visitor.go(reverse("admin:notice_choices"))
    waiting = page.get_by_role("row").filter(has_text="A job awaits approval")
    waiting.get_by_role("checkbox").check()
    waiting.get_by_role("combobox").select_option("digest")
    page.get_by_role("button", name="Keep").click()
    # A page that is on its way to another cannot be loaded anew.
    visitor.is_told("Your choice is kept")
    page.reload()
    expect(waiting.get_by_role("checkbox")).to_be_checked()
    expect(waiting.get_by_role("combobox")).to_have_value("digest")
    assert visitor.complaints == []
