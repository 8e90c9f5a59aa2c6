"""Who may use the API with what: tokens in the ``Authorization`` header, and the one place where scopes count.

Every view that changes something says in ``scopes`` which scopes of a token open it, one of them being enough. A view
that says nothing is closed to tokens. A browser's session has no scopes: what you may do on the pages, you may do here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from jobs.models import AccessToken
from jobs.tokens import BadToken, Scope, note_use, token_of

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module for its defaults

KEYWORDS = {b"bearer", b"token"}
ANY_SCOPE = tuple(Scope)


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer aep_...`` (or ``Token aep_...``)."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() not in KEYWORDS:
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Send the token as “Authorization: Bearer ...”, and nothing else.")
        try:
            token = token_of(parts[1].decode("latin-1"))
        except BadToken as error:
            raise AuthenticationFailed(str(error)) from None
        note_use(token, BaseThrottle().get_ident(request) or "")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """Closes to a token what it was not made for."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, AccessToken):
            return True
        opening = scopes_of(view, request.method or "")
        if set(opening) & set(request.auth.scopes):
            return True
        needed = f"the scope {' or '.join(opening)}" if opening else "a browser's session"
        self.message = f"This takes {needed}; the token {request.auth.prefix}… has {', '.join(request.auth.scopes)}."
        return False


def scopes_of(view: Any, method: str) -> tuple[Scope, ...]:
    """The scopes of which one opens the view to a token: ``reading_scopes`` to look, ``scopes`` to change something."""
    name, default = ("reading_scopes", (Scope.READ,)) if method in SAFE_METHODS else ("scopes", ())
    opening: tuple[Scope, ...] = getattr(view, name, default)
    return opening
