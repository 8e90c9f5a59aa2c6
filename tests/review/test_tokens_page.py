"""review.tokens: the page of API tokens."""

from __future__ import annotations

import re

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from rest_framework.test import APIClient

from jobs import shown_once, tokens
from jobs.encryption import decrypt
from jobs.models import AccessToken, Integration
from jobs.states import Role
from jobs.tokens import Scope, issue
from tests.jobs.test_tokens import make_lead

pytestmark = pytest.mark.django_db
PAGE = "admin:tokens"
OWN = {"own-name": "Nightly <sync>", "own-scopes": ["read", "submit"], "own-days": "7"}
MACHINE = {
    "machine-name": "Shop", "machine-roles": ["operator"], "machine-scopes": ["submit"], "machine-days": "30",
}  # fmt: skip


def secret_in(client, response):
    """The secret of a token that was made: on the page that the answer leads to."""
    assert response.status_code == 302, response.content
    response = client.get(response["Location"])
    assert "no-store" in response["Cache-Control"]
    return re.search(r'value="(aep_[\w-]{43})"', response.content.decode()).group(1)


def me(secret):
    return APIClient().get("/api/me/", headers={"Authorization": f"Bearer {secret}"})


def test_a_token_is_made_and_its_secret_shown_once(client, people):
    client.force_login(people.rita)
    made = client.post(reverse("admin:token_make"), OWN)
    secret = secret_in(client, made)
    assert me(secret).json()["username"] == "rita"
    token = AccessToken.objects.get()
    assert (token.scopes, token.created_by) == (["read", "submit"], people.rita)
    html = client.get(reverse(PAGE)).content.decode()
    assert secret not in html
    assert token.prefix in html
    assert "Nightly &lt;sync&gt;" in html
    assert AccessToken.objects.count() == 1


def test_what_is_to_be_shown_waits_encrypted_and_is_forgotten_by_the_look(client, people):
    client.force_login(people.rita)
    client.post(reverse("admin:token_make"), OWN)
    kept = Session.objects.get().get_decoded()["shown_once"]
    assert "aep_" not in kept
    assert "aep_" in decrypt(kept)
    assert not any("aep_" in cookie.value or kept in cookie.value for cookie in client.cookies.values())
    client.get(reverse("admin:index"))
    client.head(reverse(PAGE))
    assert "shown_once" in Session.objects.get().get_decoded()
    client.get(reverse(PAGE))
    assert "shown_once" not in Session.objects.get().get_decoded()


def test_nobody_else_and_nobody_later_is_shown_a_secret(client, people, monkeypatch):
    client.force_login(people.rita)
    client.post(reverse("admin:token_make"), OWN)
    client.force_login(people.vera)
    assert "fresh-secret" not in client.get(reverse(PAGE)).content.decode()
    client.post(reverse("admin:token_make"), OWN)
    monkeypatch.setattr(shown_once.clock, "now", lambda now=shown_once.clock.now: now() + 2 * shown_once.KEPT)
    assert "fresh-secret" not in client.get(reverse(PAGE)).content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"own-scopes": []}, "Choose at least one"), ({"own-name": " "}, "required"), ({"own-days": "9999"}, "valid"),
     ({"own-scopes": ["all"]}, "valid")],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_rest_kept(client, people, wrong, words):
    client.force_login(people.rita)
    response = client.post(reverse("admin:token_make"), {**OWN, **wrong})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not AccessToken.objects.exists()


def test_a_token_is_revoked_once(client, people):
    token, secret = issue(people.rita, name="a")
    client.force_login(people.rita)
    address = reverse("admin:token_revoke", args=[token.pk])
    assert client.get(address).status_code == 405
    assert client.post(address).status_code == 302
    assert me(secret).status_code == 401
    assert client.post(address).status_code == 409
    assert "revoked" in client.get(reverse(PAGE)).content.decode()


def test_the_tokens_of_others_are_not_there(client, people):
    token, _ = issue(people.rita, name="hers-alone")
    for other in (people.adam, people.root, people.oscar):
        client.force_login(other)
        assert "hers-alone" not in client.get(reverse(PAGE)).content.decode()
        assert client.post(reverse("admin:token_revoke", args=[token.pk])).status_code == 404
    client.force_login(people.nobody)
    assert client.get(reverse(PAGE)).status_code == 302
    assert client.post(reverse("admin:token_make"), OWN).status_code == 302


def test_leads_add_an_integration_with_its_token_and_remove_it(client, people, blue):
    client.force_login(make_lead(people.olga))
    made = client.post(reverse("admin:integration_add"), {**MACHINE, "machine-team": blue.pk})
    secret = secret_in(client, made)
    integration = Integration.objects.get()
    assert AccessToken.objects.get().user == integration.user
    html = client.get(reverse(PAGE)).content.decode()
    assert "shop@blue" in html
    more = client.post(reverse("admin:integration_token", args=[integration.pk]))
    assert secret_in(client, more) != secret
    assert AccessToken.objects.first().scopes == ["submit"]
    assert client.post(reverse("admin:integration_remove", args=[integration.pk])).status_code == 302
    assert me(secret).status_code == 401
    assert "shop@blue" not in client.get(reverse(PAGE)).content.decode()
    assert client.post(reverse("admin:integration_remove", args=[integration.pk])).status_code == 404


def test_an_integration_gets_no_role_that_its_maker_lacks(client, people, blue):
    client.force_login(make_lead(people.olga))
    data = {**MACHINE, "machine-team": blue.pk, "machine-roles": ["approver"]}
    assert client.post(reverse("admin:integration_add"), data).status_code == 403
    assert not Integration.objects.exists()


def test_others_than_leads_and_leads_of_other_teams_keep_away_from_integrations(client, people, blue):
    made = tokens.add_integration(people.root, blue, name="Shop", roles=[Role.OPERATOR])
    token, _ = tokens.issue_for(people.root, made, scopes=[Scope.READ], days=7)
    for who, expected in ((people.olga, 403), (make_lead(people.oscar), 404)):
        client.force_login(who)
        assert "shop@blue" not in client.get(reverse(PAGE)).content.decode()
        assert client.post(reverse("admin:integration_remove", args=[made.pk])).status_code == expected
        assert client.post(reverse("admin:integration_token", args=[made.pk])).status_code == expected
        assert client.post(reverse("admin:token_revoke", args=[token.pk])).status_code == 404
        answer = client.post(reverse("admin:integration_add"), {**MACHINE, "machine-team": blue.pk})
        assert answer.status_code in {403, 422}
    assert Integration.objects.get().removed_at is None


def test_a_name_that_is_taken_is_said(client, people, blue):
    tokens.add_integration(people.root, blue, name="Shop", roles=[Role.OPERATOR])
    client.force_login(people.root)
    answer = client.post(reverse("admin:integration_add"), {**MACHINE, "machine-team": blue.pk})
    assert answer.status_code == 409
    assert "already" in answer.content.decode()
