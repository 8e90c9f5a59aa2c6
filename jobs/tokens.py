"""Tokens of the API: made, shown once, looked up by their digest, revoked; and integrations, who act by token alone.

A token lets a program do what its user may do, within the token's scopes. It ends with its time, when it is revoked,
when its user is switched off, and when its user's password is changed.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.text import slugify

from jobs import clock
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import AccessToken, Integration, Membership, Team
from jobs.states import Role
from jobs.teams import is_lead, roles_of

logger = logging.getLogger("aeproject.tokens")

PREFIX = "aep_"
SECRET_BYTES = 32
SHOWN_CHARACTERS = len(PREFIX) + 6
MOST_SECRET_CHARACTERS = 200
MOST_ACTIVE = 100
USE_IS_NOTED_AFTER = timedelta(minutes=1)
MOST_NAMES_TRIED = 1000


class Scope(StrEnum):
    """What a token may be used for. The roles of its user limit it further."""

    READ = "read"
    SUBMIT = "submit"
    REVIEW = "review"

    @property
    def label(self) -> str:
        return SCOPE_LABELS[self]


SCOPE_LABELS = {
    Scope.READ: "Look at everything that you can see, and download it",
    Scope.SUBMIT: "Send sheets and files, open batches, start, retry, hold and cancel jobs",
    Scope.REVIEW: "Amend matches, approve, reject, assign and comment",
}


class BadToken(Exception):
    """The token opens nothing; the message says why."""


# Tokens ---------------------------------------------------------------------------------------------------------------
def issue(
    user: User, *, name: str, scopes: Iterable[Scope] = tuple(Scope), days: int | None = None, by: User | None = None
) -> tuple[AccessToken, str]:
    """A new token of the user, and its secret, which nobody can be told again.

    ``days`` is its life (``TOKEN_DAYS`` when it is left out, at most ``TOKEN_MAX_DAYS``), ``by`` who makes it when that
    is not the user. Raises Invalid for a life, a name or scopes that cannot be, Conflict for one token too many.
    """
    wanted = sorted(set(scopes))
    lifetime = settings.TOKEN_DAYS if days is None else days
    if not name.strip():
        raise Invalid("A token needs a name that tells what uses it.", field="name")
    if not wanted:
        raise Invalid(f"A token needs a scope: {', '.join(Scope)}.", field="scopes")
    if not 1 <= lifetime <= settings.TOKEN_MAX_DAYS:
        raise Invalid(f"A token lives from 1 to {settings.TOKEN_MAX_DAYS} days.", field="days")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if active_tokens(user).count() >= MOST_ACTIVE:
            raise Conflict(f"{user} has {MOST_ACTIVE} tokens that work: revoke one first.", state="too many tokens")
        token = AccessToken.objects.create(
            user=user,
            name=name.strip()[:100],
            prefix=secret[:SHOWN_CHARACTERS],
            digest=digest_of(secret),
            scopes=[scope.value for scope in wanted],
            created_by=by or user,
            expires_at=clock.now() + timedelta(days=lifetime),
        )
    logger.info("token %s of %s made by %s: %s", token.prefix, user, by or user, " ".join(wanted))
    return token, secret


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def token_of(secret: str) -> AccessToken:
    """The token with that secret, its user with it. Raises BadToken unless it opens the API now."""
    found = AccessToken.objects.filter(digest=digest_of(secret[:MOST_SECRET_CHARACTERS])).select_related("user").first()
    if found is None:
        raise BadToken("There is no such token.")
    if found.revoked_at is not None:
        raise BadToken(f"The token {found.prefix}… was revoked on {_day(found.revoked_at)}.")
    if found.state == "expired":
        raise BadToken(f"The token {found.prefix}… expired on {_day(found.expires_at)}.")
    if not found.user.is_active:
        raise BadToken(f"The account of the token {found.prefix}… is switched off.")
    return found


def note_use(token: AccessToken, address: str) -> None:
    """Remembers when and from where the token was used, once a minute at the most."""
    now = clock.now()
    if token.last_used_at is not None and now - token.last_used_at < USE_IS_NOTED_AFTER:
        return
    lately = Q(last_used_at__gt=now - USE_IS_NOTED_AFTER)
    AccessToken.objects.filter(pk=token.pk).exclude(lately).update(last_used_at=now, last_used_ip=_ip(address))


def active_tokens(user: User) -> QuerySet[AccessToken]:
    return AccessToken.objects.filter(user=user, revoked_at=None, expires_at__gt=clock.now())


def revoke(user: User, token: AccessToken) -> None:
    """Ends a token at once. Raises NotAllowed for somebody else's, Conflict when it is revoked already."""
    if not AccessToken.objects.visible_to(user).filter(pk=token.pk).exists():
        raise NotAllowed("A token is revoked by its owner, or by a lead when it is an integration's.")
    if not AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now()):
        raise Conflict(f"The token {token.prefix}… was revoked already.", state="revoked")
    logger.info("token %s of %s revoked by %s", token.prefix, token.user, user)


