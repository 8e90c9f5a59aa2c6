"""What people see when something goes wrong: our frame, what happened, the number of the request, a way out."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

ID = "given-by-a-proxy"


def test_a_page_that_crashes_while_the_database_is_away_says_what_happened():
    """No ``django_db``: whatever asks the database here fails, also what would draw the page."""
    client = Client(raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    answer = client.get(reverse("admin:batches"), headers={"X-Request-ID": ID})
    text = answer.content.decode()
    assert answer.status_code == 500
    assert answer["X-Request-ID"] == ID
    for words in ("Something broke on our side", ID, "aeproject.css", f'href="{reverse("admin:index")}"'):
        assert words in text
    assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("address", ["/api/batches/", "/api/dashboard/stats"])
def test_a_program_is_told_in_json(address):
    """No ``django_db`` here either."""
    client = Client(raise_request_exception=False)
    answer = client.get(address, headers={"X-Request-ID": ID, "Authorization": "Bearer aep_x"})
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/json")
    assert answer.json() == {
        "detail": "Something broke on our side. It is logged under the number of this request.",
        "request": ID,
    }


def test_a_request_that_makes_no_sense_has_a_page_too(client, settings):
    settings.ALLOWED_HOSTS = ["aeproject.example"]
    answer = client.get("/", headers={"Host": "elsewhere.example", "X-Request-ID": ID})
    assert answer.status_code == 400
    assert "This request makes no sense here" in answer.content.decode()
    assert ID in answer.content.decode()


@pytest.mark.django_db
def test_what_is_not_there_or_not_allowed_has_its_number(client, people, batch):
    client.force_login(people.vera)
    missing = client.get("/nothing/here/", headers={"X-Request-ID": ID})
    refused = client.post(
        reverse("admin:batch_share", args=[batch.pk]), {"kinds": "project", "days": "1"}, headers={"X-Request-ID": ID}
    )
    assert (missing.status_code, refused.status_code) == (404, 403)
    for answer in (missing, refused):
        assert f'<span class="mono">{ID}</span>' in answer.content.decode()


@pytest.mark.django_db
def test_too_many_requests_are_a_page_for_people_and_words_for_scripts(client, people, batch, settings):
    settings.USER_REQUESTS_PER_MINUTE = 1
    client.force_login(people.vera)
    address = reverse("admin:notices_read")
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    client.post(address, headers=browser)
    page = client.post(address, headers=browser)
    words = client.post(address, headers={**browser, "HX-Request": "true"})
    for answer in (page, words):
        assert answer.status_code == 429
        assert 1 <= int(answer["Retry-After"]) <= 60
        assert "You may send 1 requests a minute." in answer.content.decode()
    assert "aeproject.css" in page.content.decode()
    assert words["Content-Type"].startswith("text/plain")
