"""Every address of the pages, as people who should find nothing behind it; and what browsers may do with answers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from aeproject.browser_rules import API_PAGES, NOT_SHOWN, PAGES
from batches.models import Upload
from jobs.models import AccessToken, Asset, Delivery, Event, Integration, Job, Notice, Team, WebhookEndpoint, Worker
from tests.doors import SECRET, doors

pytestmark = pytest.mark.django_db
WATCHED = (Upload, AccessToken, Asset, Delivery, Integration, Job, Notice, Team, User, WebhookEndpoint, Worker)
OF_LEADS = {"worker_state", "worker_lift", "integration_token", "integration_remove"}
"""Who is no lead is told so before anything is looked up."""


def state_of_everything():
    """What Blue has, and what belongs to no team."""
    rows = []
    for model in WATCHED:
        of_blue = {"team__slug": "blue"} if getattr(model, "TEAM_FIELD", "") == "team" else {}
        rows.append(list(model._base_manager.filter(**of_blue).order_by("pk").values()))
    for user in rows[WATCHED.index(User)]:
        user.pop("last_login")
    return [*rows, Event.objects.filter(team__slug="blue").count()]


def content_of(response):
    return response.getvalue().decode(errors="replace")


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_team_finds_nothing_behind_any_address(client, people, everything, method):
    """Oscar has every role, in another team. What is there and not his is answered as what is not there."""
    client.force_login(people.oscar)
    before = state_of_everything()
    for door in list(doors()):
        if door.name == "logout":
            continue
        response = getattr(client, method)(door.path)
        where = f"{method} {door.path} ({door.name}): {response.status_code}"
        assert SECRET not in content_of(response), where
        assert SECRET.lower() not in content_of(response), where
        if door.of is None:
            continue
        if door.is_record:
            assert response.status_code in (302, 403), where
        elif door.name in OF_LEADS:
            assert response.status_code in (403, 405), where
        else:
            assert response.status_code in (404, 405), where
    assert state_of_everything() == before


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("who", ["nobody", None])
def test_without_a_team_every_address_leads_to_the_entrance(client, people, everything, method, who):
    if who:
        client.force_login(getattr(people, who))
    before = state_of_everything()
    for door in list(doors()):
        if door.name in ("logout", "login", "jsi18n"):
            continue
        response = getattr(client, method)(door.path)
        where = f"{method} {door.path} ({door.name}): {response.status_code}"
        assert response.status_code in (302, 403, 405), where
        assert SECRET not in content_of(response), where
    assert state_of_everything() == before


def test_no_get_changes_anything(client, people, everything):
    client.force_login(people.root)
    before = state_of_everything()
    for door in list(doors()):
        client.get(door.path).getvalue()
    assert state_of_everything() == before


def test_every_address_has_rules_for_browsers_and_is_kept_by_nobody(client, people, everything):
    client.force_login(people.olga)
    for door in list(doors()):
        response = client.get(door.path)
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff", door
        assert headers["X-Frame-Options"] == "DENY", door
        assert headers["Referrer-Policy"] == "same-origin", door
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", door
        assert "camera=()" in headers["Permissions-Policy"], door
        shown = headers["Content-Type"].startswith("text/html")
        if shown and response.status_code == 200:
            assert headers["Content-Security-Policy"] == PAGES, door
            assert "no-store" in headers.get("Cache-Control", ""), door
        if response.status_code == 200:
            assert "private" in headers.get("Cache-Control", ""), door


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/healthz", NOT_SHOWN),
        ("/nothing/here/", PAGES),
        ("/admin/login/", PAGES),
        ("/static/aeproject.css", NOT_SHOWN),
        ("/api/me/", NOT_SHOWN),
        ("/api/docs/", API_PAGES),
        (
            "/share/x/",
            "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self';"
            " base-uri 'none'; form-action 'none'",
        ),
    ],
)
def test_what_is_not_a_page_of_ours_has_rules_too(client, people, path, policy):
    if path == "/api/docs/":
        client.force_login(people.vera)
    response = client.get(path)
    assert response["Content-Security-Policy"] == policy
    assert response["X-Content-Type-Options"] == "nosniff"


def test_no_rule_lets_a_page_run_what_stands_in_it():
    for policy in (PAGES, API_PAGES):
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["script-src"] == "'self'"
        assert rules["object-src"] == rules["base-uri"] == rules["frame-ancestors"] == rules["default-src"] == "'none'"
        assert rules["form-action"] == "'self'"
    assert "unsafe" not in PAGES


def test_the_documentation_has_no_script_in_the_page(client, people):
    client.force_login(people.vera)
    page = client.get("/api/docs/").content.decode()
    assert "SwaggerUIBundle(" not in page
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert reverse("api:schema") in script.content.decode()
