"""Links for people without an account: made and revoked by operators and approvers, kept in the history."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction

from batches.bundles.models import ShareLink
from batches.bundles.plan import REVOKE_SHARE, SHARE
from batches.models import Batch
from jobs import clock
from jobs.errors import Conflict, Invalid
from jobs.lifecycle import annotate
from jobs.models import Event, Job
from jobs.states import Role
from jobs.teams import require_role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHARERS = (Role.OPERATOR, Role.APPROVER)
DAYS = (1, 7, 30)
TOKEN_BYTES = 32
MOST_NOTE_CHARACTERS = 200


def days_offered() -> tuple[int, ...]:
    """For how many days a link may be good, to choose from."""
    most = settings.SHARE_MAX_DAYS
    return tuple(days for days in DAYS if days <= most) or (most,)


def share(
    user: User, batch: Batch, job: Job | None = None, *, kinds: Sequence[str], days: int, note: str = ""
) -> tuple[ShareLink, str]:
    """A new link and its token, which is shown once. Raises NotAllowed, Invalid."""
    require_role(user, batch.team, *SHARERS)
    if not 1 <= days <= settings.SHARE_MAX_DAYS:
        raise Invalid(f"A link is good for 1 to {settings.SHARE_MAX_DAYS} days.", field="days")
    note = note.strip()
    if len(note) > MOST_NOTE_CHARACTERS or not (note.isprintable() or not note):
        raise Invalid(f"The note is one line of at most {MOST_NOTE_CHARACTERS} characters.", field="note")
    token = _signer().sign(secrets.token_urlsafe(TOKEN_BYTES))
    with transaction.atomic():
        link = ShareLink.objects.create(
            team_id=batch.team_id,
            batch=batch,
            job=job,
            kinds=list(kinds),
            note=note,
            token_sha256=digest_of(token),
            created_by=user,
            expires_at=clock.now() + timedelta(days=days),
        )
        _tell(user, link, SHARE)
    return link, token


def revoke(user: User, link: ShareLink) -> None:
    """The link opens nothing any more. Raises NotAllowed, Conflict when it was revoked before."""
    require_role(user, link.team, *SHARERS)
    with transaction.atomic():
        open_ones = ShareLink.objects.filter(pk=link.pk, revoked_at=None)
        if not open_ones.update(revoked_at=clock.now(), revoked_by=user):
            raise Conflict(f"“{link}” was revoked before.", state="revoked")
        _tell(user, link, REVOKE_SHARE)


def opened(token: str) -> ShareLink | None:
    """The link of a token that is good now. One that is unknown, expired or revoked, or whose batch was deleted: None.

    A signature that is not ours asks the database nothing: neither guesses nor a row that somebody wrote into the
    database make a link. The look-up goes by the token's digest, so that its time tells nothing about other tokens.
    """
    if not _is_signed(token):
        return None
    known = (
        ShareLink.objects.kept()
        .filter(token_sha256=digest_of(token))
        .select_related("batch__team", "job", "created_by")
    )
    link = known.first()
    return link if link is not None and link.state == "open" else None


def _signer() -> Signer:
    """By SECRET_KEY, with "." between value and signature, which addresses and mail programs leave alone."""
    return Signer(sep=".", salt="batches.bundles.sharing")


def _is_signed(token: str) -> bool:
    try:
        _signer().unsign(token)
    except (BadSignature, UnicodeError):
        return False
    return True


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _tell(user: User, link: ShareLink, verb: str) -> None:
    data = {"link": link.pk, "kinds": link.kinds, "expires_at": link.expires_at.isoformat()}
    if link.job is not None:
        annotate(link.job, verb, actor=user, reason=link.note, data=data)
    else:
        values = {"team_id": link.team_id, "batch_id": link.batch_id, "verb": verb, "actor": user}
        Event.objects.create(**values, reason=link.note, data=data)
