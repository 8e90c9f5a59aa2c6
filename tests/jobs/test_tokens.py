"""jobs.tokens: secrets shown once, tokens that end in time, integrations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from jobs import clock, tokens
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import AccessToken, Integration, Membership
from jobs.states import Role
from jobs.teams import roles_of
from jobs.tokens import BadToken, Scope, issue, token_of
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def make_lead(user):
    user.user_permissions.add(Permission.objects.get(codename="lead_job"))
    return User.objects.get(pk=user.pk)


def test_a_secret_is_random_long_and_kept_nowhere(people):
    one, first = issue(people.rita, name="a")
    two, second = issue(people.rita, name="b")
    assert first != second
    assert first.startswith("aep_")
    assert len(first) == len("aep_") + 43  # 256 bits in Base64
    row = AccessToken.objects.filter(pk=one.pk).values().get()
    assert first[10:] not in str(row)
    assert row["prefix"] == first[:10]
    assert token_of(first) == one
    assert token_of(second) == two


def test_a_token_has_the_scopes_and_the_life_that_were_asked_for(people, settings):
    settings.TOKEN_DAYS, settings.TOKEN_MAX_DAYS = 30, 60
    token, _ = issue(people.rita, name="a")
    assert token.scopes == ["read", "review", "submit"]
    assert abs(token.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    token, _ = issue(people.rita, name="b", scopes=[Scope.READ, Scope.READ], days=60)
    assert token.scopes == ["read"]
    assert abs(token.expires_at - timezone.now() - timedelta(days=60)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"name": " "}, "name"), ({"scopes": []}, "scopes"), ({"days": 0}, "days"), ({"days": -1}, "days"),
     ({"days": 366}, "days"), ({"days": 10**12}, "days")],
)  # fmt: skip
def test_a_token_that_cannot_be_is_refused_by_field(people, wrong, field):
    with pytest.raises(Invalid) as caught:
        issue(people.rita, **{"name": "a", **wrong})
    assert caught.value.field == field
    assert not AccessToken.objects.exists()


def test_one_person_has_only_so_many_tokens_that_work(people, monkeypatch):
    monkeypatch.setattr(tokens, "MOST_ACTIVE", 2)
    first, _ = issue(people.rita, name="a")
    issue(people.rita, name="b")
    with pytest.raises(Conflict, match="revoke one"):
        issue(people.rita, name="c")
    tokens.revoke(people.rita, first)
    issue(people.rita, name="c")
    issue(people.adam, name="his own")


@pytest.mark.parametrize("secret", ["", "x", "aep_", "aep_" + "A" * 43, "aep_" * 10_000, "\udcff", "\0"])
def test_what_is_no_token_opens_nothing(people, secret):
    issue(people.rita, name="a")
    with pytest.raises(BadToken):
        token_of(secret)


def test_a_token_ends_when_it_expires(people):
    token, secret = issue(people.rita, name="a")
    AccessToken.objects.filter(pk=token.pk).update(expires_at=clock.now())
    with pytest.raises(BadToken, match="expired"):
        token_of(secret)


def test_a_token_ends_when_it_is_revoked_and_only_once(people):
    token, secret = issue(people.rita, name="a")
    tokens.revoke(people.rita, token)
    with pytest.raises(BadToken, match="revoked"):
        token_of(secret)
    with pytest.raises(Conflict):
        tokens.revoke(people.rita, token)


@pytest.mark.parametrize("who", ["olga", "oscar", "nobody", "root"])
def test_nobody_revokes_the_token_of_another_person(people, who):
    token, secret = issue(people.rita, name="a")
    with pytest.raises(NotAllowed):
        tokens.revoke(getattr(people, who), token)
    assert token_of(secret) == token


def test_a_token_ends_with_its_person(people):
    _, secret = issue(people.rita, name="a")
    User.objects.filter(pk=people.rita.pk).update(is_active=False)
    with pytest.raises(BadToken, match="switched off"):
        token_of(secret)


def test_tokens_end_with_the_password(people):
    _, secret = issue(people.rita, name="a")
    other, others = issue(people.adam, name="his")
    people.rita.set_password("another-long-one-2")
    people.rita.save()
    with pytest.raises(BadToken, match="revoked"):
        token_of(secret)
    assert token_of(others) == other


def test_a_password_that_is_only_hashed_anew_ends_no_token(people, settings):
    token, secret = issue(people.rita, name="a")
    before = people.rita.password
    settings.PASSWORD_HASHERS = [
        f"{PBKDF2PasswordHasher.__module__}.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS
    ]  # fmt: skip
    assert people.rita.check_password(PASSWORD)
    people.rita.refresh_from_db()
    assert people.rita.password != before
    assert token_of(secret) == token


def test_the_last_use_is_noted_once_a_minute(people):
    token, secret = issue(people.rita, name="a")
    tokens.note_use(token, "192.0.2.7")
    first = AccessToken.objects.get(pk=token.pk)
    assert (first.last_used_ip, first.last_used_at is not None) == ("192.0.2.7", True)
    tokens.note_use(token, "192.0.2.8")  # a copy of the row that does not know of the first use
    tokens.note_use(first, "192.0.2.8")
    assert AccessToken.objects.get(pk=token.pk).last_used_at == first.last_used_at
    AccessToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(minutes=2))
    tokens.note_use(token_of(secret), "2001:db8::1")
    assert AccessToken.objects.get(pk=token.pk).last_used_ip == "2001:db8::1"


@pytest.mark.parametrize("address", ["", "unix", "1.2.3.4, 5.6.7.8", "x" * 1000])
def test_an_address_that_is_none_is_left_out(people, address):
    token, _ = issue(people.rita, name="a")
    tokens.note_use(token, address)
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert token.last_used_ip is None


# Integrations ---------------------------------------------------------------------------------------------------------
def test_an_integration_acts_in_one_team_with_its_roles(people, blue, red):
    lead = make_lead(people.olga)
    made = tokens.add_integration(lead, blue, name="Shop sync", roles=[Role.OPERATOR])
    assert made.user.get_username() == "shop-sync@blue"
    assert not made.user.has_usable_password()
    assert roles_of(made.user, blue) == {Role.OPERATOR}
    assert roles_of(made.user, red) == frozenset()
    token, secret = tokens.issue_for(lead, made, scopes=[Scope.SUBMIT], days=7)
    assert token_of(secret).user == made.user
    assert token.created_by == lead


def test_leads_alone_make_integrations_and_give_only_what_they_have(people, blue, red):
    with pytest.raises(NotAllowed, match="leads"):
        tokens.add_integration(people.olga, blue, name="x", roles=[Role.OPERATOR])
    lead = make_lead(people.olga)
    with pytest.raises(NotAllowed, match="approver"):
        tokens.add_integration(lead, blue, name="x", roles=[Role.OPERATOR, Role.APPROVER])
    with pytest.raises(NotAllowed):
        tokens.add_integration(lead, red, name="x", roles=[Role.VIEWER])
    assert not Integration.objects.exists()
    tokens.add_integration(people.root, red, name="x", roles=[Role.APPROVER])


@pytest.mark.parametrize(
    ("name", "roles"), [("", [Role.VIEWER]), ("!!", [Role.VIEWER]), ("x" * 61, [Role.VIEWER]), ("x", [])]
)
def test_an_integration_that_cannot_be_is_refused(people, blue, name, roles):
    with pytest.raises(Invalid):
        tokens.add_integration(people.root, blue, name=name, roles=roles)
    assert not Integration.objects.exists()


def test_a_name_is_taken_once_in_a_team_until_it_is_removed(people, blue, red):
    first = tokens.add_integration(people.root, blue, name="Shop", roles=[Role.VIEWER])
    users = User.objects.count()
    with pytest.raises(Conflict):
        tokens.add_integration(people.root, blue, name="Shop", roles=[Role.VIEWER])
    assert User.objects.count() == users
    tokens.add_integration(people.root, red, name="Shop", roles=[Role.VIEWER])
    tokens.remove_integration(people.root, first)
    second = tokens.add_integration(people.root, blue, name="Shop", roles=[Role.VIEWER])
    assert second.user.get_username() == "shop-2@blue"


def test_a_removed_integration_can_do_nothing_any_more(people, blue):
    made = tokens.add_integration(people.root, blue, name="Shop", roles=[Role.OPERATOR])
    _, secret = tokens.issue_for(people.root, made, scopes=[Scope.READ], days=7)
    with pytest.raises(NotAllowed):
        tokens.remove_integration(people.olga, made)
    tokens.remove_integration(people.root, made)
    with pytest.raises(BadToken):
        token_of(secret)
    assert not Membership.objects.filter(user=made.user).exists()
    with pytest.raises(Conflict):
        tokens.remove_integration(people.root, made)


def test_leads_look_after_the_tokens_of_the_integrations_of_their_teams(people, blue, red):
    made = tokens.add_integration(people.root, blue, name="Shop", roles=[Role.OPERATOR])
    token, _ = tokens.issue_for(people.root, made, scopes=[Scope.READ], days=7)
    for stranger in (people.olga, make_lead(people.oscar)):
        assert not AccessToken.objects.visible_to(stranger).exists()
        assert not tokens.integrations_of(stranger).exists()
        with pytest.raises(NotAllowed):
            tokens.revoke(stranger, token)
    tokens.revoke(make_lead(people.adam), token)