class TokensEndWithThePassword:
    """A password validator that Django tells of every change: whoever knew the old password may have made tokens.

    A password that is only hashed anew (by a newer Django, at log-in) is no change, and Django does not tell of it.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        return None

    def get_help_text(self) -> str:
        return "Your API tokens end with the old password."

    def password_changed(self, password: str, user: User | None = None) -> None:
        if user is not None:
            AccessToken.objects.filter(user=user, revoked_at=None).update(revoked_at=clock.now())


def _day(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M")


def _ip(address: str) -> str | None:
    try:
        return str(ip_address(address.strip()))
    except ValueError:
        return None


# Integrations ---------------------------------------------------------------------------------------------------------
def integrations_of(user: User) -> QuerySet[Integration]:
    """The integrations that a person looks after: leads those of their teams. Removed ones are left out."""
    return Integration.objects.visible_to(user).filter(removed_at=None)


def add_integration(user: User, team: Team, *, name: str, roles: Collection[Role]) -> Integration:
    """A machine user of a team, with some of the roles that its maker has there. Its name is ``name@team``.

    Raises NotAllowed for others than leads and for roles that they do not have, Invalid for a name or roles that cannot
    be, Conflict for a name that is taken.
    """
    _require_lead(user)
    slug = slugify(name)
    if not slug or len(name) > 60:
        raise Invalid("An integration needs a name of 1 to 60 characters, letters among them.", field="name")
    if not roles:
        raise Invalid("An integration needs a role in the team.", field="roles")
    missing = frozenset(roles) - roles_of(user, team)
    if missing:
        raise NotAllowed(f"Nobody gives roles that they do not have in {team.name}: {', '.join(sorted(missing))}.")
    try:
        with transaction.atomic():
            machine = User.objects.create_user(_free_name(slug, team), first_name=name.strip()[:150])
            integration = Integration.objects.create(team=team, name=name.strip(), user=machine, created_by=user)
            Membership.objects.bulk_create([Membership(team=team, user=machine, role=role) for role in roles])
    except IntegrityError:
        raise Conflict(f"{team.name} has an integration “{name.strip()}” already.", state="taken") from None
    logger.info("integration %s made by %s: %s", machine, user, " ".join(sorted(roles)))
    return integration


def issue_for(user: User, integration: Integration, *, scopes: Iterable[Scope], days: int) -> tuple[AccessToken, str]:
    """A new token of an integration, and its secret. Raises as ``issue`` does, and NotAllowed for others than leads."""
    _require_lead(user)
    return issue(integration.user, name=integration.name, scopes=scopes, days=days, by=user)


def remove_integration(user: User, integration: Integration) -> None:
    """Its tokens end, its roles go, its name stays in the history. Raises NotAllowed, or Conflict when it is gone."""
    _require_lead(user)
    with transaction.atomic():
        if not Integration.objects.filter(pk=integration.pk, removed_at=None).update(removed_at=clock.now()):
            raise Conflict(f"{integration.name} was removed already.", state="removed")
        User.objects.filter(pk=integration.user_id).update(is_active=False)
        Membership.objects.filter(user_id=integration.user_id).delete()
        AccessToken.objects.filter(user_id=integration.user_id, revoked_at=None).update(revoked_at=clock.now())
    logger.info("integration %s removed by %s", integration.user, user)


def _require_lead(user: User) -> None:
    if not is_lead(user):
        raise NotAllowed("Integrations are looked after by leads.")


def _free_name(slug: str, team: Team) -> str:
    """A user name that nobody has; the names of removed integrations stay theirs."""
    tail = f"@{team.slug}"
    taken = set(
        User.objects.filter(username__startswith=slug, username__endswith=tail).values_list("username", flat=True)
    )
    names = (f"{slug}{number}{tail}" for number in ("", *(f"-{n}" for n in range(2, MOST_NAMES_TRIED))))
    return next(name for name in names if name not in taken)
