"""The service account that we are towards Google. Its key is nowhere but here and in the setting."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from google.auth import exceptions, transport
from google.oauth2.service_account import Credentials

from batches.google.errors import KeyRefused, Unreachable
from batches.google.transport import Hold, ask

READ = "https://www.googleapis.com/auth/spreadsheets.readonly"
WRITE = "https://www.googleapis.com/auth/spreadsheets"
MAY_PASS = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
"""OAuth errors that google-auth would wait for by itself, holding a lease."""

_lock = threading.Lock()
_credentials: dict[tuple[str, str, str], Credentials] = {}
"""By account, key and scope. A token is good for an hour; each process has its own."""


def is_set() -> bool:
    return bool(settings.GOOGLE_SERVICE_ACCOUNT_KEY)


def email() -> str:
    """Whom sheets must be shared with; empty when there is no service account."""
    return str(settings.GOOGLE_SERVICE_ACCOUNT_KEY.get("client_email", ""))


def token(scope: str, *, hold: Hold | None = None, fresh: bool = False) -> str:
    """An access token, asked for when there is none or, with ``fresh``, in any case.

    Raises KeyRefused, RateLimited and Unreachable.
    """
    key = settings.GOOGLE_SERVICE_ACCOUNT_KEY
    with _lock:
        name = (email(), str(key.get("private_key_id", "")), scope)
        credentials = _credentials.get(name)
        if credentials is None or fresh or not credentials.valid:
            credentials = _signed_in(key, scope, hold)
            _credentials[name] = credentials
        return str(credentials.token)


def _signed_in(key: Mapping[str, str], scope: str, hold: Hold | None) -> Credentials:
    try:
        credentials: Credentials = Credentials.from_service_account_info(key, scopes=[scope])  # type: ignore[no-untyped-call]
    except ValueError:
        # Without the cause: it may quote the key.
        raise KeyRefused(
            "GOOGLE_SERVICE_ACCOUNT holds a private key that cannot be read. Download a new one in the Google console."
        ) from None
    try:
        credentials.refresh(_Request(hold))  # type: ignore[no-untyped-call]
    except exceptions.RefreshError as error:
        raise KeyRefused(_in_words(error)) from None
    return credentials


def _in_words(error: exceptions.RefreshError) -> str:
    told = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    cause = " ".join(f"{told.get('error', '')}: {told.get('error_description', '')}".split())[:200].strip(": ")
    return (
        f"Google does not take the key of the service account {email()} ({cause or 'it does not say why'}). Is the key"
        " deleted or the account disabled, or is this machine's clock wrong?"
    )


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What google-auth reads of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Request(transport.Request):
    """google-auth's way to the network, through ours."""

    def __init__(self, hold: Hold | None) -> None:
        self._hold = hold

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _Answer:
        """Raises RateLimited and Unreachable itself, so that google-auth does not sleep and try again meanwhile."""
        reply = ask(method, url, headers=headers or {}, body=body, hold=self._hold)
        try:
            told = json.loads(reply.body)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise Unreachable(f"Google's sign-in answered {reply.status} with what is not JSON.")
        if reply.status != 200 and str(told.get("error")) in MAY_PASS:
            raise Unreachable(f"Google's sign-in is out of order: it answered {told['error']}.")
        if reply.status == 200 and not (
            isinstance(told.get("access_token"), str) and isinstance(told.get("expires_in"), int)
        ):
            raise Unreachable("Google's sign-in answered without a token.")
        return _Answer(status=reply.status, headers=dict(reply.headers.items()), data=reply.body)
