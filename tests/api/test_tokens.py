"""The API by token: getting one, scopes at every door, and nobody's token doing more than its person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.permissions import SAFE_METHODS
from rest_framework.test import APIClient

from jobs import clock, tokens
from jobs.api_access import HasScope, scopes_of
from jobs.models import AccessToken, Event
from jobs.states import VERBS, Role
from jobs.tokens import Scope, issue
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db
TOKENS = "/api/tokens/"
FOR_A_PASSWORD = "/api/token/"


def ask(username="rita", password=PASSWORD, **more):
    return APIClient().post(FOR_A_PASSWORD, {"username": username, "password": password, **more})


def by_token(secret, keyword="Bearer", **options):
    client = APIClient(**options)
    client.credentials(HTTP_AUTHORIZATION=f"{keyword} {secret}")
    return client


def with_scopes(user, *scopes):
    return by_token(issue(user, name="test", scopes=scopes)[1])


# For a password -------------------------------------------------------------------------------------------------------
def test_a_token_is_got_for_a_password_and_opens_the_api(people):
    answer = ask()
    shown = answer.json()
    assert shown["scopes"] == ["read", "review", "submit"]
    assert answer["Cache-Control"] == "no-store"
    for keyword in ("Bearer", "bearer", "Token"):
        assert by_token(shown["token"], keyword).get("/api/me/").json()["username"] == "rita"
    assert ask().json()["token"] != shown["token"]


def test_scopes_name_and_life_may_be_asked_for(people):
    shown = ask(scopes=["read"], name="nightly", days=1).json()
    token = AccessToken.objects.get(pk=shown["id"])
    assert (token.name, token.scopes, token.user) == ("nightly", ["read"], people.rita)
    assert token.expires_at < timezone.now() + timedelta(days=1, minutes=1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"scopes": ["all"]}, "scopes"), ({"scopes": []}, "scopes"), ({"days": 366}, "days"), ({"days": 0}, "days"),
     ({"scopes": "read"}, "scopes"), ({"name": ""}, "name")],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_400_by_field(people, wrong, field):
    answer = ask(**wrong)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert not AccessToken.objects.exists()


def test_a_wrong_password_is_400_and_does_not_tell_whether_the_account_exists(people):
    wrong, unknown = ask(password="wrong"), ask(username="no-such-person")
    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json() == unknown.json()
    assert list(APIClient().post(FOR_A_PASSWORD, {}).json()) == ["username", "password"]
    assert APIClient().get(FOR_A_PASSWORD).status_code == 405


@pytest.mark.parametrize(
    "body", [[], "x", 7, {"username": ["rita"], "password": {}}, {"username": "a\0", "password": "x"}]
)
def test_credentials_that_are_none_are_400(people, body):
    assert APIClient().post(FOR_A_PASSWORD, body, format="json").status_code == 400


@pytest.mark.parametrize("header", ["Token", "Token x", "Bearer", "Bearer a b", "Bearer \xff", "Bearer x", "Basic x"])
def test_credentials_that_are_wrong_are_401(people, header):
    response = APIClient().get("/api/me/", headers={"Authorization": header})
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_token_that_ended_is_401_and_says_why(people):
    token, secret = issue(people.rita, name="a")
    client = by_token(secret)
    assert client.get("/api/me/").status_code == 200
    tokens.revoke(people.rita, token)
    answer = client.get("/api/me/")
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


def test_a_token_that_expired_is_401_and_says_when(people):
    token, secret = issue(people.rita, name="a", days=1)
    client = by_token(secret)
    assert client.get("/api/me/").status_code == 200
    AccessToken.objects.filter(pk=token.pk).update(expires_at=clock.now())
    answer = client.get("/api/me/")
    assert answer.status_code == 401
    assert "expired on" in answer.json()["detail"]
    with_session = APIClient()
    with_session.force_login(people.rita)
    (row,) = with_session.get(TOKENS).json()["results"]
    assert (row["state"], row["last_used_ip"], row["last_used_at"] is not None) == ("expired", "127.0.0.1", True)
    assert row["expires_at"] > row["created_at"]


def test_guessing_a_password_is_429_from_whatever_address(people, settings):
    settings.LOG_IN_TRIES = 3
    for number in range(3):
        client = APIClient(REMOTE_ADDR=f"10.0.0.{number}")
        assert client.post(FOR_A_PASSWORD, {"username": "rita", "password": "x"}).status_code == 400
    response = APIClient(REMOTE_ADDR="10.0.0.9").post(FOR_A_PASSWORD, {"username": "RITA", "password": PASSWORD})
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 60
    assert ask(username="adam").status_code == 200


def test_the_last_use_has_the_address_that_our_proxies_saw(people, settings):
    token, secret = issue(people.rita, name="a")
    client = by_token(secret, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.7")
    assert client.get("/api/me/").status_code == 200
    token.refresh_from_db()
    assert token.last_used_ip == "10.0.0.1"  # nobody said that there is a proxy
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    AccessToken.objects.update(last_used_at=None)
    assert client.get("/api/me/").status_code == 200
    token.refresh_from_db()
    assert token.last_used_ip == "192.0.2.7"


# Scopes ---------------------------------------------------------------------------------------------------------------
def views_below(resolver):
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from views_below(pattern)
        elif isinstance(pattern, URLPattern):
            yield pattern


def api_views():
    """(route, view class, method, scopes that open it) of everything below /api/."""
    root = next(one for one in get_resolver().url_patterns if str(one.pattern) == "api/")
    for pattern in views_below(root):
        cls, options = pattern.callback.cls, pattern.callback.initkwargs
        actions = getattr(pattern.callback, "actions", None)
        methods = actions or {name: name for name in cls.http_method_names if hasattr(cls, name)}
        for method in methods:
            yield str(pattern.pattern), cls, method.upper(), type("V", (cls,), options)


def test_every_view_of_the_api_asks_for_scopes_and_every_change_names_them():
    seen = 0
    for route, cls, method, view in api_views():
        seen += 1
        asked = HasScope in view.permission_classes or route == "token/"
        assert asked, f"{route}: {cls.__name__} does not ask for scopes (permission_classes)"
        if method not in SAFE_METHODS:
            assert scopes_of(view, method), f"{method} {route}: {cls.__name__} names no scope: it is closed to tokens"
        assert set(scopes_of(view, method)) <= set(Scope)
    assert seen > 50


def test_verbs_are_opened_by_the_scopes_that_fit_their_roles():
    names = {"approve_matches": "approve", "approve_preview": "approve", "force_approve": "approve"}
    offered = {route: view for route, _, _, view in api_views() if route.startswith("^jobs/(?P<pk>")}
    for verb in VERBS.values():
        if verb.roles <= {Role.SYSTEM}:
            continue
        view = next(view for route, view in offered.items() if f"/{names.get(verb.name, verb.name)}/$" in route)
        fitting = {Scope.SUBMIT} if Role.OPERATOR in verb.roles else set()
        fitting |= {Scope.REVIEW} if verb.roles & {Role.REVIEWER, Role.APPROVER} else set()
        assert set(scopes_of(view, "POST")) == fitting, verb.name


@pytest.mark.parametrize(
    ("scope", "get", "start", "approve"),
    [(Scope.READ, 200, 403, 403), (Scope.SUBMIT, 403, 404, 403), (Scope.REVIEW, 403, 403, 404)],
)
def test_a_token_opens_what_its_scope_says(people, scope, get, start, approve):
    """404: the door is open, and there is no such job."""
    client = with_scopes(people.root, scope)
    assert client.get("/api/jobs/").status_code == get
    assert client.head("/api/jobs/").status_code == get
    assert client.post("/api/jobs/0/start/", {}).status_code == start
    refused = client.post("/api/jobs/0/approve/", {"version": 0})
    assert refused.status_code == approve
    if approve == 403:
        assert "review" in refused.json()["detail"]


def test_the_doors_of_tokens_and_of_nothing_are_open_to_every_token(people):
    for scope in Scope:
        client = with_scopes(people.rita, scope)
        assert client.get(TOKENS).status_code == 200
        assert client.get("/api/nowhere/").status_code == 404


def test_a_token_may_never_do_more_than_its_person(people, waiting):
    client = with_scopes(people.vera, *Scope)
    assert client.post(f"/api/jobs/{waiting.pk}/approve/", {"version": waiting.version}).status_code == 403
    assert with_scopes(people.oscar, *Scope).get(f"/api/jobs/{waiting.pk}/").status_code == 404
    client = with_scopes(people.rita, *Scope)
    people.rita.memberships.all().delete()
    assert client.get(f"/api/jobs/{waiting.pk}/").status_code == 404


def test_a_token_has_the_throttles_of_its_person(people, settings):
    settings.USER_REQUESTS_PER_MINUTE = 2
    one, two = with_scopes(people.rita, Scope.READ), with_scopes(people.rita, Scope.READ)
    assert [client.get("/api/me/").status_code for client in (one, two, one)] == [200, 200, 429]


def test_an_integration_is_named_in_the_history(people, waiting):
    made = tokens.add_integration(people.root, waiting.team, name="Bot", roles=[Role.REVIEWER])
    _, secret = tokens.issue_for(people.root, made, scopes=[Scope.REVIEW], days=1)
    answer = by_token(secret).post(f"/api/jobs/{waiting.pk}/approve/", {"version": waiting.version})
    assert answer.status_code == 200
    assert Event.objects.filter(job=waiting).latest("id").actor.get_username() == "bot@blue"


# One's own tokens -----------------------------------------------------------------------------------------------------
def test_tokens_are_made_listed_and_revoked(api, people):
    client = api(people.rita)
    made = client.post(TOKENS, {"name": "nightly", "scopes": ["read"], "days": 7})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    secret = made.json()["token"]
    assert by_token(secret).get("/api/me/").status_code == 200
    listed = client.get(TOKENS)
    assert [(row["name"], row["state"]) for row in listed.json()["results"]] == [("nightly", "active")]
    assert secret[10:] not in listed.content.decode()
    address = f"{TOKENS}{made.json()['id']}/"
    assert client.delete(address).status_code == 204
    assert client.delete(address).status_code == 409
    assert client.get(address).json()["state"] == "revoked"
    assert by_token(secret).get("/api/me/").status_code == 401


def test_the_tokens_of_others_are_not_there(api, people):
    token, _ = issue(people.rita, name="hers")
    for other in (people.adam, people.root, people.oscar):
        client = api(other)
        assert client.get(TOKENS).json()["results"] == []
        assert client.get(f"{TOKENS}{token.pk}/").status_code == 404
        assert client.delete(f"{TOKENS}{token.pk}/").status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_a_token_makes_and_revokes_only_what_can_do_no_more(people):
    strong, _ = issue(people.rita, name="strong")
    weak, secret = issue(people.rita, name="weak", scopes=[Scope.READ])
    client = by_token(secret)
    assert client.post(TOKENS, {"name": "all"}).status_code == 403
    assert client.post(TOKENS, {"name": "more", "scopes": ["read", "submit"]}).status_code == 403
    assert client.delete(f"{TOKENS}{strong.pk}/").status_code == 403
    assert client.post(TOKENS, {"name": "same", "scopes": ["read"]}).status_code == 201
    assert client.delete(f"{TOKENS}{weak.pk}/").status_code == 204
    assert client.get(TOKENS).status_code == 401
    assert set(AccessToken.objects.values_list("name", flat=True)) == {"strong", "weak", "same"}


def test_a_repeated_request_makes_no_second_token(api, people):
    client, key = api(people.rita), {"Idempotency-Key": "k1"}
    made = client.post(TOKENS, {"name": "a"}, headers=key)
    again = client.post(TOKENS, {"name": "a"}, headers=key)
    assert (made.status_code, again.status_code) == (201, 201)
    assert again.json() == made.json()
    assert AccessToken.objects.count() == 1


def test_a_weak_token_is_not_given_again_what_a_strong_one_made(api, people):
    key = {"Idempotency-Key": "k1"}
    strong, weak = (issue(people.rita, name="a", scopes=scopes)[1] for scopes in (list(Scope), [Scope.READ]))
    made = api().post(TOKENS, {"name": "b"}, headers={**key, "Authorization": f"Bearer {strong}"})
    assert made.status_code == 201
    asked = api().post(TOKENS, {"name": "b"}, headers={**key, "Authorization": f"Bearer {weak}"})
    assert asked.status_code == 403
    assert made.json()["token"] not in asked.content.decode()
