"""Every page as every role in a browser: none breaks the rules that our answers give it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from PIL import Image
from playwright.sync_api import Page, expect

from batches.bundles.sharing import share
from batches.models import Batch
from jobs.models import Asset
from tests.browser.conftest import Visit
from tests.doors import doors
from tests.people import People

WATCH = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) => window.broken.push(
  `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`
));
"""
NOT_THERE = "/nothing/here/"
"""A page that is not there on purpose."""
MISSING = (NOT_THERE, "/favicon.ico")
"""What the console may miss. Parts of pages name no icon, so that the browser looks for one by itself. (A route that
answers for it would switch off the browser's cache, and with it half of the walk's pace.)"""


def put_pictures_in_place(folder: Path) -> None:
    """What pages show is there: a picture that is missing is an error in the console too."""
    for asset in Asset.objects.all():
        target = folder / ("output" if asset.storage == "outputs" else "store") / asset.storage_name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            Image.new("RGB", (4, 4), "teal").save(target, "PNG")


def pages_for(user: Any) -> list[str]:
    """The addresses at which this person gets a whole page; the records of Django's admin for superusers alone."""
    client = Client()
    client.force_login(user)
    found = []
    for door in list(doors()):
        if door.name == "logout" or (door.is_record and not user.is_superuser):
            continue
        response = client.get(door.path)
        if response.status_code != 200 or not response["Content-Type"].startswith("text/html"):
            continue
        if b"<html" in response.content:
            found.append(door.path)
    return found


def broken_rules(page: Page, address: str) -> list[str]:
    page.goto(address)
    # Parts that are fetched when the page is there, such as the charts.
    expect(page.locator(".htmx-request, [hx-trigger=load]")).to_have_count(0)
    return [f"{address}: {line}" for line in page.evaluate("window.broken")]


@pytest.mark.parametrize("who", ["olga", "rita", "adam", "root"])
@pytest.mark.django_db(transaction=True)
def test_no_page_breaks_its_rules(visit: Visit, people: People, everything: Batch, tmp_path: Path, who: str) -> None:
    put_pictures_in_place(tmp_path)
    user = getattr(people, who)
    paths = pages_for(user)
    assert len(paths) > 15
    visitor = visit(user)
    visitor.page.add_init_script(WATCH)
    found: list[str] = []
    for path in [*paths, "/api/docs/", NOT_THERE]:
        found += broken_rules(visitor.page, visitor.address + path)
    complaints = [line for line in visitor.complaints if not any(path in line for path in MISSING)]
    assert (found, complaints) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_the_watch_sees_what_is_refused(visit: Visit, people: People, everything: Batch) -> None:
    """Without this the walk would prove nothing."""
    visitor = visit(people.vera)
    visitor.page.add_init_script(WATCH)
    visitor.go("/admin/")
    page = visitor.page
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"1\">x</p>')")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    page.locator("p", has_text="x").last.wait_for()
    # Both are told a moment after they were refused.
    for kind in ("style-src-attr", "script-src-elem"):
        page.wait_for_function("kind => window.broken.some(line => line.startsWith(`${kind} `))", arg=kind)
    assert page.evaluate("window.ran") is None
    if not visitor.complaints:
        page.wait_for_event("console", lambda message: message.type == "error")
    assert visitor.complaints


@pytest.mark.django_db(transaction=True)
def test_what_a_stranger_sees_keeps_the_rules(visit: Visit, people: People, everything: Batch) -> None:
    _, token = share(people.olga, everything, kinds=["project"], days=1)
    visitor = visit(people.vera)
    visitor.page.add_init_script(WATCH)
    visitor.context.clear_cookies()
    for path in (f"/share/{token}/", "/share/x/", "/admin/login/"):
        assert broken_rules(visitor.page, visitor.address + path) == []
